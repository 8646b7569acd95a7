"""JSON Lines for programs: one object a row, numbers with every digit, moments with their offset."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from json.encoder import encode_basestring
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from reports.datasets.registry import Row
from reports.sources import Head
from reports.writers import cells
from reports.writers.writer import About, Sink

ROWS_AT_ONCE = 500


class JsonlWriter:
    """A JSON Lines file in the making. Text is written as it is: programs run no formulas."""

    def __init__(self, sink: Sink, heads: Sequence[Head], about: About) -> None:
        self._sink = sink
        self._zone = ZoneInfo(about.zone)
        self._labels = [cells.labels(head) for head in heads]
        names = (encode_basestring(name) for name in cells.unique_names(heads))
        # The braces, names and commas of every object; only the values change.
        self._object = "{" + ", ".join(f"{name.replace('%', '%%')}: %s" for name in names) + "}\n"
        self._writes: dict[type, Callable[[Any], str]] = {
            str: encode_basestring, int: str, bool: lambda value: "true" if value else "false",
            type(None): lambda value: "null", datetime: self._moment, float: _float, Decimal: _decimal,
        }  # fmt: skip

    def write(self, rows: Sequence[Row]) -> None:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            columns = cells.by_column(rows[start : start + ROWS_AT_ONCE], self._labels)
            values = zip(*([self._value(value) for value in column] for column in columns), strict=True)
            self._sink.write("".join(self._object % row for row in values).encode("utf-8", "replace"))

    def end(self, summary: Mapping[str, Any]) -> None:
        """Every row is in the sink already."""

    def discard(self) -> None:
        """It keeps nothing beside the sink."""

    def _value(self, value: Any) -> str:
        write = self._writes.get(type(value))
        return write(value) if write is not None else self._other(value)

    def _moment(self, value: datetime) -> str:
        return f'"{cells.in_zone(value, self._zone).isoformat()}"'

    def _other(self, value: Any) -> str:
        if isinstance(value, dict | list | tuple):
            return json.dumps(value, ensure_ascii=False, default=lambda inner: cells.as_text(inner, self._zone))
        if isinstance(value, date):
            return f'"{value.isoformat()}"'
        return encode_basestring(cells.as_text(value, self._zone))


def _float(value: float) -> str:
    # JSON has no words for these three; as text they are the ones that PostgreSQL uses.
    return repr(value) if isfinite(value) else encode_basestring(cells.number_text(value))


def _decimal(value: Decimal) -> str:
    text = cells.number_text(value)
    return text if value.is_finite() else encode_basestring(text)
