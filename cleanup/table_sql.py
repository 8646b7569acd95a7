"""A table as statements name it: its quoted name, what a row is made of, and rows of a condition deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, models


def name_of(model: type[models.Model]) -> str:
    """The table, quoted."""
    return connection.ops.quote_name(model._meta.db_table)


def column_of(field: models.Field[Any, Any]) -> str:
    """The column of a field, quoted."""
    return connection.ops.quote_name(str(field.column))


def pk_of(model: type[models.Model]) -> str:
    """The column of the primary key, quoted."""
    return column_of(model._meta.pk)


def fields_of(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """What a row is made of, without what the database computes."""
    return [field for field in model._meta.concrete_fields if not getattr(field, "generated", False)]


def columns_of(model: type[models.Model]) -> list[str]:
    """The names of the same columns, not quoted."""
    return [str(field.column) for field in fields_of(model)]


def meant(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    """The field whose values a foreign key holds; the field itself where it is none."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    return field


def literal(value: str) -> str:
    """A name of ours as a literal."""
    return "'{}'".format(value.replace("'", "''"))


def delete(model: type[models.Model], condition: str, parameters: Sequence[Any]) -> int:
    """Deletes the rows of the condition; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {name_of(model)} WHERE {condition}", parameters)
        return int(cursor.rowcount)
