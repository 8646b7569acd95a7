"""Pure: the simple ways of writing a pattern (every day, every week, every month) and the patterns that they say.

They are only a way of writing: what is stored, shown and run is the pattern, read by the one evaluator.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

from schedules import phrase_words
from schedules.cron_fields import CronError, Fields, read

DAILY, WEEKLY, MONTHLY = "daily", "weekly", "monthly"
MODES = (DAILY, WEEKLY, MONTHLY)
ON_DAY, ON_LAST_DAY, ON_NTH = "day", "last", "nth"
LAST = -1
"""The last such weekday of the month."""
MOST_TIMES = 24


class SimpleModeError(ValueError):
    """A value that cannot be used; the message says why, and ``field`` which one it is."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class SimpleMode:
    """One simple way of writing; what its mode does not use is left at the default."""

    mode: str
    times: tuple[time, ...]
    """Earliest first, to the minute."""
    weekdays: frozenset[int] = frozenset()
    """Weekly: 0 is Sunday."""
    month_on: str = ON_DAY
    """Monthly: on a day number, on the last day, or on the n-th weekday."""
    month_day: int = 1
    month_nth: int = 1
    """1 to 5, or :data:`LAST`."""
    month_weekday: int = 1


def write(simple: SimpleMode) -> str:
    """The pattern that says the same.

    Raises:
        SimpleModeError: no pattern says it, or a value is missing.
    """
    minute, hour = _clock_fields(simple.times)
    if simple.mode == DAILY:
        return f"{minute} {hour} * * *"
    if simple.mode == WEEKLY:
        if not simple.weekdays:
            raise SimpleModeError("Choose at least one weekday.", "weekdays")
        return f"{minute} {hour} * * {_weekday_list(simple.weekdays)}"
    if simple.month_on == ON_LAST_DAY:
        return f"{minute} {hour} L * *"
    if simple.month_on == ON_NTH:
        counted = "L" if simple.month_nth == LAST else f"#{simple.month_nth}"
        return f"{minute} {hour} * * {simple.month_weekday}{counted}"
    if not 1 <= simple.month_day <= 31:
        raise SimpleModeError("Write a day of the month from 1 to 31.", "month_day")
    return f"{minute} {hour} {simple.month_day} * *"


def find(expression: str) -> SimpleMode | None:
    """The simple way of writing that says the same as the pattern, at every clock change too; None when none does."""
    try:
        fields = read(expression)
    except CronError:
        return None
    if fields.follows_elapsed_time or len(fields.months) < 12:
        return None
    if len(fields.minutes) * len(fields.hours) > MOST_TIMES:
        return None
    times = tuple(time(hour, minute) for hour in fields.hours for minute in fields.minutes)
    if not fields.has_day and not fields.has_weekday:
        return SimpleMode(DAILY, times)
    if fields.has_day:
        return None if fields.has_weekday else _on_a_day(fields, times)
    if not fields.nth_weekdays and fields.weekdays is not None:
        return SimpleMode(WEEKLY, times, weekdays=fields.weekdays)
    if fields.weekdays is None and len(fields.nth_weekdays) == 1:
        ((weekday, nth),) = fields.nth_weekdays
        return SimpleMode(MONTHLY, times, month_on=ON_NTH, month_nth=nth, month_weekday=weekday)
    return None


def says_the_same(one: str, other: str) -> bool:
    """Whether two patterns are the same simple way, whatever their spelling: ``0 9 * * mon`` and ``0 9 * * 1``."""
    found = find(one)
    return found is not None and found == find(other)


def read_times(text: str) -> tuple[time, ...]:
    """ "9", "09:00 and 13:00", "9am, 5pm": the times of day, earliest first.

    Raises:
        SimpleModeError: one of them is no time, or no single pattern says them all.
    """
    parts = [part for part in re.split(r"\s*(?:,|;|&|\band\b)\s*", text.lower().strip()) if part]
    if not parts:
        raise SimpleModeError("Write at what time, such as 09:00.", "times")
    found = set()
    for part in parts:
        moment = phrase_words.read_clock(part)
        if moment is None:
            shown = part[:20]
            raise SimpleModeError(f"“{shown}” is no time of day. Write for example 09:00, or 09:00, 17:00.", "times")
        found.add(moment)
    times = tuple(sorted(found))
    _clock_fields(times)
    return times


def times_text(times: Sequence[time]) -> str:
    """ "09:00, 17:00", as :func:`read_times` reads it."""
    return ", ".join(f"{moment:%H:%M}" for moment in times)


def _on_a_day(fields: Fields, times: tuple[time, ...]) -> SimpleMode | None:
    if fields.has_last_day:
        return None if fields.days else SimpleMode(MONTHLY, times, month_on=ON_LAST_DAY)
    if fields.days is None or len(fields.days) != 1:
        return None
    return SimpleMode(MONTHLY, times, month_on=ON_DAY, month_day=next(iter(fields.days)))


def _clock_fields(times: Sequence[time]) -> tuple[str, str]:
    """The minute and hour fields. A pattern runs at each of its minutes in each of its hours."""
    if not times:
        raise SimpleModeError("Write at what time, such as 09:00.", "times")
    if len(times) > MOST_TIMES:
        raise SimpleModeError(f"Write at most {MOST_TIMES} times, or choose “Every so often”.", "times")
    minutes, hours = sorted({t.minute for t in times}), sorted({t.hour for t in times})
    if {(t.hour, t.minute) for t in times} != {(hour, minute) for hour in hours for minute in minutes}:
        raise SimpleModeError(
            "Several times must share their minutes, such as 8:30 and 20:30. Make two schedules otherwise.", "times"
        )
    return _joined(minutes), _joined(hours)


def _weekday_list(weekdays: frozenset[int]) -> str:
    """ "*" for all seven, "1-5" for Monday to Friday, as people write them."""
    if len(weekdays) == 7:
        return "*"
    return "1-5" if weekdays == {1, 2, 3, 4, 5} else _joined(sorted(weekdays))


def _joined(values: Sequence[int]) -> str:
    return ",".join(str(value) for value in values)
