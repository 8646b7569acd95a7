"""What may surprise whoever saves a schedule, said beside the preview. Nothing here stops a save."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from runs import words
from schedules import clock_changes, cron, frequency, simple_modes, zones
from schedules.kinds import JobKind
from schedules.models import Schedule

NEAR = timedelta(minutes=10)
MOST_NAMED = 3


def of(
    trial: Schedule, times: Sequence[datetime], now: datetime, *, kind: JobKind | None = None, wall: datetime | None = None,
    existing: Schedule | None = None, names_others: bool = True,
) -> list[str]:  # fmt: skip
    """Sentences, the most important first. ``wall`` is the date and time of a single run as it was typed."""
    busiest = frequency.busiest_hour(trial)
    found = [*_existing(trial, existing), *_too_often(busiest, kind), *_days(trial), *_clocks(trial, now, wall)]
    if names_others and kind is not None and busiest <= 1:
        found += _near_others(kind, times, existing)
    return found


def _existing(trial: Schedule, existing: Schedule | None) -> list[str]:
    if existing is None:
        return []
    found = []
    if existing.is_paused:
        found.append("This schedule is paused. Nothing runs until somebody resumes it; saving does not.")
    same = (trial.mode, trial.expression, trial.time_zone, trial.every_seconds, trial.once_at, trial.calendar_id)
    old = (
        existing.mode, existing.expression, existing.time_zone, existing.every_seconds, existing.once_at,
        existing.calendar_id,
    )  # fmt: skip
    if existing.skip_at is not None and existing.skip_at > trial.cursor_at and same != old:
        skipped = words.local(existing.skip_at, existing.time_zone)
        found.append(f"The run of {skipped} was to be skipped. With a new timing that is forgotten: skip it again.")
    return found


def _too_often(busiest: int, kind: JobKind | None) -> list[str]:
    if kind is None or not kind.most_per_hour or busiest <= kind.most_per_hour:
        return []
    return [f"This runs up to {busiest} times an hour. Readers rarely want a {kind.label.lower()} that often."]


def _days(trial: Schedule) -> list[str]:
    if trial.mode != Schedule.Mode.CRON:
        return []
    fields = cron.parse(trial.expression, trial.time_zone).fields
    if fields.has_day and fields.has_weekday:
        return ["Both a day of the month and a weekday are set. It runs only when both are true, not when either is."]
    simple = simple_modes.find(trial.expression)
    is_numbered = simple is not None and simple.mode == simple_modes.MONTHLY and simple.month_on == simple_modes.ON_DAY
    if simple is not None and is_numbered and simple.month_day > 28:
        without = {29: "February, except in leap years", 30: "February"}.get(
            simple.month_day, "months of 30 days and February"
        )
        return [f"There is no run in {without}. “The last day” runs every month."]
    if simple is not None and simple.month_on == simple_modes.ON_NTH and simple.month_nth == 5:
        return ["Most months have no fifth such day, and no run then. “Last” runs every month."]
    return []


def _clocks(trial: Schedule, now: datetime, wall: datetime | None) -> list[str]:
    zone = zones.zone(trial.time_zone)
    if trial.mode == Schedule.Mode.CRON:
        return clock_changes.of_pattern(trial.expression, zone, now)
    if trial.mode == Schedule.Mode.INTERVAL:
        return clock_changes.of_interval(timedelta(seconds=trial.every_seconds or 0), zone, now)
    return [] if wall is None else clock_changes.of_wall(wall, zone)


def _near_others(kind: JobKind, times: Sequence[datetime], existing: Schedule | None) -> list[str]:
    """Others of the kind share its queue. Each is looked at by its next run only: one probe of an index per time."""
    if not times:
        return []
    near = Q()
    for moment in times:
        near |= Q(next_due_at__range=(moment - NEAR, moment + NEAR))
    others = Schedule.objects.filter(near, kind=kind.key, paused_at=None, broken_reason="").select_related(
        "periodic_task"
    )
    if existing is not None:
        others = others.exclude(pk=existing.pk)
    return [
        f"“{other.name}” is due {words.local(other.next_due_at, other.time_zone)}, within 10 minutes of one of these runs. "
        "The later of the two may have to wait."
        for other in others.order_by("next_due_at")[:MOST_NAMED]
        if other.next_due_at is not None
    ]
