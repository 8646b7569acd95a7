"""What is still to come in the calendar's cells, from the evaluator; the work is bounded, whatever the number of schedules.

Schedules on the same timing without a rule of their own are counted together: a hundred thousand of them cost as much
as the different timings among them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from scheduler_site import density
from schedules import targets, wall_clock, zones
from schedules.coming import why_not
from schedules.models import DeskPause, HolidayCalendar, Schedule
from schedules.policies import Pause, Policy

AT_MOST = 2000
"""Different timings, and schedules with rules of their own, that one page evaluates."""
TIMING = (
    "mode", "expression", "time_zone", "every_seconds", "anchor_at", "once_at", "calendar_id", "calendar_rule",
)  # fmt: skip


@dataclass
class Load:
    """What one cell is to hold."""

    expected: int = 0
    left_out: int = 0
    """Due times that are paused, skipped by staff or on a day off, or of a schedule whose thing is gone."""


@dataclass
class Coming:
    """The cells, and how much of everything they speak for."""

    loads: list[Load]
    counted: int = 0
    """Schedules that were looked at."""
    of: int = 0
    """Schedules that should have been."""
    unreadable: int = 0

    @property
    def is_partial(self) -> bool:
        return self.counted < self.of


@dataclass
class Several:
    """Schedules that do the same: how many, and one that stands for them all."""

    schedule: Schedule
    since: datetime
    """Their next due time: nothing is due before it."""
    count: int = 1
    values: dict[str, Any] = field(default_factory=dict)
    """What finds them in the database; empty for a schedule with rules of its own."""
    has_target: bool = True
    """Whether what they run exists."""


def per_cell(edges: Sequence[datetime], now: datetime, kind: str = "") -> Coming:
    """What falls due in each cell from the schedules' next due times on, rules and pauses honoured."""
    coming = Coming([Load() for _ in edges[1:]])
    if edges[-1] <= now:
        return coming
    desk_pauses = DeskPause.covering(now)
    for several in candidates(edges[-1], now, kind):
        try:
            loads = tally(several, edges, desk_pauses)
        except (ValueError, ArithmeticError):  # unreadable: the planner shows it broken
            coming.unreadable += several.count
            loads = []
        coming.counted += several.count
        for total, load in zip(coming.loads, loads, strict=False):
            total.expected += load.expected * several.count
            total.left_out += load.left_out * several.count
    coming.of = coming.counted
    if coming.counted >= AT_MOST:
        coming.of = max(coming.counted, due_by(edges[-1], kind).count())
    return coming


def due_by(end: datetime, kind: str = "") -> QuerySet[Schedule]:
    """The schedules that fall due before ``end``."""
    rows = Schedule.objects.filter(next_due_at__lt=end)
    return rows.filter(kind=kind) if kind else rows


def candidates(end: datetime, now: datetime, kind: str = "") -> Iterator[Several]:
    """Everything due before ``end``, the soonest first: those alike together, then those with rules of their own."""
    rows = due_by(end, kind)
    gone = targets.soonest_without(rows, AT_MOST)
    groups = (
        alike(now, gone, kind)
        .filter(next_due_at__lt=end)
        .order_by()
        .values(*TIMING)
        .annotate(count=Count("pk"), since=Min("next_due_at"))
        .order_by("since")[:AT_MOST]
    )
    found = [(row.pop("count"), row.pop("since"), row) for row in groups]
    calendars = HolidayCalendar.objects.in_bulk({row["calendar_id"] for _, _, row in found if row["calendar_id"]})
    for count, since, row in found:
        schedule = Schedule(cursor_at=now, **row)
        if schedule.calendar_id is not None:
            schedule.calendar = calendars[schedule.calendar_id]
        yield Several(schedule, since, count, row)
    special = rows.filter(_SPECIAL | Q(next_due_at__lte=now) | Q(pk__in=gone))
    for schedule in special.select_related("calendar", "periodic_task").order_by("next_due_at")[:AT_MOST]:
        assert schedule.next_due_at is not None
        yield Several(schedule, schedule.next_due_at, has_target=schedule.pk not in gone)


def alike(now: datetime, gone: set[int], kind: str = "") -> QuerySet[Schedule]:
    """Schedules that do nothing but follow their timing and calendar, and are on time; ``gone`` have nothing to run."""
    rows = Schedule.objects.filter(
        next_due_at__gt=now, paused_at=None, skip_at=None, ends_at=None, max_runs=None, broken_reason=""
    ).exclude(pk__in=gone)
    return rows.filter(kind=kind) if kind else rows


_SPECIAL = (
    Q(paused_at__isnull=False)
    | Q(skip_at__isnull=False)
    | Q(ends_at__isnull=False)
    | Q(max_runs__isnull=False)
    | ~Q(broken_reason="")
)


def tally(several: Several, edges: Sequence[datetime], desk_pauses: Sequence[Pause]) -> list[Load]:
    """What one of them brings to each cell. Raises CronError when it cannot be read."""
    schedule = several.schedule
    policy = schedule.policy(desk_pauses)
    loads = [Load() for _ in edges[1:]]
    # A schedule that ends after a number of runs uses some of them up before the first cell.
    start = several.since if policy.runs_left is not None else max(edges[0], several.since)
    end = edges[-1] if schedule.ends_at is None else min(edges[-1], schedule.ends_at + density.TICK)
    count = density.counter(schedule.timing, start, end)
    left = policy.runs_left
    for since, until in _pieces(schedule, policy, edges, start, end):
        number = count(since, until)
        if left == 0:
            break
        if not number:
            continue
        cell = bisect_right(edges, since) - 1
        if why_not(schedule, since, policy, has_target=several.has_target):
            if cell >= 0:
                loads[cell].left_out += number
            continue
        if left is not None:
            number = min(number, left)
            left -= number
        if cell >= 0:
            loads[cell].expected += number
    return loads


def _pieces(
    schedule: Schedule, policy: Policy, edges: Sequence[datetime], start: datetime, end: datetime
) -> Iterable[tuple[datetime, datetime]]:
    """Cuts the stretch wherever a cell, a pause, the skipped time or (with a calendar) a day begins or ends."""
    cuts = {start, end, *edges}
    for pause in policy.pauses:
        cuts |= {pause.start} if pause.end is None else {pause.start, pause.end}
    if policy.skip_at is not None:
        cuts |= {policy.skip_at, policy.skip_at + density.TICK}
    if schedule.calendar_id is not None and start < end:
        zone = zones.zone(schedule.time_zone)
        day: date = start.astimezone(zone).date()
        last = end.astimezone(zone).date()
        while day <= last:
            cuts.add(wall_clock.instant(datetime.combine(day, datetime.min.time()), zone))
            day += timedelta(days=1)
    inside = sorted(cut for cut in cuts if start <= cut <= end)
    return pairwise(inside)
