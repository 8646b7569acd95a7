"""Pure: the one evaluator of cron patterns, for form, preview, calendar, dispatcher and watchdog alike.

croniter walks naive wall-clock times with day of the month AND weekday, as celery means them; this module maps
them to instants. A pattern whose minute or hour begins with ``*`` follows elapsed time through clock changes;
every other one is a fixed time of day (see docs/cron.md).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from schedules import cron_words, wall_clock, zones
from schedules.cron_fields import CronError, Fields, read

__all__ = ["CronError", "CronSpec", "parse"]

HORIZON = datetime(2200, 1, 1)
YEARS_TO_FIRST = 60
"""29 February on a given weekday may be 40 years away; what does not occur within this never occurs."""
EXAMPLE = "For example 0 9 * * mon is every Monday at 09:00"


@dataclass(frozen=True)
class CronSpec:
    """A pattern in a time zone, parsed once."""

    expression: str
    """The pattern, with single spaces and in lower case."""
    timezone: str
    """The IANA name of the zone whose clock it follows."""
    fields: Fields = field(repr=False)
    _zone: ZoneInfo = field(repr=False, compare=False)
    _walker: _Walker = field(repr=False, compare=False)
    _memory: _Memory = field(repr=False, compare=False)

    @property
    def follows_elapsed_time(self) -> bool:
        """Whether it keeps its spacing through clock changes instead of its time of day."""
        return self.fields.follows_elapsed_time

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        """The next ``count`` instants, aware UTC, strictly after ``after``; fewer only near the year 2200."""
        found: list[datetime] = []
        for _ in range(count):
            following = self._next(found[-1] if found else after.astimezone(UTC))
            if following is None:
                break
            found.append(following)
        return found

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """At most ``limit`` instants with after < instant <= until, earliest first."""
        found: list[datetime] = []
        while len(found) < limit:
            following = self._next(found[-1] if found else after.astimezone(UTC))
            if following is None or following > until:
                break
            found.append(following)
        return found

    def describe(self) -> str:
        """The pattern in plain English, true to what it does."""
        return cron_words.describe(self.fields)

    def celery_fields(self) -> tuple[dict[str, str], bool]:
        """The nearest values for celery's own crontab, and whether they mean exactly the same.

        celery cannot say "last" or "n-th", and treats clock changes differently.
        """
        names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        plain = self.fields
        weekdays = plain.weekdays
        if plain.nth_weekdays:
            weekdays = (weekdays or frozenset()) | {weekday for weekday, _ in plain.nth_weekdays}
        days = plain.days
        if plain.has_last_day:
            days = (days or frozenset()) | {28, 29, 30, 31}
        values = (
            _listed(plain.minutes, 60),
            _listed(plain.hours, 24),
            _listed(days, 31),
            _listed(plain.months, 12),
            _listed(weekdays, 7),
        )
        is_exact = not plain.nth_weekdays and not plain.has_last_day
        return dict(zip(names, values, strict=True)), is_exact

    def _next(self, after: datetime) -> datetime | None:
        remembered = self._memory.after(after)
        if remembered is not None:
            return remembered
        following = self._next_elapsed(after) if self.follows_elapsed_time else self._next_fixed(after)
        if following is not None:
            self._memory.keep(after, following)
        return following

    def _next_fixed(self, after: datetime) -> datetime | None:
        """Several wall-clock times can fall on one instant (the end of a gap): they are one."""
        for wall in self._walker.walk(after.astimezone(self._zone).replace(tzinfo=None, fold=0)):
            moment = wall_clock.instant(wall, self._zone)
            if moment > after:
                return moment
        return None

    def _next_elapsed(self, after: datetime) -> datetime | None:
        """Walks the stretches of constant offset: what a gap leaves out is not made up for, what comes twice runs twice."""
        moment = after
        while moment.year < HORIZON.year:
            offset = wall_clock.offset_at(moment, self._zone)
            wall = next(self._walker.walk((moment + offset).replace(tzinfo=None)), None)
            if wall is None:
                return None
            candidate = (wall - offset).replace(tzinfo=UTC)
            change = wall_clock.next_change(moment, candidate, self._zone)
            if change is None:
                return candidate
            # The clocks change first: go on from just before the change, with the new offset.
            new_offset = wall_clock.offset_at(change, self._zone)
            wall_at_change = (change + new_offset).replace(tzinfo=None)
            wall = next(self._walker.walk(wall_at_change - timedelta(microseconds=1)), None)
            if wall is not None and wall == wall_at_change:
                return change
            moment = change
        return None


@dataclass
class _Memory:
    """The last few answers: "from a on, the next is b". Ten thousand schedules on one pattern ask the same."""

    answers: tuple[tuple[datetime, datetime], ...] = ()

    def after(self, moment: datetime) -> datetime | None:
        for start, following in self.answers:  # one read of the tuple: another thread may replace it meanwhile
            if start <= moment < following:
                return following
        return None

    def keep(self, after: datetime, following: datetime) -> None:
        self.answers = ((after, following), *self.answers[:3])


class _Walker:
    """Steps through the wall-clock times that match, without any zone.

    croniter is handed explicit lists, which it cannot misread (a one-value range it takes for every value),
    and never a mix of plain and counted weekdays, which it refuses: those days are filtered here.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        days = "*" if fields.has_last_day else _listed(fields.days, 31)
        weekdays = "*" if fields.nth_weekdays else _listed(fields.weekdays, 7)
        plain = " ".join(
            (_listed(fields.minutes, 60), _listed(fields.hours, 24), days, _listed(fields.months, 12), weekdays)
        )
        self._filters_days = fields.has_last_day or bool(fields.nth_weekdays)
        self._croniter = croniter(plain, datetime(2000, 1, 1), day_or=False, max_years_between_matches=YEARS_TO_FIRST)
        self._lock = threading.Lock()

    def walk(self, after: datetime) -> Iterator[datetime]:
        """Naive times strictly after ``after``, until the horizon."""
        while True:
            following = self._step(after)
            if following is None or following >= HORIZON:
                return
            if self._filters_days and not matches_date(self._fields, following.date()):
                after = datetime.combine(following.date(), datetime.max.time())
                continue
            yield following
            after = following

    def _step(self, after: datetime) -> datetime | None:
        with self._lock:
            try:
                following: datetime = self._croniter.get_next(datetime, start_time=after)
            except (CroniterBadDateError, OverflowError):
                return None
        return following


