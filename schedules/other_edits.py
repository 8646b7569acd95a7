"""What somebody else changed in a schedule while it was open in a form."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import QuerySet

from runs.models import AuditEntry
from runs.row_numbers import row_number
from schedules import change_words
from schedules.change_words import Difference
from schedules.cron_words import joined
from schedules.models import Schedule

MOST = 5


@dataclass(frozen=True)
class OtherEdit:
    """One saved change."""

    who: str
    at: datetime
    action: str
    differences: list[Difference] = field(default_factory=list)


def last_entry(schedule_id: int) -> str:
    """Marks where the audit trail of the schedule ends as the form is shown."""
    newest = _trail(schedule_id).values_list("pk", flat=True).first()
    return str(newest or 0)


def since(schedule: Schedule, seen_entry: str, seen_at: datetime) -> list[OtherEdit]:
    """The latest changes after the form was shown, oldest first; by time where the form did not say where it stood."""
    later = _later(schedule.pk, seen_entry)
    if later is None:
        later = _trail(schedule.pk).filter(at__gt=seen_at)
    return [
        OtherEdit(
            entry.actor_name or "Almanac itself",
            entry.at,
            entry.action,
            change_words.differences(entry, schedule.time_zone) if entry.before else [],
        )
        for entry in reversed(later[:MOST])
    ]


def names(schedule_id: int, seen_entry: str) -> str:
    """Who changed it after the form was shown: "anna and bo"."""
    later = _later(schedule_id, seen_entry)
    found = (
        []
        if later is None
        else [name or "Almanac itself" for name in later.values_list("actor_name", flat=True)[:MOST]]
    )
    return joined(list(dict.fromkeys(reversed(found)))) or "Somebody else"


def _later(schedule_id: int, seen_entry: str) -> QuerySet[AuditEntry] | None:
    seen = row_number(seen_entry)
    return None if seen is None else _trail(schedule_id).filter(pk__gt=seen)


def _trail(schedule_id: int) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(
        object_type="schedules.schedule", object_id=str(schedule_id), was_refused=False
    ).order_by("-id")
