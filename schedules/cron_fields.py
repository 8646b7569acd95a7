"""Pure: reads the five fields of a cron expression into explicit values, with errors in plain words.

The accepted language is Vixie cron's as extended in practice: names, lists, ranges (also wrapped), steps, ``L`` for
the last day, ``n#k`` for the k-th weekday and ``5L`` or ``L5`` for the last one, and the ``@daily`` names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


class CronError(ValueError):
    """A pattern or zone that cannot be used; the message says why and shows a right one."""

    def __init__(self, message: str, field: str = "expression") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class FieldKind:
    """What one of the five fields may hold."""

    name: str
    low: int
    high: int
    example: str
    names: tuple[str, ...] = ()
    first_name: int = 0


MINUTE = FieldKind("minute", 0, 59, "0, 30 or */15")
HOUR = FieldKind("hour", 0, 23, "9, 8-18 or */2")
DAY = FieldKind("day of the month", 1, 31, "1, 15 or L for the last day")
MONTH = FieldKind(
    "month", 1, 12, "1, jan-mar or *",
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1,
)  # fmt: skip
WEEKDAY = FieldKind("weekday", 0, 7, "1-5, mon or fri#1", ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MAX_LENGTH = 600


@dataclass(frozen=True)
class Fields:
    """The values that an expression names. ``None`` for days or weekdays means every one."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int] | None
    has_last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int] | None
    """0 is Sunday, 6 is Saturday."""
    nth_weekdays: frozenset[tuple[int, int]]
    """(weekday, k) for the k-th such weekday of the month; k is -1 for the last."""
    texts: tuple[str, str, str, str, str]
    """The five fields as written, in lower case."""

    @property
    def follows_elapsed_time(self) -> bool:
        """Debian cron's test: the minute or the hour field begins with ``*``."""
        return self.texts[0].startswith("*") or self.texts[1].startswith("*")

    @property
    def has_day(self) -> bool:
        """Whether the day of the month is restricted."""
        return self.days is not None or self.has_last_day

    @property
    def has_weekday(self) -> bool:
        """Whether the weekday is restricted."""
        return self.weekdays is not None or bool(self.nth_weekdays)


def read(expression: str) -> Fields:
    """Splits and reads an expression. Raises CronError naming the field."""
    if len(expression) > MAX_LENGTH:
        raise CronError(f"The pattern is longer than {MAX_LENGTH} characters.")
    text = " ".join(expression.split()).lower()
    if text.startswith("@"):
        if text not in ALIASES:
            raise CronError(f"“{text}” is not known. Use one of {', '.join(sorted(ALIASES))}.")
        text = ALIASES[text]
    parts = text.split(" ") if text else []
    if len(parts) != 5:
        raise CronError(_wrong_count(len(parts)))
    minute, hour, day, month, weekday = parts
    minutes, hours = _read_plain(minute, MINUTE), _read_plain(hour, HOUR)
    days, has_last_day = _read_days(day)
    months = _read_plain(month, MONTH)
    weekdays, nth = _read_weekdays(weekday)
    return Fields(
        minutes=tuple(sorted(minutes or range(60))),
        hours=tuple(sorted(hours or range(24))),
        days=days,
        has_last_day=has_last_day,
        months=months or frozenset(range(1, 13)),
        weekdays=weekdays,
        nth_weekdays=nth,
        texts=(minute, hour, day, month, weekday),
    )


def _wrong_count(count: int) -> str:
    right = "minute, hour, day of the month, month, weekday. For example 0 9 * * mon is every Monday at 09:00"
    if count == 0:
        return f"Write a pattern of five parts: {right}."
    if count == 6:
        return f"The pattern has six parts. Seconds are not used; write five: {right}."
    return f"The pattern has {count} part{'' if count == 1 else 's'} instead of five: {right}."


def _read_plain(text: str, kind: FieldKind) -> frozenset[int] | None:
    """The values of a field, or None when it names every one."""
    values: set[int] = set()
    for item in text.split(","):
        values |= _read_item(item, kind, text)
    if kind is WEEKDAY:
        values = {value % 7 for value in values}
        return None if len(values) == 7 else frozenset(values)
    return None if len(values) == kind.high - kind.low + 1 else frozenset(values)


