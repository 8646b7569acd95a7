"""Two statements that Django would build row by row: insert many and skip what exists, update many by id.

On PostgreSQL each is one statement over arrays (unnest); on SQLite one prepared statement over the rows. Measured on
10,000 rows: several times faster than ``bulk_create`` and ``bulk_update``, whose cost is the SQL text they build.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models

CAN_RETURN = {"postgresql": True, "sqlite": False}
"""Whether an insert of many rows can say which ones it inserted."""


def insert_ignoring(
    model: type[models.Model],
    columns: Mapping[str, Sequence[Any]],
    constants: Mapping[str, Any],
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Inserts one row per position of the columns; a row that meets a unique key is left out.

    Fields named in neither argument get their model default; ``columns`` must not be empty. On PostgreSQL the
    ``returning`` fields of the inserted rows come back; SQLite cannot say them for many rows, and nothing does.
    """
    fields = _fields(model)
    wanted = ", ".join(_quote(str(fields[name].column)) for name in returning)
    columns, same = _split(columns)
    constants = {**constants, **same}
    given = {name: fields.pop(name) for name in columns}
    fixed = {name: field for name, field in fields.items() if not field.primary_key}
    fixed_values = [constants[name] if name in constants else field.get_default() for name, field in fixed.items()]
    fixed_params = [
        field.get_db_prep_save(value, connection) for field, value in zip(fixed.values(), fixed_values, strict=True)
    ]
    names = ", ".join(_quote(str(field.column)) for field in (*given.values(), *fixed.values()))
    table = _quote(model._meta.db_table)
    variable = _prepared(given, columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            picked = ", ".join(_quote(str(field.column)) for field in given.values())
            holders = ", ".join([picked, *(f"%s::{field.db_type(connection)}" for field in fixed.values())])
            statement = f"INSERT INTO {table} ({names}) SELECT {holders} FROM {_unnest(given)} ON CONFLICT DO NOTHING"  # noqa: S608 - our own names
            cursor.execute(f"{statement} RETURNING {wanted}" if wanted else statement, [*fixed_params, *variable])
            return list(cursor.fetchall()) if wanted else []
        else:
            holders = ", ".join(["%s"] * (len(given) + len(fixed)))
            rows = [(*row, *fixed_params) for row in zip(*variable, strict=True)]
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({holders}) ON CONFLICT DO NOTHING", rows)  # noqa: S608
            return []


def update_by_id(model: type[models.Model], ids: Sequence[int], columns: Mapping[str, Sequence[Any]]) -> None:
    """Sets the columns of the rows with these ids, position by position."""
    if not ids:
        return
    fields = _fields(model)
    key = model._meta.pk
    assert key is not None
    columns, same = _split(columns)
    given = {name: fields[name] for name in columns}
    table = _quote(model._meta.db_table)
    variable = _prepared(given, columns)
    shared = [fields[name].get_db_prep_save(value, connection) for name, value in same.items()]
    settings = [f"{_quote(str(fields[name].column))} = %s" for name in same]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            own = [f"{_quote(str(field.column))} = u.{_quote(str(field.column))}" for field in given.values()]
            sets = ", ".join(settings + own)
            source = _unnest({**given, "pk": key})
            cursor.execute(
                f"UPDATE {table} AS t SET {sets} FROM {source} WHERE t.{_quote(str(key.column))} = u.{_quote(str(key.column))}",  # noqa: S608
                [*shared, *variable, list(ids)],
            )
        else:
            sets = ", ".join([*settings, *(f"{_quote(str(field.column))} = %s" for field in given.values())])
            rows = [(*shared, *row) for row in zip(*variable, ids, strict=True)]
            cursor.executemany(f"UPDATE {table} SET {sets} WHERE {_quote(str(key.column))} = %s", rows)  # noqa: S608


def _split(columns: Mapping[str, Sequence[Any]]) -> tuple[dict[str, Sequence[Any]], dict[str, Any]]:
    """The columns that differ from row to row (at least one), and those that hold one value throughout.

    Most columns of a batch do; a value costs nothing where an array of a thousand copies does.
    """
    differing: dict[str, Sequence[Any]] = {}
    same: dict[str, Any] = {}
    for name, values in columns.items():
        first = values[0]
        if all(value == first for value in values):
            same[name] = first
        else:
            differing[name] = values
    if not differing:
        name, _ = same.popitem()
        differing[name] = columns[name]
    return differing, same


def _fields(model: type[models.Model]) -> dict[str, models.Field[Any, Any]]:
    return {field.attname: field for field in model._meta.concrete_fields}


def _prepared(given: Mapping[str, models.Field[Any, Any]], columns: Mapping[str, Sequence[Any]]) -> list[list[Any]]:
    """The values as the database takes them; only dates need it, and only on SQLite."""
    if connection.vendor == "postgresql":
        return [list(values) for values in columns.values()]
    return [
        [connection.ops.adapt_datetimefield_value(value) for value in values]
        if isinstance(given[name], models.DateTimeField)
        else list(values)
        for name, values in columns.items()
    ]


def _unnest(given: Mapping[str, models.Field[Any, Any]]) -> str:
    arrays = ", ".join(f"%s::{_array_type(field)}[]" for field in given.values())
    names = ", ".join(_quote(str(field.column)) for field in given.values())
    return f"unnest({arrays}) AS u({names})"


def _array_type(field: models.Field[Any, Any]) -> str:
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return str(kind)


def _quote(name: str) -> str:
    return connection.ops.quote_name(name)
