"""Pure: a stored timing, or words that were read, as the values of the form's fields; and the other way round."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from schedules import simple_modes
from schedules.phrases import Phrase
from schedules.simple_modes import SimpleMode

UNIT_SECONDS = {"minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
ADVANCED, INTERVAL, ONCE = "cron", "interval", "once"


def amount_and_unit(seconds: int) -> tuple[int, str]:
    """(90, "minutes"), (2, "weeks"): the largest unit that divides it evenly."""
    unit = next((u for u in reversed(UNIT_SECONDS) if seconds % UNIT_SECONDS[u] == 0), "minutes")
    return seconds // UNIT_SECONDS[unit], unit


def of_pattern(expression: str) -> dict[str, Any]:
    """The simple mode that says the same, or the pattern itself where no simple mode does."""
    simple = simple_modes.find(expression)
    if simple is None:
        return {"mode": ADVANCED, "expression": expression}
    return {**of_simple(simple), "expression": expression}


def of_simple(simple: SimpleMode) -> dict[str, Any]:
    """A simple mode as field values."""
    values: dict[str, Any] = {"mode": simple.mode, "times": simple_modes.times_text(simple.times)}
    if simple.mode == simple_modes.WEEKLY:
        values["weekdays"] = [str(day) for day in sorted(simple.weekdays, key=lambda day: (day - 1) % 7)]
    if simple.mode == simple_modes.MONTHLY:
        values["month_on"] = simple.month_on
        if simple.month_on == simple_modes.ON_DAY:
            values["month_day"] = str(simple.month_day)
        elif simple.month_on == simple_modes.ON_NTH:
            values |= {"month_nth": str(simple.month_nth), "month_weekday": str(simple.month_weekday)}
    return values


def of_seconds(seconds: int) -> dict[str, Any]:
    """An interval as field values."""
    amount, unit = amount_and_unit(seconds)
    return {"mode": INTERVAL, "every_amount": str(amount), "every_unit": unit}


def of_phrase(phrase: Phrase, zone: str) -> dict[str, Any]:
    """What words were read as, as field values."""
    if phrase.expression:
        return of_pattern(phrase.expression)
    if phrase.every is not None:
        return of_seconds(int(phrase.every.total_seconds()))
    assert phrase.at is not None
    return {"mode": ONCE, "once_at": f"{phrase.at.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"}
