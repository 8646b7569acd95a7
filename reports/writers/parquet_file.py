"""Parquet for programs: typed columns in row groups, with what the report is in the file's own words about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyarrow import parquet

from reports.datasets.registry import Row
from reports.sources import Head
from reports.storage import told_in_words
from reports.writers import cells, facts
from reports.writers.parquet_columns import ColumnMaker
from reports.writers.stream import SinkFile
from reports.writers.writer import About, Sink
from runs import words

ROWS_A_GROUP = 50_000
ROWS_AT_ONCE = 2000
_BYTES_A_GROUP = 32 * 1024 * 1024
"""Long texts make smaller groups: a group is in memory until it is written."""


class ParquetWriter:
    """A Parquet file in the making. Text is written as it is: programs run no formulas."""

    def __init__(self, sink: Sink, heads: Sequence[Head], about: About) -> None:
        self._heads, self._about = heads, about
        self._labels = [cells.labels(head) for head in heads]
        self._file = SinkFile(sink)
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []
        self._makers: list[ColumnMaker] = []
        self._writer: parquet.ParquetWriter | None = None
        self._row_count = 0

    def write(self, rows: Sequence[Row]) -> None:
        self._rows.extend(rows)
        self._row_count += len(rows)
        while len(self._rows) >= ROWS_AT_ONCE:
            now, self._rows = self._rows[:ROWS_AT_ONCE], self._rows[ROWS_AT_ONCE:]
            self._pack(now)

    def end(self, summary: Mapping[str, Any]) -> None:
        self._pack(self._rows)
        self._rows = []
        self._write_group()
        assert self._writer is not None
        with told_in_words():
            self._writer.add_key_value_metadata(self._metadata(summary))
            self._writer.close()

    def discard(self) -> None:
        """It keeps nothing beside the sink."""
        self._rows, self._batches = [], []

    def _pack(self, rows: Sequence[Row]) -> None:
        columns = list(cells.by_column(rows, self._labels)) if rows else [() for _ in self._heads]
        if self._writer is None:
            self._begin(columns)
        arrays = [maker.array(column) for maker, column in zip(self._makers, columns, strict=True)]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        if (
            sum(batch.num_rows for batch in self._batches) >= ROWS_A_GROUP
            or sum(batch.nbytes for batch in self._batches) >= _BYTES_A_GROUP
        ):
            self._write_group()

    def _begin(self, first: Sequence[Sequence[Any]]) -> None:
        zone = ZoneInfo(self._about.zone)
        heads = zip(self._heads, cells.unique_names(self._heads), first, strict=True)
        self._makers = [ColumnMaker(head, name, zone, values) for head, name, values in heads]
        self._schema = pa.schema([maker.field for maker in self._makers])
        with told_in_words():
            self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")

    def _write_group(self) -> None:
        batches, self._batches = self._batches, []
        rows = pa.Table.from_batches(batches, self._schema)
        if rows.num_rows and self._writer is not None:
            with told_in_words():
                self._writer.write_table(rows, row_group_size=ROWS_A_GROUP)

    def _metadata(self, summary: Mapping[str, Any]) -> dict[str, str]:
        told = dict(facts.lines(self._about, summary, self._row_count))
        for maker in self._makers:
            if maker.rounded:
                told[f"Rounded in {maker.field.name}"] = f"{words.counted(maker.rounded, 'number')}, to {maker.holds}"
        return told
