"""The first rows of a report, read from the file itself: what staff see on the page is what they would download."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from reports import storage
from reports.models import Artefact, Format

SHOWN = 50
MOST_BYTES = 512 * 1024
"""Of a file that is read for it: rows may hold cells of any size."""
CELL_LENGTH = 300
READABLE = (Format.CSV, Format.JSONL, Format.PARQUET)
"""The formats that it is read from, the cheapest first."""


@dataclass(frozen=True)
class FirstRows:
    """What is shown of one file."""

    artefact: Artefact
    heads: list[str]
    rows: list[list[str]]

    @property
    def is_all(self) -> bool:
        return len(self.rows) >= self.artefact.row_count


def first_rows(artefacts: Sequence[Artefact]) -> FirstRows | None:
    """The first 50 rows of the files; None where none of them can be read for it."""
    there = [one for one in artefacts if one.format in READABLE and one.part == 1]
    for artefact in sorted(there, key=lambda one: READABLE.index(Format(one.format))):
        try:
            lines = _READERS[Format(artefact.format)](storage.path_of(artefact.key, artefact.format))
        except (OSError, ValueError, ImportError):
            continue  # missing or damaged: the download says so
        if lines:
            heads, *rows = [[_cell(value) for value in line] for line in lines]
            # A row that the limit of bytes cut through is shown without its end.
            return FirstRows(artefact, heads, [row + [""] * (len(heads) - len(row)) for row in rows])
    return None


def _csv(path: Path) -> list[list[Any]]:
    rows: list[list[Any]] = []
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            for row in islice(csv.reader(_lines(file)), SHOWN + 1):
                rows.append(row)
        except csv.Error:
            pass  # a cell too large to be read ends what is shown; the rows before it are
    return rows


def _jsonl(path: Path) -> list[list[Any]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        rows = []
        for line in islice(_lines(file), SHOWN):
            try:
                rows.append(json.loads(line))
            except ValueError:
                break  # the line that the limit of bytes cut through
    if not rows:
        return []
    if isinstance(rows[0], dict):
        return [list(rows[0]), *([row.get(name) for name in rows[0]] for row in rows)]
    return [list(row) for row in rows]


def _parquet(path: Path) -> list[list[Any]]:
    from pyarrow import parquet  # type: ignore[import-untyped, unused-ignore]  # heavy, and seldom needed

    file = parquet.ParquetFile(path)
    try:
        batch = next(file.iter_batches(batch_size=SHOWN), None)
        columns = [] if batch is None else [column.to_pylist() for column in batch.columns]
        return [list(file.schema_arrow.names), *map(list, zip(*columns, strict=True))]
    finally:
        file.close()


_READERS: dict[Format, Callable[[Path], list[list[Any]]]] = {
    Format.CSV: _csv,
    Format.JSONL: _jsonl,
    Format.PARQUET: _parquet,
}


def _lines(file: IO[str]) -> Iterator[str]:
    left = MOST_BYTES
    while left > 0 and (line := file.readline(left)):
        left -= len(line)
        yield line


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = "yes" if value is True else "no" if value is False else str(value)
    return text if len(text) <= CELL_LENGTH else f"{text[:CELL_LENGTH]}…"
