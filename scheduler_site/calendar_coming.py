"""What is still to come in the calendar's cells, from the evaluator; the work is bounded, whatever the number of schedules.

Schedules on the same timing without a rule of their own are counted together: a hundred thousand of them cost as much
as the different timings among them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import groupby, pairwise
from operator import attrgetter, itemgetter
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from scheduler_site import density
from scheduler_site.calendar_cells import Cells, Counts
from schedules import targets, wall_clock, zones
from schedules.coming import why_not
from schedules.models import DeskPause, HolidayCalendar, Schedule
from schedules.policies import Pause, Policy

AT_MOST = 2000
"""Different timings, and schedules with rules of their own, that one page evaluates."""
ALL_AT_MOST = 50_000
"""The same for whoever chooses to wait for all of them: some seconds."""
BUDGET_SECONDS = 0.15
"""Evaluating takes no longer, so that the page is there within half a second whatever the number of schedules."""
AT_LEAST = 100
"""So many are evaluated in any case."""
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
    was_cut: bool = False
    """Whether the time was up before all had been looked at."""

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


def per_cell(edges: Sequence[datetime], now: datetime, kind: str = "", *, counts_all: bool = False) -> Coming:
    """What falls due in each cell from the schedules' next due times on, rules and pauses honoured.

    Of very many only the soonest are looked at, as far as that goes while somebody waits, unless ``counts_all``.
    """
    coming = Coming([Load() for _ in edges[1:]])
    cells = Cells(edges)
    if edges[-1] <= now:
        return coming
    desk_pauses = DeskPause.covering(now)
    started, at_most = 0.0, ALL_AT_MOST if counts_all else AT_MOST
    for number, several in enumerate(candidates(edges[-1], now, kind, at_most)):
        started = started or time.thread_time()  # not before the database has answered
        if number >= AT_LEAST and not counts_all and time.thread_time() - started > BUDGET_SECONDS:
            coming.was_cut = True
            break
        try:
            expected, left_out = _shares(several, cells, desk_pauses)
        except (ValueError, ArithmeticError):  # unreadable: the planner shows it broken
            coming.unreadable += several.count
            expected = left_out = Counter()
        coming.counted += several.count
        for cell, count in expected.items():
            coming.loads[cell].expected += count * several.count
        for cell, count in left_out.items():
            coming.loads[cell].left_out += count * several.count
    coming.of = coming.counted
    if coming.was_cut or coming.counted >= at_most:
        coming.of = max(coming.counted, due_by(edges[-1], kind).count())
    return coming


def due_by(end: datetime, kind: str = "") -> QuerySet[Schedule]:
    """The schedules that fall due before ``end``."""
    rows = Schedule.objects.filter(next_due_at__lt=end)
    return rows.filter(kind=kind) if kind else rows


def candidates(end: datetime, now: datetime, kind: str = "", at_most: int = AT_MOST) -> Iterator[Several]:
    """Everything due before ``end``, the soonest first; those alike together."""
    gone = targets.soonest_without(due_by(end, kind), AT_MOST)
    several = (_alike(end, now, kind, at_most, gone), _special(end, now, kind, at_most, gone))
    return merge(*several, key=attrgetter("since"))


def _alike(end: datetime, now: datetime, kind: str, at_most: int, gone: set[int]) -> Iterator[Several]:
    groups = (
        alike(now, gone, kind)
        .filter(next_due_at__lt=end)
        .order_by()
        .values(*TIMING)
        .annotate(count=Count("pk"), since=Min("next_due_at"))
        .order_by("since")[:at_most]
    )
    found = [(row.pop("count"), row.pop("since"), row) for row in groups]
    calendars = HolidayCalendar.objects.in_bulk({row["calendar_id"] for _, _, row in found if row["calendar_id"]})
    for count, since, row in found:
        schedule = Schedule(cursor_at=now, **row)
        if schedule.calendar_id is not None:
            schedule.calendar = calendars[schedule.calendar_id]
        yield Several(schedule, since, count, row)


def _special(end: datetime, now: datetime, kind: str, at_most: int, gone: set[int]) -> Iterator[Several]:
    """Those with rules of their own, those whose time has come, and those that have nothing to run."""
    special = due_by(end, kind).filter(_SPECIAL | Q(next_due_at__lte=now) | Q(pk__in=gone))
    ordered = special.select_related("calendar", "periodic_task").order_by("next_due_at")[:at_most]
    for schedule in ordered.iterator(chunk_size=100):
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


def tally(several: Several, cells: Cells, desk_pauses: Sequence[Pause]) -> list[Load]:
    """What one of them brings to each cell. Raises CronError when it cannot be read."""
    expected, left_out = _shares(several, cells, desk_pauses)
    return [Load(expected[number], left_out[number]) for number in range(len(cells.edges) - 1)]


def _shares(several: Several, cells: Cells, desk_pauses: Sequence[Pause]) -> tuple[Counts, Counts]:
    """By cell: what runs, and what is left out."""
    schedule = several.schedule
    policy = schedule.policy(desk_pauses)
    edges = cells.edges
    # A schedule that ends after a number of runs uses some of them up before the first cell.
    start = several.since if policy.runs_left is not None else max(edges[0], several.since)
    end = edges[-1] if schedule.ends_at is None else min(edges[-1], schedule.ends_at + density.TICK)
    expected: Counts = Counter()
    left_out: Counts = Counter()
    left = policy.runs_left
    if left == 0:
        return expected, left_out
    for since, until, is_out in _stretches(several, policy, start, end):
        found = cells.count(schedule.timing, since, until)
        if is_out:
            left_out.update(found)
        elif left is None:
            expected.update(found)
        else:
            left = max(0, left - density.counter(schedule.timing, since, until)(since, min(until, edges[0])))
            for number in sorted(found):
                taken = min(found[number], left)
                expected[number] += taken
                left -= taken
    return expected, left_out


def _stretches(
    several: Several, policy: Policy, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime, bool]]:
    """From ``start`` to ``end``, cut wherever it turns from running to being left out, and which of the two it is."""
    schedule = several.schedule
    cuts = {start, end}
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
    pieces = [
        (since, until, why_not(schedule, since, policy, has_target=several.has_target) is not None)
        for since, until in pairwise(inside)
    ]
    for is_out, alike_ones in groupby(pieces, key=itemgetter(2)):
        neighbours = list(alike_ones)
        yield neighbours[0][0], neighbours[-1][1], is_out
