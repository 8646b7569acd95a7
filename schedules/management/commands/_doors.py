"""What the commands about schedules share: who acts, and errors in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import CommandError

from runs.audit import Actor
from schedules import cron, phrases, zones


def actor(username: str) -> Actor:
    """The user that ``--as`` names; without it the system itself, which may do all."""
    if not username:
        return None
    user = get_user_model()._default_manager.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user “{username}”.")
    return user


@contextmanager
def plain_errors() -> Iterator[None]:
    """Ends the command with the words of a refusal, not with a traceback."""
    try:
        yield
    except ValidationError as error:
        raise CommandError(_in_words(error)) from None
    except (PermissionDenied, cron.CronError, phrases.PhraseError, zones.UnknownZone) as error:
        raise CommandError(str(error)) from None


def _in_words(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return "\n".join(f"{name}: {' '.join(messages)}" for name, messages in error.message_dict.items())
