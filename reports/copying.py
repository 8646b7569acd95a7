"""Lets PostgreSQL write the lines of a CSV file itself (COPY), to the byte as :mod:`reports.writers.csv_file` would.

Python then only passes blocks on, which costs a tenth of making the lines.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from reports import charts
from reports.guard_sql import guarded, guarded_line
from reports.sources import Head, Statement
from runs.guards import guard

FROM_ROWS = charts.MOST_ROWS
"""Up to so many are written by Python as fast, and are at hand for charts."""
BLOCK_ROWS = 2_000
BLOCK_BYTES = 256 * 1024

_TEXTS = (25, 1043)
_YES_NO = 16
_MOMENT = 1184
_AS_THEY_ARE = (20, 21, 23, 1082, 1700, 2950)
"""Type numbers, which PostgreSQL never changes: whole numbers, dates, decimals, UUIDs. It writes floats otherwise."""
_PLAIN_MOMENTS = "'2000-01-02'"
"""From then on offsets from UTC are of whole minutes in every zone, and PostgreSQL counts upwards when it rounds."""


@dataclass(frozen=True)
class Copy:
    """A statement whose result is the report's lines."""

    sql: str
    parameters: tuple[Any, ...]
    is_guarded: bool


def of(statement: Statement | None, heads: Sequence[Head], zone: str, is_guarded: bool) -> Copy | None:
    """The copy of the statement's rows; None where PostgreSQL would not write the same bytes."""
    if statement is None or connection.vendor != "postgresql" or len(heads) < 2:
        return None  # a line of one empty value is written differently
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_encoding')")
        if cursor.fetchone()[0] != "UTF8":
            return None
        cursor.execute(f"SELECT * FROM (\n{statement.sql}\n) AS report LIMIT 0", statement.parameters)  # noqa: S608
        types = [column.type_code for column in cursor.description]
    if len(types) != len(heads) or not all(map(_is_known, types, heads)):
        return None
    cells, labels = [], []
    for number, (head, of_type) in enumerate(zip(heads, types, strict=True)):
        cell, parameters = _cell(f"c{number}", of_type, head, is_guarded)
        cells.append(cell)
        labels += parameters
    names = ", ".join(f"c{number}" for number in range(len(heads)))
    sql = f"SELECT {', '.join(cells)} FROM (\n{statement.sql}\n) AS report ({names})"  # noqa: S608
    ZoneInfo(zone)  # an unknown one is an error here already, and not text in a statement
    return Copy(sql, (*labels, *statement.parameters), is_guarded)


def blocks(
    copy: Copy, zone: str, most_rows: int | None, room: Callable[[], int | None]
) -> Generator[tuple[bytes, int], None, None]:
    """Whole lines in blocks, and how many there are in each: never more than there is ``room`` for.

    Must be read inside a transaction.
    """
    limit = "" if most_rows is None else f"\nLIMIT {most_rows:d}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('TimeZone', %s, true), set_config('DateStyle', 'ISO', true)", [zone])
    driver = connection.connection
    sql = f"COPY ({copy.sql}{limit}) TO STDOUT (FORMAT csv)"
    with connection.wrap_database_errors, driver.cursor() as cursor, cursor.copy(sql, copy.parameters):
        is_over = False
        while not is_over:
            left = room()
            most = BLOCK_ROWS if left is None else min(left, BLOCK_ROWS)
            rows, is_over = driver.wait(_read(driver.pgconn, most))
            if rows:
                yield _lines(rows, copy.is_guarded), len(rows)
        driver.wait(_finish(driver.pgconn))


def _is_known(of_type: int, head: Head) -> bool:
    if head.choices:
        return of_type in _TEXTS
    return of_type in _TEXTS or of_type in _AS_THEY_ARE or of_type in (_YES_NO, _MOMENT)


def _cell(name: str, of_type: int, head: Head, is_guarded: bool) -> tuple[str, list[str]]:
    """The expression of one column, and its parameters."""
    if of_type == _YES_NO:
        return f"CASE WHEN {name} THEN 'yes' WHEN NOT {name} THEN 'no' END", []
    if of_type == _MOMENT:
        # "+02" becomes "+02:00"; "+05:30" and "+00:53:28" stay. Half a second less and rounded is cut off, for half the cost.
        text = f"date_trunc('second', {name})::text"
        return (
            f"CASE WHEN {name} >= {_PLAIN_MOMENTS} THEN rpad(({name} - interval '0.5 s')::timestamptz(0)::text, 25, ':00') "
            f"WHEN length({text}) = 22 THEN {text} || ':00' ELSE {text} END"
        ), []
    if of_type not in _TEXTS:
        return name, []
    text = f'({name}::text COLLATE "C")'
    # COPY writes an empty text as "" to tell it from NULL; a CSV writer knows only one kind of nothing.
    shown = guarded(text) if is_guarded else f"nullif({text}, '')"
    if not head.choices:
        return shown, []
    labels = [guard(label) if is_guarded else label for _, label in head.choices]
    cases = " ".join("WHEN %s THEN %s" for _ in head.choices)
    pairs = [part for (value, _), label in zip(head.choices, labels, strict=True) for part in (value, label)]
    return f"CASE {text} {cases} ELSE {shown} END", pairs


def _read(pgconn: Any, most: int) -> Generator[Any, Any, tuple[list[Any], bool]]:
    """As psycopg's own reading of one row, for as many rows as make a block: a fifth of the cost."""
    from psycopg.waiting import Wait

    rows: list[Any] = []
    left = BLOCK_BYTES
    next_row = pgconn.get_copy_data
    while len(rows) < most and left > 0:
        size, data = next_row(1)
        if size > 0:
            rows.append(data)
            left -= size
        elif size < 0:
            return rows, True
        elif rows:
            break  # more comes while these are worked on
        else:
            while not (yield Wait.R):
                pass
            pgconn.consume_input()
    return rows, False


def _finish(pgconn: Any) -> Generator[Any, Any, None]:
    """Takes the end of the copy off the connection; raises what the database has to say of it."""
    from psycopg import errors
    from psycopg.generators import fetch_many
    from psycopg.pq import ExecStatus

    for result in (yield from fetch_many(pgconn)):
        if result.status != ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result)


def _lines(rows: Sequence[Any], is_guarded: bool) -> bytes:
    """Rows as the database sent them, ended as RFC 4180 has it; a line break in a value stays as it is."""
    block = b"".join(rows)
    if block.count(b"\n") == len(rows) and b"\r" not in block:
        return block.replace(b"\n", b"\r\n")
    if len(rows) == 1:
        return (guarded_line(block[:-1]) if is_guarded else block[:-1]) + b"\r\n"
    half = len(rows) // 2  # few values have a line break: all others are passed on by the block
    return _lines(rows[:half], is_guarded) + _lines(rows[half:], is_guarded)
