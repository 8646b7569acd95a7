"""A schedule in words and as plain values, for the command line; one that cannot be read says so and stops nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from runs import clock
from schedules import cron, zones
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule
from schedules.status import status_of


def of(schedule: Schedule, *, has_target: bool | None = None) -> dict[str, Any]:
    """What one line of ``schedule list --json`` says. Whoever lists many looks for their targets beforehand."""
    if has_target is None:
        has_target = schedule.target() is not None
    status = status_of(schedule, has_target=has_target)
    return {
        "name": schedule.name, "status": status.word.lower(), "detail": status.detail, "kind": schedule.kind,
        "target_id": schedule.target_id, "when": schedule.describe(), "expression": schedule.expression,
        "time_zone": schedule.time_zone, "next_due_at": moment(schedule.next_due_at),
    }  # fmt: skip


def in_full(schedule: Schedule) -> dict[str, Any]:
    """What ``schedule show --json`` says: every value, what it runs by name, and the next times."""
    target = schedule.target()
    draft = ScheduleDraft.of(schedule).schedule_values()
    plain = {name: moment(value) if isinstance(value, datetime) else value for name, value in draft.items()}
    return of(schedule, has_target=target is not None) | plain | {
        "target": None if target is None else str(target),
        "calendar": None if schedule.calendar is None else schedule.calendar.name,
        "owner": None if schedule.owner is None else str(schedule.owner),
        "paused_at": moment(schedule.paused_at), "paused_until": moment(schedule.paused_until),
        "pause_reason": schedule.pause_reason, "skip_at": moment(schedule.skip_at),
        "upcoming": [moment(due) for due in upcoming(schedule, 5)],
    }  # fmt: skip


def upcoming(schedule: Schedule, count: int) -> list[datetime]:
    """The next due times; none when it has ended or cannot be read."""
    try:
        found = schedule.timing.upcoming(clock.now(), count) if schedule.next_due_at is not None else []
    except cron.CronError:
        return []
    return [due for due in found if schedule.ends_at is None or due <= schedule.ends_at]


def moment(value: datetime | None) -> str | None:
    """An instant as text for machines."""
    return None if value is None else value.isoformat()


def next_run(schedule: Schedule) -> str:
    """When it runs next, on its own clock; on UTC where its clock cannot be read."""
    if schedule.next_due_at is None:
        return "It has no further run."
    return f"Next: {at_its_clock(schedule, schedule.next_due_at)}."


def at_its_clock(schedule: Schedule, instant: datetime) -> str:
    """The instant in words, on the schedule's own clock: 2026-11-23 09:00 Europe/Berlin."""
    return f"{on_its_clock(schedule, instant):%Y-%m-%d %H:%M} {_clock_name(schedule)}"


def on_its_clock(schedule: Schedule, instant: datetime) -> datetime:
    """The instant on the schedule's own clock; on UTC where that cannot be read."""
    return instant.astimezone(zones.zone(_clock_name(schedule)))


def _clock_name(schedule: Schedule) -> str:
    try:
        return zones.zone(schedule.time_zone).key
    except zones.UnknownZone:
        return "UTC"
