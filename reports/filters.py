"""What staff may ask of a column, and what they typed for it as the values that the database compares. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from reports.datasets.registry import Column, Kind

MAX_VALUES = 100
MAX_LENGTH = 500
_BIGGEST = 2**63 - 1


@dataclass(frozen=True)
class Question:
    """What may be asked of a column."""

    label: str
    takes: int
    """How many values: 0, 1, 2, or -1 for several, one a line."""


_EMPTY = {"empty": Question("is empty", 0), "not_empty": Question("is not empty", 0)}
_TEXT = {
    "contains": Question("contains", 1),
    "is": Question("is", 1),
    "begins": Question("begins with", 1),
    "one_of": Question("is one of", -1),
    **_EMPTY,
}
_CHOICES = {"one_of": Question("is one of", -1), "not_one_of": Question("is none of", -1)}
_NUMBER = {
    "at_least": Question("is at least", 1),
    "at_most": Question("is at most", 1),
    "between": Question("is between", 2),
    "is": Question("is", 1),
    **_EMPTY,
}
_DAY = {
    "at_least": Question("is on or after", 1),
    "at_most": Question("is on or before", 1),
    "between": Question("is between", 2),
    "is": Question("is on", 1),
    **_EMPTY,
}
_YES_NO = {"yes": Question("is yes", 0), "no": Question("is no", 0)}


class BadValue(ValueError):
    """What was typed is no value of the column; the message says so."""


def questions(column: Column) -> dict[str, Question]:
    """What may be asked of this column, by its stable name; the first is the usual one."""
    if column.choices:
        return _CHOICES
    match column.kind:
        case Kind.INTEGER | Kind.DECIMAL:
            return _NUMBER
        case Kind.DATE | Kind.MOMENT:
            return _DAY
        case Kind.YES_NO:
            return _YES_NO
        case _:
            return _TEXT


def values(column: Column, op: str, typed: Sequence[str]) -> list[Any]:
    """What was typed, as values of the column. Raises BadValue in words."""
    question = questions(column).get(op)
    if question is None:
        raise BadValue(f"Choose what to ask of “{column.label}”.")
    if question.takes == 0:
        return []
    given = [text.strip() for text in typed if text.strip()]
    if question.takes == -1:
        return _several(column, given)
    if len(given) < question.takes:
        raise BadValue("Write both values." if question.takes == 2 else _missing(column))
    found = [_value(column, text) for text in given[: question.takes]]
    if question.takes == 2 and found[1] < found[0]:
        raise BadValue("The second value is smaller than the first.")
    return found


def _several(column: Column, given: list[str]) -> list[Any]:
    if column.choices:
        unknown = [text for text in given if text not in dict(column.choices)]
        if unknown:
            raise BadValue(f"“{unknown[0][:60]}” is no longer one of the choices; choose again.")
        if not given:
            raise BadValue("Tick at least one.")
        return given
    if not given:
        raise BadValue("Write at least one, each on a line of its own.")
    if len(given) > MAX_VALUES:
        raise BadValue(f"At most {MAX_VALUES} values fit here.")
    return [_value(column, text) for text in given]


def _value(column: Column, text: str) -> Any:
    match column.kind:
        case Kind.INTEGER:
            return _whole_number(text)
        case Kind.DECIMAL:
            return _number(text)
        case Kind.DATE | Kind.MOMENT:
            return _day(text)
    if len(text) > MAX_LENGTH:
        raise BadValue(f"This is longer than {MAX_LENGTH} characters.")
    if "\x00" in text:
        raise BadValue("This has a character that no text can contain. Type it again.")
    return text


def _whole_number(text: str) -> int:
    plain = text.replace(",", "").replace("\N{NO-BREAK SPACE}", "")
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", plain) or abs(int(plain)) > _BIGGEST:
        raise BadValue(f"“{text[:60]}” is no whole number. Write one such as 100.")
    return int(plain)


def _number(text: str) -> Decimal:
    if not re.fullmatch(r"[+-]?[0-9]{1,20}([.,][0-9]{1,12})?", text):
        raise BadValue(f"“{text[:60]}” is no number. Write one such as 12.5.")
    try:
        return Decimal(text.replace(",", "."))
    except InvalidOperation as error:  # pragma: no cover - the pattern lets none through
        raise BadValue(str(error)) from error


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadValue(f"“{text[:60]}” is no day. Write one such as 2026-10-31.") from None
    if not 1900 <= day.year <= 2199:
        raise BadValue("Write a day between the years 1900 and 2199.")
    return day


def _missing(column: Column) -> str:
    if column.kind in (Kind.DATE, Kind.MOMENT):
        return "Choose a day."
    return "Write what to look for." if column.kind == Kind.TEXT else "Write a number."