def _read_item(item: str, kind: FieldKind, text: str) -> set[int]:
    base, slash, step_text = item.partition("/")
    step = 1
    if slash:
        if not _is_number(step_text) or int(step_text) == 0 or int(step_text) > kind.high:
            raise _error(kind, text, f"“/{step_text}” is not a step between 1 and {kind.high}")
        step = int(step_text)
    if base == "*":
        first, last = kind.low, 6 if kind is WEEKDAY else kind.high
    elif "-" in base:
        first_text, _, last_text = base.partition("-")
        first, last = _value(first_text, kind, text), _value(last_text, kind, text)
    else:
        first = _value(base, kind, text)
        last = (6 if kind is WEEKDAY else kind.high) if slash else first
        if kind is WEEKDAY and slash and first == 7:
            first = 0
    if first <= last:
        return set(range(first, last + 1, step))
    # A wrapped range, such as 22-2 or fri-mon, goes over the end and begins again.
    if kind is WEEKDAY:
        first, last = first % 7, last % 7
    size = 7 if kind is WEEKDAY else kind.high - kind.low + 1
    length = (last - first) % size
    return {kind.low + (first - kind.low + offset) % size for offset in range(0, length + 1, step)}


def _value(text: str, kind: FieldKind, whole: str) -> int:
    if _is_number(text):
        value = int(text)
        if not kind.low <= value <= kind.high:
            raise _error(kind, whole, f"{value} is not between {kind.low} and {kind.high}")
        return value
    for index, name in enumerate(kind.names):
        if text == name or (len(text) > 3 and _LONG_NAMES.get(text) == name):
            return index + kind.first_name
    if not text:
        raise _error(kind, whole, "something is missing")
    raise _error(kind, whole, f"“{text}” cannot be read")


def _read_days(text: str) -> tuple[frozenset[int] | None, bool]:
    items = text.split(",")
    if "?" in items:
        raise _error(DAY, text, "“?” is not used; write * for every day")
    if any(re.fullmatch(r"\d*w|lw", item) for item in items):
        raise _error(DAY, text, "“W” (the nearest working day) is not used")
    plain = [item for item in items if item != "l"]
    has_last = len(plain) < len(items)
    if not plain:
        return None, True
    days = _read_plain(",".join(plain), DAY)
    return (None, False) if days is None else (days, has_last)


def _read_weekdays(text: str) -> tuple[frozenset[int] | None, frozenset[tuple[int, int]]]:
    plain: list[str] = []
    nth: set[tuple[int, int]] = set()
    for item in text.split(","):
        if item == "?":
            raise _error(WEEKDAY, text, "“?” is not used; write * for every weekday")
        if "#" in item:
            day_text, _, count = item.partition("#")
            if count == "l":
                count = "-1"
            if count not in ("1", "2", "3", "4", "5", "-1"):
                raise _error(WEEKDAY, text, f"“#{count}” must be #1 to #5")
            nth.add((_value(day_text, WEEKDAY, text) % 7, int(count)))
        elif item == "l":
            raise _error(WEEKDAY, text, "say which last weekday: 5L is the last Friday")
        elif len(item) > 1 and (item.endswith("l") or (item.startswith("l") and _is_number(item[1:]))):
            day_text = item[1:] if item.startswith("l") else item[:-1]
            nth.add((_value(day_text, WEEKDAY, text) % 7, -1))
        else:
            plain.append(item)
    if not plain:
        return None, frozenset(nth)
    weekdays = _read_plain(",".join(plain), WEEKDAY)
    return (None, frozenset()) if weekdays is None else (weekdays, frozenset(nth))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _error(kind: FieldKind, text: str, problem: str) -> CronError:
    return CronError(f"The {kind.name} “{text}” is wrong: {problem}. Write for example {kind.example}.", kind.name)


_LONG_NAMES = {
    "january": "jan", "february": "feb", "march": "mar", "april": "apr", "june": "jun", "july": "jul", "august": "aug",
    "september": "sep", "sept": "sep", "october": "oct", "november": "nov", "december": "dec", "sunday": "sun",
    "monday": "mon", "tuesday": "tue", "tues": "tue", "wednesday": "wed", "thursday": "thu", "thurs": "thu",
    "friday": "fri", "saturday": "sat",
}  # fmt: skip
