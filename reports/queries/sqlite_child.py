"""Reads one query of SQLite in a process of its own that may do nothing else. Started by path, without Django.

It takes a job as JSON on its standard input and writes frames: four bytes with the length, then JSON. The first names the
columns, then come rows, and last either ``end`` or ``error`` with a code that sqlite_sandbox.py puts into words.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

PEEK = 200
"""Rows by which a column is judged that has no type of its own, because it was computed."""
BATCH = 500
BATCH_BYTES = 256 * 1024
STEPS = 10_000
"""SQLite looks at the clock after so many instructions."""
MEMORY = 1024 * 1024 * 1024
TEMPORARY = 2 * 1024 * 1024 * 1024
"""Large sorts go to a temporary file of at most so many bytes."""
_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 200_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 500,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_SEEN_BY_NAME = frozenset(("json_each", "json_tree"))


class Failed(Exception):
    """Why it ends: a code, and what belongs to it."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


class _Moment(str):
    """Of a column that Django made for instants."""


class _Day(str):
    """Of a column for dates."""


class _Decimal(str):
    """Of a column for exact numbers."""


class _YesNo(int):
    """Of a column for yes and no."""


class Guard:
    """Decides what a statement may touch, while SQLite reads its text."""

    def __init__(self, job: dict[str, Any], known: set[str]) -> None:
        self._tables: dict[str, list[str] | None] = job["tables"]
        self._functions, self._known = frozenset(job["functions"]), known
        self.why = Failed("only_select")

    def __call__(self, action: int, first: str | None, second: str | None, *_: Any) -> int:
        problem = self._problem(action, first or "", second or "")
        if problem is None:
            return sqlite3.SQLITE_OK
        self.why = problem
        return sqlite3.SQLITE_DENY

    def _problem(self, action: int, first: str, second: str) -> Failed | None:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return None
        if action == sqlite3.SQLITE_FUNCTION:
            return None if second.lower() in self._functions else Failed("function", second)
        if action != sqlite3.SQLITE_READ:
            return Failed("only_select")
        # The name of a table, or of what the statement itself names (WITH, AS), which is no table of the database.
        table = first.lower()
        if table in self._tables:
            columns = self._tables[table]
            # Without a column: rows are only counted.
            is_open = columns is None or not second or second.lower() in columns
            return None if is_open else Failed("column", f"{first}.{second}")
        is_hidden = table in self._known or table.startswith(("sqlite_", "pragma_"))
        return Failed("table", first) if is_hidden else None


def main() -> None:
    """Does the one job."""
    job = json.load(sys.stdin.buffer)
    try:
        _bound_the_process(job["seconds"])
        _read(job)
    except Failed as failed:
        _send({"error": failed.code, "detail": failed.detail})
    except MemoryError:
        _send({"error": "row"})


def _bound_the_process(seconds: float) -> None:
    limits = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_FSIZE: TEMPORARY,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: int(seconds) + 5,
    }
    for kind, limit in limits.items():
        try:
            resource.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):
            pass  # not every system knows each of them; the kill from outside holds everywhere


def _read(job: dict[str, Any]) -> None:
    guard, connection = _connect(job)
    try:
        cursor = connection.execute(("EXPLAIN " if job["is_check"] else "") + job["sql"], job["parameters"])
        if job["is_check"]:
            _send({"end": True})
            return
        if cursor.description is None:
            raise Failed("only_select")
        rows = _bounded(cursor, job["row_bytes"])
        first = list(islice(rows, PEEK))
        names = [column[0] for column in cursor.description]
        kinds = [_kind([row[place] for row in first]) for place in range(len(names))]
        _send({"columns": list(zip(names, kinds, strict=True))})
        _send_rows(names, kinds, chain(first, rows))
    except sqlite3.Warning as error:
        raise Failed("statements") from error  # older Pythons
    except sqlite3.Error as error:
        raise _in_words(error, guard) from error
    _send({"end": True})


def _connect(job: dict[str, Any]) -> tuple[Guard, sqlite3.Connection]:
    converters = {"datetime": _Moment, "timestamp": _Moment, "date": _Day, "decimal": _Decimal}
    for name, kind in converters.items():
        sqlite3.register_converter(name, lambda raw, kind=kind: kind(raw.decode()))  # type: ignore[misc]
    sqlite3.register_converter("bool", lambda raw: _YesNo(raw))
    connection = sqlite3.connect(
        job["uri"], uri=True, timeout=5, isolation_level=None, detect_types=sqlite3.PARSE_DECLTYPES
    )
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    known = {name.lower() for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    known |= {name.lower() for (name,) in connection.execute("PRAGMA module_list")} - _SEEN_BY_NAME
    connection.execute("PRAGMA query_only = 1")
    connection.execute("PRAGMA trusted_schema = 0")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, job["row_bytes"])
    for category, limit in _LIMITS.items():
        connection.setlimit(category, limit)
    parent, end = os.getppid(), time.process_time() + job["seconds"]
    # Waiting for whoever writes the rows takes none of the processor's time, so it does not count.
    connection.set_progress_handler(lambda: time.process_time() > end or os.getppid() != parent, STEPS)
    guard = Guard(job, known)
    connection.set_authorizer(guard)
    return guard, connection


def _bounded(rows: Iterator[Any], most: int) -> Iterator[Any]:
    for row in rows:
        if sum(len(value) for value in row if isinstance(value, str | bytes)) > most:
            raise Failed("row")
        yield row


def _kind(values: Sequence[Any]) -> str:
    found = {type(value) for value in values if value is not None}
    for types, kind in (
        ({_Moment}, "moment"), ({_Day}, "date"), ({_YesNo}, "yes_no"), ({int}, "integer"), ({int, float, _Decimal}, "decimal")
    ):  # fmt: skip
        if found and found <= types:
            return kind
    return "text"


def _send_rows(names: Sequence[str], kinds: Sequence[str], rows: Iterator[Any]) -> None:
    batch: list[list[Any]] = []
    size = 0
    for number, row in enumerate(rows, start=1):
        shown = [
            _value(value, kind, names[place], number)
            for place, (value, kind) in enumerate(zip(row, kinds, strict=True))
        ]
        batch.append(shown)
        size += sum(len(value) for value in shown if isinstance(value, str))
        if len(batch) >= BATCH or size > BATCH_BYTES:
            _send({"rows": batch})
            batch, size = [], 0
    if batch:
        _send({"rows": batch})


def _value(value: Any, kind: str, name: str, number: int) -> Any:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.hex()
    if kind == "text":
        return value if isinstance(value, str) else str(value)
    fits = isinstance(value, int) if kind in ("integer", "yes_no") else _kind([value]) in (kind, "integer")
    if not fits:
        raise Failed("mixed", json.dumps([name, number]))
    return value


def _in_words(error: sqlite3.Error, guard: Guard) -> Failed:
    text = str(error)
    if text == "interrupted":
        return Failed("time")
    if "prohibited" in text or "not authorized" in text:
        return guard.why
    if "one statement at a time" in text:
        return Failed("statements")
    if "too big" in text or "out of memory" in text:
        return Failed("row")
    if "disk is full" in text or "disk I/O" in text:
        return Failed("temporary")
    return Failed("database", text)


def _send(frame: dict[str, Any]) -> None:
    payload = json.dumps(frame).encode()
    out = sys.stdout.buffer
    out.write(struct.pack(">I", len(payload)))
    out.write(payload)
    out.flush()


if __name__ == "__main__":
    main()
