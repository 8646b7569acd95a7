"""CSV as RFC 4180 has it: UTF-8 with a byte order mark (spreadsheets need it), CRLF, guarded text."""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from types import NoneType
from typing import Any
from zoneinfo import ZoneInfo

from reports.datasets.registry import Row
from reports.sources import Head
from reports.writers import cells
from reports.writers.writer import About, Sink
from runs.guards import guard

ROWS_AT_ONCE = 500
"""So that the text of a few rows is all that is ever in memory."""

_WRITTEN_ALIKE = {int, NoneType}
_NEVER_FORMULAS = (int, float, Decimal, date, time, NoneType)


class CsvWriter:
    """A CSV file in the making; see :class:`reports.writers.writer.Writer`."""

    def __init__(self, sink: Sink, heads: Sequence[Head], about: About) -> None:
        self._sink = sink
        self._zone = ZoneInfo(about.zone)
        self._is_guarded = about.is_guarded
        self._labels = [cells.labels(head) for head in heads]
        self._lines = io.StringIO(newline="")
        self._writer = csv.writer(self._lines, lineterminator="\r\n")
        sink.write(BOM_UTF8)
        self._writer.writerow([guard(head.label) if about.is_guarded else head.label for head in heads])
        self._flush()

    def write(self, rows: Sequence[Row]) -> None:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            columns = cells.by_column(rows[start : start + ROWS_AT_ONCE], self._labels)
            self._writer.writerows(zip(*map(self._column, columns), strict=True))
            self._flush()

    def end(self, summary: Mapping[str, Any]) -> None:
        """Every row is in the sink already, and a CSV file has no place for a summary."""

    def discard(self) -> None:
        """It keeps nothing beside the sink."""

    def _flush(self) -> None:
        self._sink.write(self._lines.getvalue().encode("utf-8", "replace"))
        self._lines.seek(0)
        self._lines.truncate()

    def _column(self, values: Sequence[Any]) -> Sequence[Any]:
        kinds = set(map(type, values))
        if kinds <= _WRITTEN_ALIKE:
            return values
        if not self._is_guarded:
            return [cells.as_text(value, self._zone) for value in values]
        if kinds <= {str, NoneType}:
            return [None if value is None else _guarded(value) for value in values]
        return [self._guarded_cell(value) for value in values]

    def _guarded_cell(self, value: Any) -> str:
        text = cells.as_text(value, self._zone)
        return text if isinstance(value, _NEVER_FORMULAS) else guard(text)


def _guarded(text: str) -> str:
    # Nearly every text begins with a letter or digit and has one line: nothing there for the guard's slower look.
    return text if text[:1].isalnum() and "\n" not in text and "\r" not in text else guard(text)
