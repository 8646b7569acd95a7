"""The schedule form's save, once however often the same form is posted."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

from django.core.exceptions import ValidationError

from runs import clock
from runs.audit import Actor
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

JUST = timedelta(hours=1)
"""So long after the first save an equal second one is taken for the same."""


def new_key() -> str:
    """One per shown form; the browser forgets what was typed in a form once its key was saved."""
    return uuid.uuid4().hex


def is_key(text: str) -> bool:
    """Whether it looks like a key that a form carried."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


def create_once(actor: Actor, draft: ScheduleDraft) -> Schedule:
    """As :func:`schedules.services.create_schedule`, but the second of two equal saves leads to the first one's schedule.

    Raises:
        ValidationError: a message per field.
        PermissionDenied: the actor may not add schedules, or not of this kind.
    """
    try:
        return services.create_schedule(actor, draft)
    except ValidationError:
        # Two clicks at one time: both looked before either wrote, and the name admits one of them.
        earlier = just_saved(actor, draft)
        if earlier is None:
            raise
        return earlier


def just_saved(actor: Actor, draft: ScheduleDraft) -> Schedule | None:
    """The schedule that the same person made of the same values a moment ago."""
    if actor is None or not draft.name:
        return None
    schedule = (
        Schedule.objects.select_related("periodic_task")
        .filter(periodic_task__name=draft.name, owner_id=actor.pk, created_at__gte=clock.now() - JUST)
        .first()
    )
    return schedule if schedule is not None and ScheduleDraft.of(schedule) == draft else None
