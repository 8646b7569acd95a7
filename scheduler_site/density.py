"""Pure: how often a timing falls due in a stretch, without stepping through every due time.

The evaluator decides which dates and times match; only the counting is arithmetic. On days when the clocks change,
and for timings that a calendar moves, the evaluator itself is asked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schedules import cron, wall_clock, zones
from schedules.timing import CronTiming, IntervalTiming, OnceTiming, Timing

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
STEPPED_AT_MOST = 5000
"""Due times that are stepped through one by one, where that cannot be avoided."""

Count = Callable[[datetime, datetime], int]
"""How many due times lie in start <= due < end."""


def counter(timing: Timing, start: datetime, end: datetime) -> Count:
    """A function that counts the timing's due times in any stretch between ``start`` and ``end``."""
    match timing:
        case CronTiming():
            return lambda since, until: _count_cron(timing.spec, since, until)
        case IntervalTiming():
            return lambda since, until: _before(timing, until) - _before(timing, since)
        case OnceTiming():
            return lambda since, until: int(since <= timing.at < until)
    times = due_times(timing, start, end, STEPPED_AT_MOST)
    return lambda since, until: bisect_left(times, until) - bisect_left(times, since)


def due_times(timing: Timing, start: datetime, end: datetime, limit: int) -> list[datetime]:
    """At most ``limit`` due times with start <= due < end, from the evaluator."""
    return timing.between(start - TICK, end - TICK, limit) if start < end else []


def _before(timing: IntervalTiming, moment: datetime) -> int:
    """How many of the interval's due times lie before an instant."""
    return max(0, -((timing.anchor - moment) // timing.every))


def _count_cron(spec: cron.CronSpec, since: datetime, until: datetime) -> int:
    zone = zones.zone(spec.timezone)
    day = since.astimezone(zone).date()
    count, start = 0, since
    while start < until:
        midnight, following, is_even = day_of(spec.timezone, day)
        end = min(until, following)
        if start < end:
            if not is_even:
                count += len(due_times(CronTiming(spec), start, end, STEPPED_AT_MOST))
            elif cron.matches_date(spec.fields, day):
                if start == midnight and end == following:
                    count += len(spec.fields.hours) * len(spec.fields.minutes)
                else:
                    count += _pairs_before(spec, end - midnight) - _pairs_before(spec, start - midnight)
            start = end
        day += DAY
    return count


def _pairs_before(spec: cron.CronSpec, since_midnight: timedelta) -> int:
    """How many (hour, minute) pairs of the pattern lie before this time of day."""
    hours, minutes = sorted(spec.fields.hours), sorted(spec.fields.minutes)
    hour, rest = divmod(since_midnight, timedelta(hours=1))
    count = bisect_left(hours, hour) * len(minutes)
    if hour in hours:
        count += bisect_left(minutes, -(-rest // timedelta(minutes=1)))
    return count


@lru_cache(maxsize=4000)
def day_of(zone_name: str, day: date) -> tuple[datetime, datetime, bool]:
    """A date's first instant and the next date's, and whether the clocks stand still between the two."""
    zone = ZoneInfo(zone_name)
    start = wall_clock.instant(datetime.combine(day, datetime.min.time()), zone).astimezone(UTC)
    end = wall_clock.instant(datetime.combine(day + DAY, datetime.min.time()), zone).astimezone(UTC)
    return start, end, end - start == DAY and wall_clock.next_change(start - TICK, end, zone) is None
