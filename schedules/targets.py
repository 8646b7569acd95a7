"""The tie between schedules and what they run: which schedules use a thing, and whose thing is gone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

from runs import locking
from schedules import kinds
from schedules.cron_words import joined
from schedules.models import Schedule

GONE = "what it should run no longer exists"
NO_TARGET = f"{GONE.capitalize()}."
CHOOSE_ANOTHER = f"{NO_TARGET} Edit the schedule and choose another."
NAMED = 3
"""Schedules that a refusal names; the others are counted."""


def schedules_of(target: Model) -> QuerySet[Schedule]:
    """The schedules that run this thing, by name, whatever state they are in."""
    keys = [kind.key for kind in kinds.of_model(type(target))]
    rows = Schedule.objects.filter(kind__in=keys, target_id=target.pk).select_related("periodic_task")
    return rows.order_by("periodic_task__name", "pk")


def require_unused(target: Model) -> None:
    """Holds the thing for the rest of the transaction, in which nobody can put it on a schedule any more.

    Raises:
        ValidationError: schedules still run it; the message names them.
    """
    list(locking.locked(type(target)._default_manager.filter(pk=target.pk)).only("pk"))
    if words := still_used(target):
        raise ValidationError(words)


def still_used(target: Model) -> str:
    """Which schedules still run it and what to do about that, in words; empty when none does."""
    rows = schedules_of(target)
    names = [f"“{schedule.name}”" for schedule in rows[:NAMED]]
    if not names:
        return ""
    if more := rows.count() - len(names):
        names.append(f"{more:,} more")
    if len(names) == 1:
        return f"The schedule {names[0]} still runs it. Delete or change that schedule first."
    return f"The schedules {joined(names)} still run it. Delete or change them first."


def hold(kind_key: str, target_id: int | None) -> None:
    """Holds what a schedule is about to run for the rest of the transaction, so that nobody deletes it meanwhile.

    Raises:
        ValidationError: it does not exist any more, or nobody here knows the kind.
    """
    kind = kinds.find(kind_key)
    if kind is not None and kind.is_schedulable:
        list(locking.locked(kind.targets().filter(pk=target_id)).only("pk"))
    if words := missing(kind_key, target_id):
        raise ValidationError({"target_id": words})


def missing(kind_key: str, target_id: int | None) -> str:
    """Why a schedule cannot run this, in words; empty when it can."""
    kind = kinds.find(kind_key)
    if kind is None:
        return "Choose what to run."
    if (kind_key, target_id) in kinds.existing([(kind_key, target_id)] if target_id is not None else []):
        return ""
    return f"That {kind.label.lower()} no longer exists. Choose another one."


def without(schedules: Iterable[Schedule]) -> set[int]:
    """The numbers of those whose thing is gone: one query per kind."""
    rows = [(schedule.pk, schedule.kind, schedule.target_id) for schedule in schedules]
    return _without(rows)


def soonest_without(schedules: QuerySet[Schedule], most: int) -> set[int]:
    """The numbers of those whose thing is gone, among the ``most`` that are due soonest: the cost is bounded."""
    due = schedules.filter(next_due_at__isnull=False).order_by("next_due_at")
    return _without(list(due.values_list("pk", "kind", "target_id")[:most]))


def _without(rows: list[tuple[Any, str, int]]) -> set[int]:
    found = kinds.existing((key, target_id) for _, key, target_id in rows)
    return {pk for pk, key, target_id in rows if (key, target_id) not in found}
