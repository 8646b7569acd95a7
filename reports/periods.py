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


def resolve(period: str, due_at: datetime, zone: str, last_n: int | None = None) -> Window:
    """The window of a period for a report that was due at ``due_at`` (aware).

    Raises:
        ValueError: an unknown period, or ``last_n`` missing or out of range.
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
    raise ValueError(f"unknown period {period!r}")


def _day_start(day: date, zone: str) -> datetime:
    # Where clocks jump over midnight, fold=0 takes the offset before the jump: exactly the instant of the jump.
    # Where midnight comes twice, it takes the first. So days tile time without a gap or an overlap.
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(timezone.utc)


def _day_words(first: date, beyond: date) -> str:
    last = beyond - timedelta(days=1)
    if last < first:
        return f"no day yet (from {words.plain_date(first)})"
    return words.plain_date(first) if first == last else words.days(first, last)
