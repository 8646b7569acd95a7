"""The typed parameters of a query: how they are declared, what values they take, and what is bound for a window."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError

from reports.periods import Window
from reports.queries import placeholders

Value = str | int | date | datetime
"""What is bound; a ``datetime`` is aware."""

MAX_PARAMETERS = 20
MAX_LABEL = 80
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_BIGGEST = 2**63


class Kind(StrEnum):
    """What a parameter takes."""

    PERIOD_START = "period_start"
    PERIOD_END = "period_end"
    DATE = "date"
    INTEGER = "integer"
    CHOICE = "choice"
    TEXT = "text"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def is_of_period(self) -> bool:
        """Whether the report's days fill it in, so that nobody is asked for it."""
        return self in (Kind.PERIOD_START, Kind.PERIOD_END)


_LABELS = {
    Kind.PERIOD_START: "Start of the period",
    Kind.PERIOD_END: "End of the period",
    Kind.DATE: "Date",
    Kind.INTEGER: "Whole number",
    Kind.CHOICE: "One of a few",
    Kind.TEXT: "Text",
}


@dataclass(frozen=True)
class Parameter:
    """One parameter, as it is declared."""

    name: str
    """What stands in the SQL, with a colon before it."""
    label: str
    """What people are asked for."""
    kind: Kind
    default: str = ""
    """As somebody would type it; empty where a report must say a value."""
    choices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For ``ReportQuery.parameters``."""
        return {**asdict(self), "kind": self.kind.value, "choices": list(self.choices)}


class BadValue(ValueError):
    """A value that a parameter does not take; the message says what it takes."""


class NoValue(LookupError):
    """A parameter without a value; the message is its label."""


def read(stored: Sequence[Mapping[str, Any]]) -> list[Parameter]:
    """The parameters as :meth:`Parameter.to_json` wrote them."""
    return [
        Parameter(
            name=str(one["name"]),
            label=str(one.get("label") or one["name"]),
            kind=Kind(one["kind"]),
            default=str(one.get("default") or ""),
            choices=tuple(map(str, one.get("choices") or ())),
        )
        for one in stored
    ]


def problems(declared: Sequence[Parameter]) -> dict[int, dict[str, str]]:
    """What is wrong with which of them, in words: its place → field → message."""
    wrong: dict[int, dict[str, str]] = {}
    seen: set[str] = set()
    for place, one in enumerate(declared):
        found: dict[str, str] = {}
        if not _NAME.fullmatch(one.name):
            found["name"] = "Write a name of letters, digits and _, such as region. It begins with a letter."
        elif one.name in seen:
            found["name"] = f"There is another parameter called {one.name}."
        seen.add(one.name)
        if len(one.label) > MAX_LABEL:
            found["label"] = f"Write at most {MAX_LABEL} characters."
        if one.kind is Kind.CHOICE and not one.choices:
            found["choices"] = "Write the values to choose from, with commas between them."
        if one.default and not one.kind.is_of_period and "choices" not in found:
            try:
                parse(one, one.default)
            except BadValue as error:
                found["default"] = str(error)
        if found:
            wrong[place] = found
    return wrong


def problem_with_text(sql: str, declared: Sequence[Parameter]) -> str:
    """What the text asks for and nobody declared, or the other way round, in words; empty when both agree."""
    used, known = placeholders.names(sql), [one.name for one in declared]
    unknown = [name for name in used if name not in known]
    if unknown:
        listed = ", ".join(f":{name}" for name in unknown)
        return f"The SQL uses {listed}, which is not among the parameters. Add it there, or take it out here."
    unused = [name for name in known if name not in used]
    if unused:
        listed = ", ".join(f":{name}" for name in unused)
        return f"The SQL does not use {listed}. Write it where the value belongs, or remove the parameter."
    return ""


def parse(parameter: Parameter, typed: Any) -> Value:
    """What was typed, as the type it is. Raises BadValue in words."""
    text = str(typed).strip() if parameter.kind is not Kind.TEXT else str(typed)
    match parameter.kind:
        case Kind.DATE:
            try:
                return date.fromisoformat(text)
            except ValueError:
                raise BadValue("This is not a date. Write year, month and day, such as 2026-12-24.") from None
        case Kind.INTEGER:
            if not re.fullmatch(r"[+-]?[0-9]{1,19}", text) or not -_BIGGEST <= int(text) < _BIGGEST:
                raise BadValue("Write a whole number, such as 25.")
            return int(text)
        case Kind.CHOICE:
            if text not in parameter.choices:
                raise BadValue(f"Choose one of these: {', '.join(parameter.choices)}.")
            return text
    if "\0" in text:
        raise BadValue("It holds a character (NUL) that no database text can hold. Take it out.")
    return text


def clean(declared: Sequence[Parameter], typed: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a report stores for these parameters, as JSON; those of its days are not asked for.

    Raises:
        ValidationError: a message for each parameter, by its name.
    """
    kept: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for one in declared:
        value = typed.get(one.name)
        if one.kind.is_of_period or value in (None, ""):
            if not one.kind.is_of_period and not one.default and one.kind is not Kind.TEXT:
                errors[one.name] = "Write a value; it has none by itself."
            continue
        try:
            parsed = parse(one, value)
        except BadValue as error:
            errors[one.name] = str(error)
        else:
            kept[one.name] = parsed if isinstance(parsed, int | str) else parsed.isoformat()
    if errors:
        raise ValidationError(errors)
    return kept


def bound(declared: Sequence[Parameter], values: Mapping[str, Any], window: Window) -> dict[str, Value]:
    """What is bound for a report of this window.

    Raises:
        NoValue: neither the report nor the query says one.
        BadValue: one that the parameter does not take; the message names it.
    """
    found: dict[str, Value] = {}
    for one in declared:
        if one.kind is Kind.PERIOD_START:
            found[one.name] = window.start
        elif one.kind is Kind.PERIOD_END:
            found[one.name] = window.end
        else:
            found[one.name] = _value(one, values)
    return found


def examples(declared: Sequence[Parameter]) -> dict[str, Value]:
    """Values of the right types, to let the database read a text without running it."""
    first, beyond = date(2026, 1, 1), date(2026, 2, 1)
    by_kind: dict[Kind, Value] = {
        Kind.PERIOD_START: Window(first, beyond, "UTC").start, Kind.PERIOD_END: Window(first, beyond, "UTC").end,
        Kind.DATE: first, Kind.INTEGER: 1,
    }  # fmt: skip
    return {one.name: by_kind.get(one.kind, "") for one in declared}


def _value(parameter: Parameter, values: Mapping[str, Any]) -> Value:
    typed = values.get(parameter.name)
    if typed in (None, ""):
        typed = parameter.default
    if typed == "" and parameter.kind is not Kind.TEXT:
        raise NoValue(parameter.label)
    try:
        return parse(parameter, typed)
    except BadValue as error:
        raise BadValue(f"{parameter.label}: {error}") from None