def parse(expression: str, timezone: str) -> CronSpec:
    """Reads a pattern in a zone.

    Raises:
        CronError: with a message in plain words and the field that is wrong.
    """
    return _parse(expression, timezone)


@lru_cache(maxsize=20_000)
def _parse(expression: str, timezone: str) -> CronSpec:
    fields = read(expression)
    try:
        zone = zones.zone(timezone)
    except zones.UnknownZone as error:
        raise CronError(str(error), "time zone") from error
    if not occurs(fields):
        raise CronError(f"It would never run: {cron_words.why_never(fields)}. {EXAMPLE}.", "day of the month")
    return CronSpec(_normalised(fields), timezone, fields, zone, _Walker(fields), _Memory())


def _normalised(fields: Fields) -> str:
    """Names in lower case, L for "last" in upper case, as people write them."""
    minute, hour, day, month, weekday = fields.texts
    with_last = [re.sub(r"(?<![a-z])l(?![a-z])", "L", text) for text in (day, weekday)]
    return " ".join((minute, hour, with_last[0], month, with_last[1]))


def matches_date(fields: Fields, day: date) -> bool:
    """Whether the pattern runs on this calendar date: month, day of the month AND weekday."""
    if day.month not in fields.months:
        return False
    if fields.has_day:
        is_last = fields.has_last_day and (day + timedelta(days=1)).day == 1
        if not is_last and (fields.days is None or day.day not in fields.days):
            return False
    if fields.has_weekday:
        weekday = day.isoweekday() % 7
        counted = (weekday, (day.day - 1) // 7 + 1) in fields.nth_weekdays
        last = (weekday, -1) in fields.nth_weekdays and (day + timedelta(days=7)).month != day.month
        if not counted and not last and (fields.weekdays is None or weekday not in fields.weekdays):
            return False
    return True


def occurs(fields: Fields) -> bool:
    """Whether any date at all matches. The calendar's weekdays repeat every 28 years between 1901 and 2099."""
    if not fields.has_day and not fields.nth_weekdays:
        return True
    day = date(2024, 1, 1)
    while day.year < 2024 + 29:
        if day.month not in fields.months:
            day = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
            continue
        if matches_date(fields, day):
            return True
        day += timedelta(days=1)
    return False


def _listed(values: frozenset[int] | tuple[int, ...] | None, size: int) -> str:
    if values is None or len(values) == size:
        return "*"
    return ",".join(str(value) for value in sorted(values))
