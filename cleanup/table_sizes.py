"""How much room tables take on the disk, and how much of it is free for new rows: what deleting does not give back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import DatabaseError, connection


@dataclass(frozen=True)
class TableSize:
    """One table; of SQLite, whose tables share one file, the whole database."""

    label: str
    byte_count: int
    rows: int | None
    """Rows that are there, as the database last estimated them; None where it does not say."""
    dead_rows: int | None
    """Rows that are deleted and whose room has not been given to others yet."""
    free_bytes: int | None
    """Room that is free for new rows within the file."""


def of_tables(tables: Iterable[tuple[str, str]]) -> list[TableSize]:
    """The sizes of these (table, label), by the database's own books: nothing is counted. Empty where it keeps none."""
    wanted = dict(tables)
    try:
        return _postgresql(wanted) if connection.vendor == "postgresql" else _sqlite()
    except DatabaseError:
        return []


def _postgresql(wanted: dict[str, str]) -> list[TableSize]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_total_relation_size(c.oid), s.n_live_tup, s.n_dead_tup FROM pg_class c"
            " LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid"
            " WHERE c.relname = ANY(%s) AND c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid)",
            [list(wanted)],
        )
        found = {row[0]: row for row in cursor.fetchall()}
    return [
        TableSize(label, int(found[table][1]), found[table][2], found[table][3], None)
        for table, label in wanted.items()
        if table in found
    ]


def _sqlite() -> list[TableSize]:
    with connection.cursor() as cursor:
        pages, free, page_size = (
            int(cursor.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return [TableSize("The whole database file", pages * page_size, None, None, free * page_size)]
