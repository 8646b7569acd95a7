"""Periods such as "last month" as half-open windows of time. Pure: no clock, no database.

A window is resolved from the instant at which the report was due, so a late run covers the days it was meant for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from runs import words

MAX_DAYS = 3660
FIRST_TIME_DAYS = 7
"""What a report since the last complete one covers when there is none yet."""


@dataclass(frozen=True)
class Window:
    """Whole days in one time zone: from the start of ``first`` up to, without, the start of ``beyond``."""

    first: date
    beyond: date
    zone: str

    @property
    def start(self) -> datetime:
        """The first instant, in UTC."""
        return _day_start(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The first instant after it, in UTC."""
        return _day_start(self.beyond, self.zone)

    @property
    def days(self) -> Iterator[date]:
        """Every day of it, in order."""
        return (self.first + timedelta(days=n) for n in range((self.beyond - self.first).days))

    @property
    def words(self) -> str:
        """ "1 to 31 October 2026, Europe/Berlin"."""
        return f"{_day_words(self.first, self.beyond)}, {self.zone}"


def between(start: datetime, end: datetime, zone: str) -> Window:
    """The window with these ends. Raises zoneinfo.ZoneInfoNotFoundError (a KeyError) for an unknown zone."""
    clock = ZoneInfo(zone)
    return Window(start.astimezone(clock).date(), end.astimezone(clock).date(), zone)


def resolve(
    period: str,
    due_at: datetime,
    zone: str,
    last_n: int | None = None,
    *,
    previous_end: datetime | None = None,
    fixed: tuple[date | None, date | None] = (None, None),
) -> Window:
    """The window of a period for a report that was due at ``due_at`` (aware).

    ``previous_end`` is where the last complete report ended (for ``since_last``; None before the first one), ``fixed``
    the first and the last day, both included (for ``fixed``).

    Raises:
        ValueError: an unknown period, or what it takes is missing or out of range, in words.
        zoneinfo.ZoneInfoNotFoundError: an unknown time zone (a KeyError).
    """
    today = due_at.astimezone(ZoneInfo(zone)).date()
    month = today.replace(day=1)
    match period:
        case "yesterday":
            return Window(today - timedelta(days=1), today, zone)
        case "last_week":
            monday = today - timedelta(days=today.weekday())
            return Window(monday - timedelta(days=7), monday, zone)
        case "last_month":
            return Window((month - timedelta(days=1)).replace(day=1), month, zone)
        case "month_to_date":
            return Window(month, today, zone)
        case "last_n_days":
            if last_n is None or not 1 <= last_n <= MAX_DAYS:
                raise ValueError(f"the number of days must be between 1 and {MAX_DAYS}")
            return Window(today - timedelta(days=last_n), today, zone)
        case "since_last":
            return _since(previous_end, today, zone)
        case "fixed":
            return _fixed(*fixed, zone)
    raise ValueError(f"unknown period {period!r}")


def _since(previous_end: datetime | None, today: date, zone: str) -> Window:
    if previous_end is None:
        return Window(today - timedelta(days=FIRST_TIME_DAYS), today, zone)
    # Of a day that an earlier report of another zone cut through, nothing is left out: the whole day counts again.
    return Window(min(previous_end.astimezone(ZoneInfo(zone)).date(), today), today, zone)


def _fixed(first: date | None, last: date | None, zone: str) -> Window:
    if first is None or last is None:
        raise ValueError("the first or the last day is missing")
    if last < first:
        raise ValueError("the last day lies before the first one")
    if (last - first).days >= MAX_DAYS:
        raise ValueError(f"it covers more than {MAX_DAYS:,} days")
    if not 1970 <= first.year <= last.year <= 2199:
        raise ValueError("the years must lie between 1970 and 2199")
    return Window(first, last + timedelta(days=1), zone)


def _day_start(day: date, zone: str) -> datetime:
    # Where clocks jump over midnight, fold=0 takes the offset before the jump: exactly the instant of the jump.
    # Where midnight comes twice, it takes the first. So days tile time without a gap or an overlap.
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(timezone.utc)


def _day_words(first: date, beyond: date) -> str:
    last = beyond - timedelta(days=1)
    if last < first:
        return f"no day yet (from {words.plain_date(first)})"
    return words.plain_date(first) if first == last else words.days(first, last)
