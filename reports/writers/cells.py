"""What a value is in a file: the label of a stored value, and one kind of text for whatever has no cell of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite, isnan
from typing import Any
from zoneinfo import ZoneInfo

from reports.datasets.registry import Kind
from reports.sources import Head

_NUMBERS = (Kind.INTEGER, Kind.DECIMAL)
_IDENTIFIERS = ("id", "pk", "number", "year", "code")


def labels(head: Head) -> dict[Any, str]:
    """Stored value → what files show; empty where the values are shown as they are."""
    shown: dict[Any, str] = {}
    for value, label in head.choices:
        shown[value] = str(label)
        if value.lstrip("-").isdecimal():
            shown[int(value)] = str(label)  # choices are told in text, a column may hold the same as numbers
    return shown


def is_number(head: Head) -> bool:
    """Whether the column holds amounts: neither the labels of choices nor the numbers of things."""
    return head.kind in _NUMBERS and not head.choices and not is_identifier(head)


def is_text(head: Head) -> bool:
    """Whether its cells begin at the left, as words do."""
    return bool(head.choices) or head.kind in (Kind.TEXT, Kind.YES_NO)


def is_identifier(head: Head) -> bool:
    """Whether its numbers only name something, so that "2,026" for a year or a sum of them would be nonsense."""
    return head.name.rpartition("_")[2].lower() in _IDENTIFIERS


def by_column(rows: Sequence[Sequence[Any]], shown: Sequence[Mapping[Any, str]]) -> Iterable[Sequence[Any]]:
    """The columns of some rows, with labels where there are any: a column of one kind is converted much faster than a row."""
    columns: Iterable[Sequence[Any]] = zip(*rows, strict=True)
    for column, names in zip(columns, shown, strict=True):
        yield [names.get(value, value) for value in column] if names else column


def unique_names(heads: Sequence[Head]) -> list[str]:
    """The names of the columns for programs; a second one of the same name becomes "name_2"."""
    names: list[str] = []
    taken = {head.name for head in heads}
    for head in heads:
        name, number = head.name, 1
        while name in names or (number > 1 and name in taken):
            number += 1
            name = f"{head.name}_{number}"
        names.append(name)
    return names


def as_text(value: Any, zone: ZoneInfo) -> str:
    """Any value as the text of one cell, as PostgreSQL writes it where it has a way of its own."""
    if isinstance(value, str):
        return str(value)
    writes = _WRITES.get(type(value))
    if writes is not None:
        return writes(value)
    if isinstance(value, datetime):
        return in_zone(value, zone).isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=lambda inner: as_text(inner, zone))
    return str(value)


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment on the clock of the zone; one that does not know its zone is left as it is."""
    return moment.astimezone(zone) if moment.tzinfo is not None else moment


def number_text(value: float | Decimal) -> str:
    """Every digit of a number; the three that are none are spelt as PostgreSQL spells them."""
    if isinstance(value, Decimal):
        return f"{value:f}"  # str() would say 0E-18 for a zero of PostgreSQL's
    if isfinite(value):
        return repr(value)
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _hex(value: bytes | bytearray | memoryview) -> str:
    return "\\x" + bytes(value).hex()


_WRITES: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "yes" if value else "no",
    float: number_text,
    Decimal: number_text,
    bytes: _hex,
    bytearray: _hex,
    memoryview: _hex,
    type(None): lambda value: "",
}
