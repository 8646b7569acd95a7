"""Puts archived rows back as they were: what is there already stays as it is, and is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from cleanup import archive, archive_lines, archive_parquet, table_sql
from cleanup.archive_file import ArchiveError, digest_of
from cleanup.models import ArchivePart, Archiving, CleanupRun
from runs import audit, clock
from runs.audit import Actor


@dataclass
class Restored:
    """What putting a part back did, or would do."""

    part: ArchivePart
    added: dict[str, int] = field(default_factory=dict)
    already_there: dict[str, int] = field(default_factory=dict)
    linked: int = 0
    problem: str = ""
    """Why nothing of this part was put back, in words."""


class _DryRun(Exception):
    """Takes back what a dry run did."""


def restore(actor: Actor, parts: Sequence[ArchivePart], *, dry_run: bool = False) -> list[Restored]:
    """Puts the parts back, the last deleted first, each in one transaction; a part that fails leaves the others alone.

    Raises:
        PermissionDenied: the actor may not.
    """
    audit.require(actor, "cleanup.restore_archivepart", "put archived rows back")
    done = []
    for part in sorted(parts, key=lambda one: (one.cleanup_run_id, one.number), reverse=True):
        restored = Restored(part)
        try:
            with transaction.atomic():
                _check(part)
                _put_back(part, restored)
                if connection.vendor == "postgresql":
                    connection.check_constraints()
                if dry_run:
                    raise _DryRun
                ArchivePart.objects.filter(pk=part.pk).update(restored_at=clock.now())
                audit.record(
                    actor, "put archived rows back", part,
                    after={"added": restored.added, "already_there": restored.already_there, "linked": restored.linked},
                )  # fmt: skip
        except _DryRun:
            pass
        except (ArchiveError, DatabaseError, LookupError) as error:
            restored.added, restored.already_there, restored.linked = {}, {}, 0
            restored.problem = str(error).strip().split("\n")[0]
        done.append(restored)
    return done


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


def _put_back(part: ArchivePart, restored: Restored) -> None:
    links: list[tuple[str, dict[str, Any]]] = []
    touched: dict[str, type[models.Model]] = {}
    read = archive_parquet.read if part.format == Archiving.PARQUET else archive_lines.read
    for label, is_links, rows in read(archive.path_of(part)):
        table = touched.setdefault(label, apps.get_model(label))
        if is_links:
            links += [(label, link) for link in rows]
            continue
        added = _insert(table, rows, part.format)
        restored.added[label] = restored.added.get(label, 0) + added
        if added < len(rows):
            restored.already_there[label] = restored.already_there.get(label, 0) + len(rows) - added
    for label, link in links:
        restored.linked += _link(touched[label], link)
    for table in touched.values():
        _advance(table)


def _insert(table: type[models.Model], rows: list[Any], format: str) -> int:
    """How many were not there yet."""
    quote = connection.ops.quote_name
    names = table_sql.columns_of(table)
    listed = ", ".join(quote(name) for name in names)
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            values = [[_sqlite(row[name], format) for name in names] for row in rows]
            holders = ", ".join(["%s"] * len(names))
            cursor.executemany(
                f"INSERT INTO {table_sql.name_of(table)} ({listed}) VALUES ({holders}) ON CONFLICT DO NOTHING", values
            )
        elif format == Archiving.PARQUET:
            kinds = [_type(table, name) for name in names]
            arrays = [[_text(row[name]) for row in rows] for name in names]
            picked = ", ".join(f"u.{quote(name)}::{kind}" for name, kind in zip(names, kinds, strict=True))
            cursor.execute(
                f"INSERT INTO {table_sql.name_of(table)} ({listed}) SELECT {picked} "
                f"FROM unnest({', '.join(['%s::text[]'] * len(names))}) AS u({listed}) ON CONFLICT DO NOTHING",
                arrays,
            )
        else:
            picked = ", ".join(_picked(table, name) for name in names)
            cursor.execute(
                f"INSERT INTO {table_sql.name_of(table)} ({listed}) SELECT {picked} "
                "FROM json_array_elements(%s::json) AS line(whole), "
                f"json_populate_record(NULL::{table_sql.name_of(table)}, whole->'row') AS r ON CONFLICT DO NOTHING",
                [f"[{','.join(rows)}]"],
            )
        return int(cursor.rowcount)


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
    """Sets an emptied foreign key again, unless something else stands there by now."""
    column, pk = connection.ops.quote_name(link["column"]), table_sql.pk_of(table)
    casts = ["", ""]
    if connection.vendor == "postgresql":
        casts = [f"::{_type(table, link['column'])}", f"::{_type(table, str(table._meta.pk.column))}"]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table_sql.name_of(table)} SET {column} = %s{casts[0]} WHERE {pk} = %s{casts[1]} AND {column} IS NULL",
            [str(link["value"]), str(link["pk"])],
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
