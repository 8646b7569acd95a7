"""The SQL of one batch: children before their parents, by the plan; what is kept goes to the archive in the same statement.

Django's own cascade is never used: it reads every row and sends a signal for each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db import connection, connections, models

from cleanup import table_sql
from cleanup.table_sql import column_of, pk_of
from cleanup.targets import Child, RowFiles, Target


class Keeper(Protocol):
    """Where deleted rows are kept: a writer of archives. Each raises ArchiveError where it cannot keep them."""

    def delete(self, model: type[models.Model], condition: str, parameters: Sequence[Any]) -> int:
        """Deletes the rows of the condition and keeps them; returns how many."""

    def keep(self, model: type[models.Model], condition: str, parameters: Sequence[Any]) -> int:
        """Keeps the rows of the condition, which something else deletes; returns how many are kept."""

    def cut(self, model: type[models.Model], column: str, links: Sequence[tuple[Any, Any]]) -> None:
        """Keeps links (primary key, value of the column) that are emptied now."""


class NoKeeper:
    """Deleted rows are gone."""

    def delete(self, model: type[models.Model], condition: str, parameters: Sequence[Any]) -> int:
        return table_sql.delete(model, condition, parameters)

    def keep(self, model: type[models.Model], condition: str, parameters: Sequence[Any]) -> int:
        return 0

    def cut(self, model: type[models.Model], column: str, links: Sequence[tuple[Any, Any]]) -> None:
        pass


@dataclass(frozen=True)
class Keys:
    """What follows a column in SQL so that it is one of certain keys: ``= ANY(…)`` or ``IN (…)``."""

    sql: str
    parameters: list[Any]


@dataclass
class Removed:
    """What one batch took away."""

    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    files: list[tuple[str, list[Any]]] = field(default_factory=list)
    """(path, what else may name it)"""
    archived: dict[str, dict[str, int]] | None = None
    """What the archive holds, where that is not all of it: a target with a removal of its own."""

    def count(self, label: str, action: str, rows: int) -> None:
        if rows:
            counts = self.tables.setdefault(label, {})
            counts[action] = counts.get(action, 0) + rows


def remove(target: Target, pks: Sequence[Any], keeper: Keeper) -> Removed:
    """Deletes the rows with these primary keys and all that its plan names, inside the caller's transaction."""
    removed = Removed()
    keys = keys_of(target.table, pks)
    _children(target.table, target.children, keys, keeper, removed)
    _delete(target.table, pk_of(target.table), keys, target.files, keeper, removed)
    return removed


def keys_of(model: type[models.Model], pks: Sequence[Any]) -> Keys:
    """All of them as one parameter: thousands of placeholders cost more to read than the rows."""
    pk = table_sql.meant(model._meta.pk)
    prepared = list(pks)
    is_whole = isinstance(pk, (models.IntegerField, models.AutoField))
    if not is_whole:
        own = connections[connection.alias]  # asking the stand-in for every value costs more than the value
        prepared = [pk.get_db_prep_value(value, own, prepared=False) for value in pks]
    if connection.vendor == "postgresql":
        kind = f"{pk.rel_db_type(connection)}[]"
        return Keys(f"= ANY(%s::{kind})", [f"{{{','.join(map(str, prepared))}}}" if is_whole else prepared])
    return Keys("IN (SELECT value FROM json_each(%s))", [json.dumps(prepared)])


def _children(
    parent: type[models.Model], children: Sequence[Child], keys: Keys, keeper: Keeper, removed: Removed
) -> None:
    for child in children:
        link = child.table._meta.get_field(child.parent_field)
        assert isinstance(link, models.ForeignKey)
        pointing = _pointing(parent, link, keys)
        if child.action == "unlink":
            _unlink(parent, child.table, link, pointing, keys, keeper, removed)
            continue
        if child.children:
            pk = pk_of(child.table)
            chosen = f"IN (SELECT {pk} FROM {table_sql.name_of(child.table)} WHERE {column_of(link)} {pointing.sql})"
            _children(child.table, child.children, Keys(chosen, pointing.parameters), keeper, removed)
        _delete(child.table, column_of(link), pointing, child.files, keeper, removed)


def _pointing(parent: type[models.Model], link: models.ForeignKey[Any, Any], keys: Keys) -> Keys:
    """The values of the link that point at the rows; most links hold the primary key itself."""
    aim = link.target_field
    if aim.primary_key:
        return keys
    pk = pk_of(parent)
    return Keys(f"IN (SELECT {column_of(aim)} FROM {table_sql.name_of(parent)} WHERE {pk} {keys.sql})", keys.parameters)


def _delete(
    model: type[models.Model], column: str, keys: Keys, files: Sequence[RowFiles], keeper: Keeper, removed: Removed
) -> None:
    condition = f"{column} {keys.sql}"
    for owned in files:
        _note_files(model, condition, keys.parameters, owned, removed)
    removed.count(model._meta.label, "deleted", keeper.delete(model, condition, keys.parameters))


def _unlink(
    parent: type[models.Model], model: type[models.Model], link: models.ForeignKey[Any, Any], pointing: Keys, keys: Keys,
    keeper: Keeper, removed: Removed,
) -> None:  # fmt: skip
    column, pk, table = column_of(link), pk_of(model), table_sql.name_of(model)
    condition, parameters = f"{column} {pointing.sql}", list(pointing.parameters)
    if model._meta.concrete_model is parent._meta.concrete_model:
        # Rows that go themselves keep their links: they are archived as they are.
        condition, parameters = f"{condition} AND NOT ({pk} {keys.sql})", [*parameters, *keys.parameters]
    with connection.cursor() as cursor:
        if not isinstance(keeper, NoKeeper):
            lock = " FOR UPDATE" if connection.features.has_select_for_update else ""
            cursor.execute(f"SELECT {pk}, {column} FROM {table} WHERE {condition}{lock}", parameters)
            keeper.cut(model, str(link.column), cursor.fetchall())
        cursor.execute(f"UPDATE {table} SET {column} = NULL WHERE {condition}", parameters)
        removed.count(model._meta.label, "unlinked", int(cursor.rowcount))


def _note_files(
    model: type[models.Model], condition: str, parameters: Sequence[Any], owned: RowFiles, removed: Removed
) -> None:
    fields: list[Any] = [model._meta.get_field(name) for name in owned.fields]
    tables = [(model._meta.label, owned.fields), *owned.also_named_by]
    listed = ", ".join(map(column_of, fields))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT {listed} FROM {table_sql.name_of(model)} WHERE {condition}", parameters)
        for values in cursor.fetchall():
            known = [_python(one, value) for one, value in zip(fields, values, strict=True)]
            path = owned.path(*known)
            if path:
                plain = [value if isinstance(value, (int, str)) or value is None else str(value) for value in known]
                removed.files.append((path, [[label, dict(zip(cols, plain, strict=True))] for label, cols in tables]))


def _python(field_: Any, value: Any) -> Any:
    return value if value is None else field_.to_python(value)
