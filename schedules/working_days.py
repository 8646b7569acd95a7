"""Pure: which days are off, by country and by days of one's own. The only importer of the holidays library."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

import holidays
from holidays import registry

LONGEST_STREAK_DAYS = 60
"""No calendar has more days off in a row; a list that says so is a mistake."""
_LINE = re.compile(r"(?:(\d{4})-)?(\d{1,2})-(\d{1,2})(?:\s+(.*))?")


class CalendarError(ValueError):
    """The calendar cannot be read; the message says which line and shows a right one."""


@dataclass(frozen=True)
class OwnDay:
    """One day off of one's own, in one year or in every year."""

    month: int
    day: int
    name: str
    year: int | None = None

    def is_on(self, day: date) -> bool:
        return (self.month, self.day) == (day.month, day.day) and self.year in (None, day.year)


def read_own_days(text: str) -> tuple[OwnDay, ...]:
    """One day a line: "2026-12-24 Christmas Eve", or "12-24 Christmas Eve" for every year; # begins a comment.

    Raises:
        CalendarError: naming the line.
    """
    days = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        try:
            if match is None:
                raise ValueError
            year, month, day, name = match.groups()
            date(int(year or 2024), int(month), int(day))  # 2024 has a 29 February
        except ValueError:
            raise CalendarError(
                f"Line {number} (“{line[:40]}”) is no date. Write 2026-12-24 Christmas Eve, or 12-24 for every year."
            ) from None
        days.append(OwnDay(int(month), int(day), (name or "own day off").strip()[:80], int(year) if year else None))
    return tuple(days)


class WorkingDays:
    """Says of any day whether it is a holiday, and which is the next working day."""

    def __init__(self, public: Any, own: tuple[OwnDay, ...]) -> None:
        self._public = public
        self._own = own
        self._lock = threading.Lock()
        weekend: set[int] = {5, 6} if public is None else set(public.weekend)
        self._weekend = weekend

    def holiday(self, day: date) -> str:
        """The holiday's name; empty when the day is none. A weekend is no holiday."""
        for own in self._own:
            if own.is_on(day):
                return own.name
        if self._public is None:
            return ""
        with self._lock:  # the library fills a year in while it is asked
            return str(self._public.get(day) or "")

    def coming(self, after: date, count: int) -> list[tuple[date, str]]:
        """The next holidays from ``after`` on, at most two years ahead."""
        days = (after + timedelta(days=ahead) for ahead in range(731))
        return list(islice(((day, name) for day in days if (name := self.holiday(day))), count))

    def is_working_day(self, day: date) -> bool:
        """Neither a holiday nor a weekend of the country (Saturday and Sunday where none is chosen)."""
        return day.weekday() not in self._weekend and not self.holiday(day)

    def next_working_day(self, day: date) -> date:
        """The first working day after ``day``. Raises CalendarError when there is none within two months."""
        for ahead in range(1, LONGEST_STREAK_DAYS + 1):
            if self.is_working_day(day + timedelta(days=ahead)):
                return day + timedelta(days=ahead)
        raise CalendarError(f"There is no working day in the {LONGEST_STREAK_DAYS} days after {day}.")

    def streak_start(self, day: date) -> date:
        """The first day of the days off that end at or right before ``day``; the day itself when there are none."""
        start = day
        for _ in range(LONGEST_STREAK_DAYS):
            if self.is_working_day(start - timedelta(days=1)):
                break
            start -= timedelta(days=1)
        return start


@lru_cache(maxsize=200)
def working_days(country: str, subdivision: str, own_days: str) -> WorkingDays:
    """Reads a calendar once. Raises CalendarError when the country, the region or a line is unknown."""
    own = read_own_days(own_days)
    if not country:
        return WorkingDays(None, own)
    try:
        public = holidays.country_holidays(country, subdiv=subdivision or None, language="en_US")
    except NotImplementedError:
        where = f"{country} {subdivision}".strip()
        raise CalendarError(f"“{where}” is no country or region with known holidays.") from None
    return WorkingDays(public, own)


def countries() -> dict[str, str]:
    """The countries with known holidays: code and English name."""
    names = {entry[1]: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", entry[0]) for entry in registry.COUNTRIES.values()}
    return dict(sorted(names.items(), key=lambda item: item[1]))


def region(country: str, text: str) -> str:
    """The code of a region given by code or name. Raises CalendarError, naming the country's regions."""
    text = text.strip()
    if not text:
        return ""
    known = holidays.country_holidays(country)
    names: dict[str, str] = {name.casefold(): code for name, code in getattr(known, "subdivisions_aliases", {}).items()}
    names |= {code.casefold(): code for code in known.subdivisions}
    if text.casefold() in names:
        return names[text.casefold()]
    if not names:
        raise CalendarError(f"{countries()[country]} has the same holidays everywhere; leave this empty.")
    raise CalendarError(f"“{text}” is no region of {countries()[country]}. There are: {', '.join(known.subdivisions)}.")
