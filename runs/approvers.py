"""Whoever may agree to what somebody else made: staff with a permission, told by a notice."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth import get_user_model

from runs import notices
from runs.models import RunEvent

MOST_TOLD = 50
"""People who get a notice; beyond that nobody would feel meant."""


def tell(permission: str, text: str, *, url: str, but: Iterable[int | None]) -> int:
    """Leaves a notice for the active staff with this permission, except those people; returns how many were told."""
    backend = "django.contrib.auth.backends.ModelBackend"
    people = get_user_model()._default_manager.with_perm(permission, backend=backend)
    others = people.filter(is_staff=True).exclude(pk__in=[pk for pk in but if pk is not None])
    told = list(others.order_by("pk").values_list("pk", flat=True)[:MOST_TOLD])
    for pk in told:
        notices.tell(pk, text, url=url, level=RunEvent.Level.WARNING)
    return len(told)
