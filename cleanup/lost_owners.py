"""Rows that came back from an archive and lead to rows that have gone meanwhile: links that may be empty are emptied, and rows
that cannot be without their owner are left out again, each with what hangs on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, models

from cleanup import table_sql
from cleanup.removal import Keys, keys_of
from cleanup.table_sql import column_of, name_of, pk_of

NAMED = 20
"""So many of the rows that are left out are named; all are counted."""


@dataclass
class Lacking:
    """What could not come back as it was."""

    emptied: dict[str, int] = field(default_factory=dict)
    """{"app.Model.field": links}"""
    left_out: dict[str, int] = field(default_factory=dict)
    """{model label: rows}"""
    named: list[str] = field(default_factory=list)
    """The first of the rows that were left out, each with what it lacks."""

    def empty(self, link: models.ForeignKey[Any, Any], rows: int) -> None:
        if rows:
            name = f"{link.model._meta.label}.{link.name}"
            self.emptied[name] = self.emptied.get(name, 0) + rows

    def leave_out(self, label: str, rows: int, names: Sequence[str]) -> None:
        self.left_out[label] = self.left_out.get(label, 0) + rows
        self.named += names[: NAMED - len(self.named)]


def settle(came: Mapping[type[models.Model], Sequence[Any]], lacking: Lacking) -> None:
    """Afterwards no row of these (by table, primary keys) breaks a foreign key; call it in the transaction that inserted them."""
    keys = {table: keys_of(table, pks) for table, pks in came.items() if pks}
    # A row that is left out may leave others without their owner: until nothing changes any more.
    while any(_settle_once(table, keys[table], link, lacking) for table in keys for link in links_of(table)):
        pass


def links_of(table: type[models.Model]) -> list[models.ForeignKey[Any, Any]]:
    """The foreign keys that the database insists on."""
    links = [one for one in table_sql.fields_of(table) if isinstance(one, models.ForeignKey)]
    return [one for one in links if getattr(one, "db_constraint", True)]


def is_there(link: models.ForeignKey[Any, Any], value: str) -> str:
    """The SQL that asks whether there is a row for this value (an expression) of the link."""
    owner = link.remote_field.model
    return f"EXISTS (SELECT 1 FROM {name_of(owner)} AS owner WHERE owner.{column_of(link.target_field)} = {value})"


def _settle_once(table: type[models.Model], keys: Keys, link: models.ForeignKey[Any, Any], lacking: Lacking) -> bool:
    """Whether rows were left out."""
    name, column, pk = name_of(table), column_of(link), pk_of(table)
    lost = f"{pk} {keys.sql} AND {column} IS NOT NULL AND NOT {is_there(link, f'{name}.{column}')}"
    with connection.cursor() as cursor:
        if link.null:
            cursor.execute(f"UPDATE {name} SET {column} = NULL WHERE {lost}", keys.parameters)
            lacking.empty(link, int(cursor.rowcount))
            return False
        cursor.execute(f"SELECT {pk}, {column} FROM {name} WHERE {lost} ORDER BY {pk} LIMIT {NAMED}", keys.parameters)
        first = cursor.fetchall()
        if not first:
            return False
        cursor.execute(f"DELETE FROM {name} WHERE {lost}", keys.parameters)
        owner = link.remote_field.model._meta.label
        names = [f"{table._meta.label} {pk} (its {owner} {value} has gone)" for pk, value in first]
        lacking.leave_out(table._meta.label, int(cursor.rowcount), names)
    return True
