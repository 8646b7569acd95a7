"""Puts archived rows back as they were: what is there already stays as it is, and is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from cleanup import archive, archive_lines, archive_parquet, archived_columns, lost_owners, table_sql
from cleanup.archive_file import ArchiveError, digest_of
from cleanup.archived_columns import Columns
from cleanup.lost_owners import Lacking
from cleanup.models import ArchivePart, Archiving, CleanupRun
from cleanup.removal import keys_of
from runs import audit, clock
from runs.audit import Actor


@dataclass
class Restored:
    """What putting a part back did, or would do."""

    part: ArchivePart
    added: dict[str, int] = field(default_factory=dict)
    already_there: dict[str, int] = field(default_factory=dict)
    linked: int = 0
    unlinked: int = 0
    """Links that stay as they are: the row has gone, or what it led to, or it leads elsewhere by now."""
    lacking: Lacking = field(default_factory=Lacking)
    """What came back without its owner, or did not."""
    columns_gone: dict[str, list[str]] = field(default_factory=dict)
    """{model label: columns} that the archive holds and the table has no more."""
    tables_gone: dict[str, int] = field(default_factory=dict)
    """{model label: rows} of tables that there are no more."""
    problem: str = ""
    """Why nothing of this part was put back, in words."""


def restore(actor: Actor, parts: Sequence[ArchivePart], *, dry_run: bool = False) -> list[Restored]:
    """Puts the parts back, the last deleted first, each in one transaction; a part that fails leaves the others alone.

    A dry run does the same in one transaction, as a part may need rows of those before it, and takes all of it back.

    Raises:
        PermissionDenied: the actor may not.
    """
    audit.require(actor, "cleanup.restore_archivepart", "put archived rows back")
    with _taken_back() if dry_run else nullcontext():
        last_first = sorted(parts, key=lambda one: (one.cleanup_run_id, one.number), reverse=True)
        return [_restore(actor, part, dry_run=dry_run) for part in last_first]


@contextmanager
def _taken_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _restore(actor: Actor, part: ArchivePart, *, dry_run: bool) -> Restored:
    restored = Restored(part)
    try:
        with transaction.atomic():
            _check(part)
            tables = _put_back(part, restored)
            if connection.vendor == "postgresql":
                connection.check_constraints()
            if not dry_run:
                _note(actor, restored, tables)
    except ArchiveError as error:
        return Restored(part, problem=str(error))
    except (DatabaseError, LookupError) as error:
        said = str(error).strip().split("\n")[0]
        return Restored(part, problem=f"The database does not take its rows as they are: {said}")
    return restored


def _note(actor: Actor, restored: Restored, tables: Sequence[type[models.Model]]) -> None:
    for table in tables:
        _advance(table)
    part, lacking = restored.part, restored.lacking
    ArchivePart.objects.filter(pk=part.pk).update(restored_at=clock.now())
    audit.record(
        actor, "put archived rows back", part,
        after={
            "added": restored.added, "already_there": restored.already_there, "linked": restored.linked,
            "left_out": lacking.left_out, "links_emptied": lacking.emptied,
        },
    )  # fmt: skip


def parts_of(run_id: int) -> list[ArchivePart]:
    """The parts that a run archived, which are still there."""
    stored = CleanupRun.objects.filter(run_id=run_id).first()
    return list(stored.parts.filter(deleted_at=None).order_by("number")) if stored else []


def _check(part: ArchivePart) -> None:
    if part.deleted_at is not None:
        raise ArchiveError(f"Its file is gone: {part.deleted_why}.")
    if part.database != connection.vendor:
        raise ArchiveError(f"It was written by {part.database}; only such a database can take it back.")
    if digest_of(archive.path_of(part)) != part.sha256:
        raise ArchiveError("The file is not the one that was written: its fingerprint differs. Nothing was put back.")


def _put_back(part: ArchivePart, restored: Restored) -> list[type[models.Model]]:
    """The tables that were touched."""
    links: list[tuple[type[models.Model], dict[str, Any]]] = []
    came: dict[type[models.Model], list[Any]] = {}
    lacking = restored.lacking
    read = archive_parquet.read if part.format == Archiving.PARQUET else archive_lines.read
    for label, is_links, rows in read(archive.path_of(part)):
        try:
            table = apps.get_model(label)
        except LookupError:
            if not is_links:
                restored.tables_gone[label] = restored.tables_gone.get(label, 0) + len(rows)
            continue
        own = came.setdefault(table, [])
        if is_links:
            links += [(table, link) for link in rows]
            continue
        new = _insert(table, rows, part.format, restored)
        if lost_owners.links_of(table):  # nobody asks for the numbers of the others
            own += new
        restored.added[label] = restored.added.get(label, 0) + len(new)
        if len(new) < len(rows):
            restored.already_there[label] = restored.already_there.get(label, 0) + len(rows) - len(new)
    lost_owners.settle(came, lacking)
    for label, count in lacking.left_out.items():
        if label in restored.added:
            restored.added[label] -= count
    restored.linked = sum(_link(table, link) for table, link in links)
    restored.unlinked = len(links) - restored.linked
    return list(came)


def _insert(table: type[models.Model], rows: list[Any], format: str, restored: Restored) -> list[Any]:
    """The primary keys of those that were not there yet."""
    columns = Columns.of(table, _held(rows[0], format))
    if columns.gone:
        restored.columns_gone[table._meta.label] = columns.gone
    names, fresh = columns.names, columns.added
    listed = ", ".join(connection.ops.quote_name(name) for name in [*names, *(str(one.column) for one in fresh)])
    values = [archived_columns.defaults(one, len(rows)) for one in fresh]
    into = f"INSERT INTO {table_sql.name_of(table)} ({listed})"
    if connection.vendor != "postgresql":
        own = [[_sqlite(row[name], format) for name in names] for row in rows]
        return _insert_sqlite(table, into, [[*row, *more] for row, *more in zip(own, *values, strict=True)], names)
    pk, kinds = table_sql.pk_of(table), [_type(table, str(one.column)) for one in fresh]
    texts = [[_default_text(one, value) for value in column] for one, column in zip(fresh, values, strict=True)]
    holders = ["%s::text[]"] * len(texts)
    with connection.cursor() as cursor:
        if format == Archiving.PARQUET:
            all_kinds = [*(_type(table, name) for name in names), *kinds]
            arrays = [*([_text(row[name]) for row in rows] for name in names), *texts]
            places = [f"a{number}" for number in range(len(arrays))]
            picked = ", ".join(f"u.{place}::{kind}" for place, kind in zip(places, all_kinds, strict=True))
            cursor.execute(
                f"{into} SELECT {picked} FROM unnest({', '.join(['%s::text[]'] * len(arrays))}) AS u({', '.join(places)}) "
                f"ON CONFLICT DO NOTHING RETURNING {pk}",
                arrays,
            )
        else:
            places = [f"a{number}" for number in range(len(texts))]
            also = [f"line.{place}::{kind}" for place, kind in zip(places, kinds, strict=True)]
            picked = ", ".join([*(_picked(table, name) for name in names), *also])
            unnested = "".join(f", unnest({holder})" for holder in holders)
            cursor.execute(
                f"{into} SELECT {picked} "
                f"FROM ROWS FROM (json_array_elements(%s::json){unnested}) AS line({', '.join(['whole', *places])}), "
                f"json_populate_record(NULL::{table_sql.name_of(table)}, whole->'row') AS r "
                f"ON CONFLICT DO NOTHING RETURNING {pk}",
                [f"[{','.join(rows)}]", *texts],
            )
        return [key for (key,) in cursor.fetchall()]


def _insert_sqlite(
    table: type[models.Model], into: str, rows: Sequence[Sequence[Any]], names: Sequence[str]
) -> list[Any]:
    """It says of many rows only how many were inserted: those whose number was not there are asked for before."""
    place, pk = names.index(str(table._meta.pk.column)), table_sql.pk_of(table)
    numbers = [row[place] for row in rows]
    keys = keys_of(table, numbers)
    with connection.cursor() as cursor:
        asked = f"SELECT {pk} FROM {table_sql.name_of(table)} WHERE {pk} {keys.sql}"
        cursor.execute(asked, keys.parameters)
        before = {key for (key,) in cursor.fetchall()}
        holders = ", ".join(["%s"] * len(rows[0]))
        cursor.executemany(f"{into} VALUES ({holders}) ON CONFLICT DO NOTHING", rows)
        new = [number for number in numbers if number not in before]
        if cursor.rowcount == len(new):
            return new
        # Something else of theirs is there already that may be there only once: an address, a key.
        cursor.execute(asked, keys.parameters)
        there = {key for (key,) in cursor.fetchall()}
        return [number for number in new if number in there]


def _held(row: Any, format: str) -> set[str]:
    """The columns that a row of the archive has."""
    is_text = connection.vendor == "postgresql" and format != Archiving.PARQUET
    return set(archive_lines.parsed(row.encode())["row"] if is_text else row)


def _default_text(field: models.Field[Any, Any], value: Any) -> str | None:
    if isinstance(field, models.JSONField):
        return archived_columns.in_json(field, value)
    return _text(getattr(value, "obj", value))


def _picked(table: type[models.Model], name: str) -> str:
    """A null in the line is a missing value, except in a column that may miss none, or where the line says otherwise."""
    own = _field(table, name)
    column = f"r.{table_sql.column_of(own)}"
    if not isinstance(own, models.JSONField):
        return column
    if not own.null:
        return f"coalesce({column}, 'null'::jsonb)"
    is_null = f"(whole->'{archive_lines.JSON_NULL}')::jsonb ? {table_sql.literal(name)}"
    return f"CASE WHEN {is_null} THEN 'null'::jsonb ELSE {column} END"


def _link(table: type[models.Model], link: dict[str, Any]) -> int:
    """Sets an emptied foreign key again, unless something else stands there by now, or what it led to has gone."""
    field_ = next((one for one in table._meta.concrete_fields if one.column == link["column"]), None)
    if not isinstance(field_, models.ForeignKey):
        return 0
    column, pk = table_sql.column_of(field_), table_sql.pk_of(table)
    value, number = "%s", "%s"
    if connection.vendor == "postgresql":
        value, number = f"%s::{_type(table, link['column'])}", f"%s::{_type(table, str(table._meta.pk.column))}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table_sql.name_of(table)} SET {column} = {value} "
            f"WHERE {pk} = {number} AND {column} IS NULL AND {lost_owners.is_there(field_, value)}",
            [str(link["value"]), str(link["pk"]), str(link["value"])],
        )
        return int(cursor.rowcount)


def _advance(table: type[models.Model]) -> None:
    """New rows get numbers behind those that came back."""
    pk = table._meta.pk
    if connection.vendor != "postgresql" or not isinstance(pk, models.AutoField):
        return
    name, column = table_sql.name_of(table), table_sql.pk_of(table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [name, pk.column])
        (sequence,) = cursor.fetchone()
        if sequence:
            cursor.execute(
                f"SELECT setval(%s::regclass, greatest((SELECT max({column}) FROM {name}), (SELECT last_value FROM {sequence})))",
                [sequence],
            )


def _type(table: type[models.Model], name: str) -> str:
    own = _field(table, name)
    return str(own.rel_db_type(connection) if own.primary_key else own.db_type(connection))


def _field(table: type[models.Model], column: str) -> models.Field[Any, Any]:
    return next(one for one in table._meta.concrete_fields if one.column == column)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _sqlite(value: Any, format: str) -> Any:
    return archive_parquet.original(value) if format == Archiving.PARQUET else value
