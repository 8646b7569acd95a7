"""Pausing and resuming many schedules, each by its own service; what cannot be done is named and stops nobody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from runs.audit import Actor
from runs.models import AuditEntry
from schedules import services
from schedules.cron import CronError
from schedules.models import Schedule

MOST = 500
"""More take longer than somebody waits for a page."""


@dataclass
class Outcome:
    """What became of each."""

    done: int = 0
    left_alone: list[str] = field(default_factory=list)
    """One sentence each: the name and why."""


def pause_many(actor: Actor, schedule_ids: Sequence[int], *, reason: str, until: datetime | None = None) -> Outcome:
    """Pauses each; those that are paused already keep their own reason.

    Raises:
        ValidationError: the reason or the time is refused; nothing is paused.
        PermissionDenied: the actor may not.
    """

    def pause(schedule: Schedule) -> None:
        if schedule.is_paused:
            raise ValidationError("paused already, and keeps its own reason")
        services.pause_schedule(actor, schedule.pk, reason=reason, until=until)

    return _each(schedule_ids, pause)


def resume_many(actor: Actor, schedule_ids: Sequence[int]) -> Outcome:
    """Resumes each; nothing that fell into a pause is run.

    Raises:
        PermissionDenied: the actor may not.
    """

    def resume(schedule: Schedule) -> None:
        if not schedule.is_paused:
            raise ValidationError("not paused")
        services.resume_schedule(actor, schedule.pk)

    return _each(schedule_ids, resume)


def _each(schedule_ids: Sequence[int], act: Callable[[Schedule], Any]) -> Outcome:
    outcome = Outcome()
    found = Schedule.objects.select_related("periodic_task").in_bulk(list(schedule_ids))
    gone = _names_of_deleted([schedule_id for schedule_id in schedule_ids if schedule_id not in found])
    outcome.left_alone += [f"{name}: deleted a moment ago" for name in gone]
    for schedule in sorted(found.values(), key=lambda schedule: schedule.name):
        try:
            if schedule.broken_reason:
                raise ValidationError("broken; edit it to put it right")
            act(schedule)
        except (ValidationError, CronError) as error:
            if not outcome.done and hasattr(error, "error_dict"):
                raise  # what was typed is refused, for all of them alike
            why = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            outcome.left_alone.append(f"“{schedule.name}”: {why}")
        else:
            outcome.done += 1
    return outcome


def _names_of_deleted(schedule_ids: Sequence[int]) -> list[str]:
    if not schedule_ids:
        return []
    entries = AuditEntry.objects.filter(
        object_type="schedules.schedule", object_id__in=[str(schedule_id) for schedule_id in schedule_ids],
        action="deleted the schedule",
    )  # fmt: skip
    names = dict(entries.values_list("object_id", "object_label"))
    return [f"“{names[str(key)]}”" if str(key) in names else f"Schedule {key}" for key in schedule_ids]
