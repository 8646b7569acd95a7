"""Pure: the calendar's grid. Which instants a reader's months, weeks, days and hours begin and end at."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from runs import words
from schedules import wall_clock

FIRST_YEAR, LAST_YEAR = 2000, 2100
DAY = timedelta(days=1)


class NoSuchDate(ValueError):
    """The address names a date that does not exist, or one outside the calendar; the message says so in words."""


def read_month(year: int, month: int) -> date:
    """The first day of a month. Raises NoSuchDate."""
    if not 1 <= month <= 12:
        raise NoSuchDate(f"There is no month {month}; a year has the months 1 to 12.")
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise NoSuchDate(f"The calendar shows the years {FIRST_YEAR} to {LAST_YEAR}; {year} is not among them.")
    return date(year, month, 1)


def read_day(year: int, month: int, day: int) -> date:
    """A day. Raises NoSuchDate."""
    first = read_month(year, month)
    length = calendar.monthrange(year, month)[1]
    if not 1 <= day <= length:
        raise NoSuchDate(f"{words.month(first)} has {length} days; there is no day {day}.")
    return first.replace(day=day)


def in_range(day: date) -> bool:
    """Whether the calendar shows this day."""
    return FIRST_YEAR <= day.year <= LAST_YEAR


def month_days(first: date) -> list[date]:
    """Every day of the month."""
    length = calendar.monthrange(first.year, first.month)[1]
    return [first + DAY * number for number in range(length)]


def week_days(day: date) -> list[date]:
    """Monday to Sunday of the week that the day is in."""
    monday = day - DAY * day.weekday()
    return [monday + DAY * number for number in range(7)]


def previous_month(first: date) -> date:
    return (first - DAY).replace(day=1)


def next_month(first: date) -> date:
    return (first + DAY * 31).replace(day=1)


def instant(day: date, hour: int, zone: tzinfo) -> datetime:
    """When a wall-clock hour begins, in UTC; of an hour that the clocks skip, the first instant after it."""
    wall = datetime.combine(day, time(hour))
    if isinstance(zone, ZoneInfo):
        return wall_clock.instant(wall, zone)
    return wall.replace(tzinfo=zone).astimezone(UTC)


def day_edges(days: list[date], zone: tzinfo) -> list[datetime]:
    """The first instant of each day, and the end of the last one."""
    return [instant(day, 0, zone) for day in [*days, days[-1] + DAY]]


def hour_edges(days: list[date], zone: tzinfo) -> list[datetime]:
    """The first instant of each hour of these neighbouring days, and the end of the last one.

    An hour that the clocks skip begins and ends at the same instant; one that comes twice lasts two hours.
    """
    edges = [instant(day, hour, zone) for day in days for hour in range(24)]
    return [*edges, instant(days[-1] + DAY, 0, zone)]


@dataclass(frozen=True)
class Step:
    """A way from one stretch of the calendar to another."""

    label: str
    url: str
