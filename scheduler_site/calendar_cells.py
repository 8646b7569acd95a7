"""Pure: how often a timing falls due in each cell of the calendar, day by day instead of due time by due time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from scheduler_site import density
from schedules import cron, zones
from schedules.cron_fields import Fields
from schedules.timing import CronTiming, IntervalTiming, OnceTiming, Timing

QUARTER = timedelta(minutes=15)
"""Since 1972 every zone's clocks differ from UTC by whole quarters of an hour, so none is cut by a cell's edge."""
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Counts = Counter[int]
"""By the number of the cell; cells that hold nothing are not in it."""


@dataclass(frozen=True, slots=True)
class _Day:
    """A date of one zone, and the cell that each quarter of an hour of it lies in (-1: none)."""

    start: datetime
    end: datetime
    is_even: bool
    """Whether its clocks stand still."""
    quarters: tuple[int, ...]
    only: int | None
    """The cell that all of it lies in."""


class Cells:
    """The stretches between neighbouring edges."""

    def __init__(self, edges: Sequence[datetime]) -> None:
        self.edges = list(edges)
        self._instants = [(edge - _EPOCH) // _MICROSECOND for edge in self.edges]
        self._days: dict[tuple[str, date], _Day] = {}

    def count(self, timing: Timing, since: datetime, until: datetime) -> Counts:
        """How many of the due times with since <= due < until lie in each cell."""
        since, until = max(since, self.edges[0]), min(until, self.edges[-1])
        found: Counts = Counter()
        if since >= until:
            return found
        match timing:
            case CronTiming():
                self._count_pattern(timing, since, until, found)
            case IntervalTiming():
                self._count_interval(timing, since, until, found)
            case OnceTiming():
                found.update([self.of(timing.at)] if since <= timing.at < until else [])
            case _:
                found.update(map(self.of, density.due_times(timing, since, until, density.STEPPED_AT_MOST)))
        return found

    def of(self, moment: datetime) -> int:
        """The cell that an instant lies in. An hour that the clocks skip is empty: the last of equal edges counts."""
        return bisect_right(self.edges, moment) - 1 if self.edges[0] <= moment < self.edges[-1] else -1

    def _count_pattern(self, timing: CronTiming, since: datetime, until: datetime, found: Counts) -> None:
        spec = timing.spec
        fields = spec.fields
        a_day = len(fields.hours) * len(fields.minutes)
        by_quarter = sorted(Counter(minute // 15 for minute in fields.minutes).items())
        date_of = since.astimezone(zones.zone(spec.timezone)).date()
        day = self._day(spec.timezone, date_of)
        while day.start < until:
            start, end = max(since, day.start), min(until, day.end)
            if not day.is_even:
                found.update(map(self.of, density.due_times(timing, start, end, density.STEPPED_AT_MOST)))
            elif not cron.matches_date(fields, date_of):
                pass
            elif start > day.start or end < day.end:
                _count_part(day, fields, start, end, found)
            elif day.only is not None:
                found[day.only] += a_day
            else:
                for hour in fields.hours:
                    for quarter, number in by_quarter:
                        found[day.quarters[hour * 4 + quarter]] += number
            date_of += density.DAY
            day = self._day(spec.timezone, date_of)
        found.pop(-1, None)

    def _count_interval(self, timing: IntervalTiming, since: datetime, until: datetime, found: Counts) -> None:
        every, anchor = timing.every // _MICROSECOND, (timing.anchor - _EPOCH) // _MICROSECOND
        first, last = self.of(since), bisect_left(self.edges, until)
        ends = [(moment - _EPOCH) // _MICROSECOND for moment in (since, until)]
        cuts = [ends[0], *self._instants[first + 1 : last], ends[1]]
        # Nothing is due before the anchor.
        before = [-((anchor - cut) // every) if cut > anchor else 0 for cut in cuts]
        for cell, (low, high) in enumerate(pairwise(before), start=first):
            if high > low:
                found[cell] += high - low

    def _day(self, zone_name: str, day: date) -> _Day:
        known = self._days.get((zone_name, day))
        if known is None:
            start, end, is_even = density.day_of(zone_name, day)
            ends = {self.of(start), self.of(end - density.TICK)}
            only = ends.pop() if len(ends) == 1 else None
            if not is_even:
                quarters: tuple[int, ...] = ()
            elif only is not None:
                quarters = (only,) * 96
            else:
                quarters = tuple(self.of(start + QUARTER * number) for number in range(96))
            known = self._days[zone_name, day] = _Day(start, end, is_even, quarters, only)
        return known


def _count_part(day: _Day, fields: Fields, start: datetime, end: datetime, found: Counts) -> None:
    """The due times of a part of a day, one by one."""
    minute = timedelta(minutes=1)
    first, last = -((day.start - start) // minute), -((day.start - end) // minute)
    for hour in fields.hours:
        if hour * 60 + 59 < first or hour * 60 >= last:
            continue
        for number in fields.minutes:
            if first <= hour * 60 + number < last:
                found[day.quarters[(hour * 60 + number) // 15]] += 1
