"""Archives in Parquet: one file holds the rows of all tables of a part, each column under "table.column".

Every row says in ``table`` which one it is of; the columns of the other tables are empty, which costs Parquet nothing.
"""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Iterator, Sequence
from datetime import date
from datetime import time as dtime
from pathlib import Path
from typing import Any

from django.db import connection, models

from cleanup import table_sql
from cleanup.archive_file import ArchiveError, DraftArchive, Piece, in_words
from cleanup.table_sql import fields_of, meant

_AT_ONCE = 5000
_WHOLE = (models.IntegerField, models.AutoField)


def load() -> None:
    """Loads the library, which takes as long as many batches; before the first of them."""
    importlib.import_module("pyarrow.parquet")


class ParquetWriter:
    """Takes rows as they are deleted."""

    def __init__(self, draft: DraftArchive, head: dict[str, Any], tables: Sequence[type[models.Model]]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._pa = pa
        kinds = {name: kind for model in tables for name, kind in _columns(model, pa)}
        own = [("table", pa.dictionary(pa.int8(), pa.string())), ("unlinked_column", pa.string())]
        own += [("unlinked_pk", pa.string()), ("unlinked_value", pa.string())]
        self._schema = pa.schema([*own, *kinds.items()], metadata={"almanac": json.dumps(head)})
        with in_words():
            self._file = parquet.ParquetWriter(
                draft, self._schema, compression="zstd", compression_level=1, write_page_checksum=True
            )

    def delete(self, model: type[models.Model], condition: str, parameters: Sequence[Any]) -> int:
        """Deletes the rows of the condition and keeps them; returns how many."""
        if connection.vendor == "postgresql":
            statement = f"DELETE FROM {table_sql.name_of(model)} AS t WHERE {condition} RETURNING {_selected(model)}"
            return self._take(model, statement, parameters)
        count = self.keep(model, condition, parameters)
        table_sql.delete(model, condition, parameters)
        return count

    def keep(self, model: type[models.Model], condition: str, parameters: Sequence[Any]) -> int:
        """Keeps the rows of the condition, which something else deletes; returns how many."""
        statement = f"SELECT {_selected(model)} FROM {table_sql.name_of(model)} AS t WHERE {condition}"
        return self._take(model, statement, parameters)

    def cut(self, model: type[models.Model], column: str, links: Sequence[tuple[Any, Any]]) -> None:
        """Keeps links (primary key, value of the column) that are emptied now."""
        pks, values = [str(pk) for pk, _ in links], [str(to) for _, to in links]
        if links:
            self._write(
                model,
                len(links),
                {"unlinked_column": [column] * len(links), "unlinked_pk": pks, "unlinked_value": values},
            )

    def finish(self) -> None:
        """Writes the end of the file; the draft is complete then."""
        with in_words():
            self._file.close()

    def _take(self, model: type[models.Model], statement: str, parameters: Sequence[Any]) -> int:
        count = 0
        names = [name for name, _ in _columns(model, self._pa)]
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            while rows := cursor.fetchmany(_AT_ONCE):
                prepared = [
                    _storable(field, values)
                    for field, values in zip(fields_of(model), zip(*rows, strict=True), strict=True)
                ]
                self._write(model, len(rows), dict(zip(names, prepared, strict=True)))
                count += len(rows)
        return count

    def _write(self, model: type[models.Model], count: int, values: dict[str, Sequence[Any]]) -> None:
        pa = self._pa
        try:
            arrays = [
                pa.array([model._meta.label] * count).dictionary_encode().cast(field.type) if field.name == "table"
                else pa.array(values[field.name], type=field.type) if field.name in values
                else pa.nulls(count, field.type)
                for field in self._schema
            ]  # fmt: skip
            with in_words():
                self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            raise ArchiveError(
                f"A value of {model._meta.label} does not fit into Parquet ({error}). Use JSON lines."
            ) from error


def count(path: Path) -> int:
    """How many rows and links the file on the disk holds; reads all of it, its checksums included."""
    from pyarrow import parquet

    with in_words(), parquet.ParquetFile(path, page_checksum_verification=True) as file:
        return sum(batch.num_rows for batch in file.iter_batches(batch_size=_AT_ONCE))


def read(path: Path) -> Iterator[Piece]:
    """What the file holds, a few thousand rows at most in each piece; rows are {column: value}."""
    from pyarrow import parquet

    with in_words(), parquet.ParquetFile(path, page_checksum_verification=True) as file:
        for number in range(file.num_row_groups):
            group = file.read_row_group(number)
            label = group.column("table")[0].as_py()
            if group.column("unlinked_pk")[0].as_py() is not None:
                links = zip(
                    *(group.column(f"unlinked_{name}").to_pylist() for name in ("pk", "column", "value")), strict=True
                )
                yield Piece(label, True, [dict(zip(("pk", "column", "value"), link, strict=True)) for link in links])
                continue
            names = [name for name in group.column_names if name.startswith(f"{label}.")]
            bare = [name.removeprefix(f"{label}.") for name in names]
            taken = zip(*(group.column(name).to_pylist() for name in names), strict=True)
            yield Piece(label, False, [dict(zip(bare, row, strict=True)) for row in taken])


def _columns(model: type[models.Model], pa: Any) -> list[tuple[str, Any]]:
    return [(f"{model._meta.label}.{field.column}", _kind(field, pa)) for field in fields_of(model)]


def _kind(field: models.Field[Any, Any], pa: Any) -> Any:
    own = meant(field)
    if isinstance(own, _WHOLE):
        return pa.int64()
    if isinstance(own, models.BooleanField):
        return pa.bool_()
    if isinstance(own, models.FloatField):
        return pa.float64()
    if isinstance(own, models.BinaryField):
        return pa.binary()
    if isinstance(own, models.DateTimeField) and connection.vendor == "postgresql":
        return pa.timestamp("us", tz="UTC")
    return pa.string()


def _selected(model: type[models.Model]) -> str:
    """The columns, those as text that Parquet has no kind of its own for."""
    listed = []
    for field in fields_of(model):
        own, name = meant(field), f"t.{table_sql.column_of(field)}"
        is_own_kind = isinstance(
            own, (*_WHOLE, models.BooleanField, models.FloatField, models.BinaryField, models.DateTimeField)
        )
        listed.append(name if is_own_kind or connection.vendor != "postgresql" else f"{name}::text")
    return ", ".join(listed)


def _storable(field: models.Field[Any, Any], values: Sequence[Any]) -> list[Any]:
    own = meant(field)
    if connection.vendor == "postgresql" or isinstance(own, (*_WHOLE, models.FloatField, models.BinaryField)):
        return [bytes(value) if isinstance(value, memoryview) else value for value in values]
    if isinstance(own, models.BooleanField):
        return [None if value is None else bool(value) for value in values]
    return [_as_text(value) for value in values]


def _as_text(value: Any) -> str | None:
    """A decimal is a number or a text to SQLite, as it likes: what it was is written down with it."""
    if isinstance(value, (date, dtime)):  # read as text by nature, and parsed by Django's connection
        return str(value)
    if value is None or (isinstance(value, str) and not value.startswith("\x00")):
        return value
    return f"\x00{value!r}"


def original(value: Any) -> Any:
    """What SQLite had, of what :func:`_storable` made of it."""
    if isinstance(value, bool):
        return int(value)
    return ast.literal_eval(value[1:]) if isinstance(value, str) and value.startswith("\x00") else value
