"""Runs a query of SQLite in a process of its own: an authorizer decides what it reads, and it can be killed at any moment.

``mode=ro`` and ``query_only`` alone do not make SQLite read-only: ATTACH creates files under both. The authorizer does.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connection

from reports.datasets.registry import Kind, Row
from reports.queries import readable, sandbox
from reports.queries.parameters import Value
from reports.queries.sandbox import Column, Limits, Query, SandboxError
from reports.queries.watchdog import Watchdog

_CHILD = Path(__file__).with_name("sqlite_child.py")
_LATER = 0.5
"""The process ends by itself when its time is over; this much later it is killed."""
_MOST_IN_A_FRAME = 128 * sandbox.MEGABYTE
_WORDS = {
    "only_select": "Only one SELECT (or WITH … SELECT) is allowed. It may change nothing, and no setting either.",
    "statements": "Write one statement only.",
    "row": sandbox.row_too_long(),
    "temporary": "It was stopped: sorting it takes more room on the disk than a query may have. Narrow it down.",
}


class SqliteReading:
    """One query in its process."""

    def __init__(self, query: Query, limits: Limits, *, is_check: bool = False) -> None:
        self._limits = limits
        self._process = _start(_job(query, limits, is_check=is_check))
        self._watchdog = Watchdog(limits.seconds + _LATER, cancel=self._process.kill, cut_off=self._process.kill)
        self._watchdog.start()
        try:
            self._end = False
            self.columns = [Column(name, Kind(kind)) for name, kind in self._frame().get("columns", [])]
        except BaseException:
            self.close()
            raise

    def rows(self) -> Iterator[Row]:
        """See :class:`reports.queries.sandbox.Reading`."""
        try:
            yield from sandbox.counted(self._rows(), self._limits)
        finally:
            self.close()

    def interrupt(self) -> None:
        """Kills the process."""
        self._watchdog.interrupt()

    def close(self) -> None:
        """Kills the process where it still is there."""
        self._watchdog.stop()
        self._process.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()

    def _rows(self) -> Iterator[Row]:
        readers = [_READERS.get(column.kind) for column in self.columns]
        while not self._end:
            for row in self._frame().get("rows", ()):
                yield tuple(
                    value if value is None or read is None else read(value)
                    for value, read in zip(row, readers, strict=True)
                )

    def _frame(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None
        with self._watchdog.waiting():
            head = self._process.stdout.read(4)
            size = struct.unpack(">I", head)[0] if len(head) == 4 else 0
            data = self._process.stdout.read(size) if 0 < size <= _MOST_IN_A_FRAME else b""
        if not size or len(data) < size:
            raise SandboxError(self._why_it_ended(size))
        frame: dict[str, Any] = json.loads(data)
        if "error" in frame:
            raise SandboxError(_in_words(frame["error"], frame.get("detail", ""), self._limits))
        self._end = "end" in frame
        return frame

    def _why_it_ended(self, size: int) -> str:
        if self._watchdog.was_interrupted:
            return sandbox.INTERRUPTED
        if size > _MOST_IN_A_FRAME:
            return sandbox.row_too_long()
        code = self._process.wait(timeout=5) if not self._watchdog.timed_out else None
        if self._watchdog.timed_out or code == -24:  # SIGXCPU
            return sandbox.too_long(self._limits)
        return "It was stopped: it needed more memory than a query may have. Narrow it down."


def check(query: Query) -> None:
    """Lets SQLite read the text without running it. Raises SandboxError."""
    SqliteReading(query, Limits.of_a_try(), is_check=True).close()


def _start(job: dict[str, Any]) -> subprocess.Popen[bytes]:
    # Nothing of our environment: whatever may go wrong in there finds no secret.
    environment = {"TMPDIR": tempfile.gettempdir(), "LANG": "C.UTF-8"}
    process = subprocess.Popen(  # noqa: S603 - our own file
        [sys.executable, "-I", "-S", str(_CHILD)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
    except OSError:
        pass  # it has ended; reading from it says so
    return process


def _job(query: Query, limits: Limits, *, is_check: bool) -> dict[str, Any]:
    path = os.path.abspath(str(connection.settings_dict["NAME"]))
    tables = {
        one.name.lower(): None if one.is_whole else [name.lower() for name in one.columns] for one in readable.tables()
    }
    return {
        "uri": f"file:{quote(path)}?mode=ro",
        "sql": query.sql,
        "parameters": {name: _stored(value) for name, value in query.values.items()},
        "tables": tables,
        "functions": readable.SQLITE_FUNCTIONS,
        "seconds": limits.seconds,
        "row_bytes": sandbox.MAX_ROW_BYTES,
        "is_check": is_check,
    }


def _stored(value: Value) -> str | int:
    """As Django stores it, so that it can be compared with what a column holds."""
    if isinstance(value, datetime):
        return str(value.astimezone(timezone.utc).replace(tzinfo=None))
    return value.isoformat() if isinstance(value, date) else value


def _moment(stored: str) -> datetime:
    moment = datetime.fromisoformat(stored)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


_READERS: dict[Kind, Any] = {
    Kind.MOMENT: _moment,
    Kind.DATE: date.fromisoformat,
    Kind.YES_NO: bool,
    Kind.DECIMAL: lambda value: Decimal(str(value)),
}


def _in_words(code: str, detail: str, limits: Limits) -> str:
    match code:
        case "time":
            return sandbox.too_long(limits)
        case "table" | "column":
            return f"It reads “{detail}”, which SQL queries may not read. The list of what they may is beside the text."
        case "function":
            return f"It uses the function “{detail}”, which SQL queries may not use."
        case "mixed":
            name, number = json.loads(detail)
            return (
                f"The column “{name}” begins with values of one kind and has another in row {number:,}. Make them the same, "
                f"for example by CAST(… AS TEXT)."
            )
        case "database":
            return f"The database cannot read it: {detail}."
    return _WORDS[code]
