"""Runs one text of SQL where it can change nothing: which sandbox, how long, how much, and what goes wrong in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from django.conf import settings
from django.db import connection

from reports.datasets.registry import Kind, Row
from reports.queries.parameters import Value
from runs import words

MEGABYTE = 1024 * 1024
MAX_ROW_BYTES = 16 * MEGABYTE
"""One row may have so much: it is in memory as a whole."""


class SandboxError(Exception):
    """The query was refused or ended; the message says why, in words that its writer can act on."""


@dataclass(frozen=True)
class Limits:
    """What a query may take. What is more ends it, and is told."""

    seconds: float
    """That the database works on it; not how long the rows take to be written."""
    rows: int
    bytes: int

    @classmethod
    def of_reports(cls) -> Limits:
        """Those of a report, from the environment."""
        return cls(settings.REPORTS_SQL_SECONDS, settings.REPORTS_SQL_MAX_ROWS, settings.REPORTS_SQL_MAX_MB * MEGABYTE)

    @classmethod
    def of_a_try(cls) -> Limits:
        """Those of a look from the page where it is written: somebody waits for it."""
        return replace(cls.of_reports(), seconds=min(10.0, settings.REPORTS_SQL_SECONDS))


@dataclass(frozen=True)
class Query:
    """A text with the values of its parameters, never mixed."""

    sql: str
    values: Mapping[str, Value]
    zone: str = "UTC"
    """Where a day begins, as far as the database is asked."""


@dataclass(frozen=True)
class Column:
    """What the database says of one column."""

    name: str
    kind: Kind


class Reading(Protocol):
    """One query that was begun. It ends with :meth:`close`, at the latest."""

    @property
    def columns(self) -> Sequence[Column]:
        """Known once it was begun."""

    def rows(self) -> Iterator[Row]:
        """The rows, streamed. Raises SandboxError when it is refused, ended, or too much."""

    def interrupt(self) -> None:
        """Ends it from another thread; whoever reads is told by SandboxError."""

    def close(self) -> None:
        """Leaves nothing behind: no process, no connection, no statement that goes on."""


def begin(query: Query, limits: Limits) -> Reading:
    """Begins a query and learns its columns.

    Raises:
        SandboxError: it is not one SELECT of what may be read, or this installation has nowhere to run it.
    """
    return _sandbox()[0](query, limits)


def check(query: Query) -> None:
    """Lets the database read the text without running it. Raises SandboxError."""
    _sandbox()[1](query)


def why_not() -> str:
    """Why no SQL can be run here, in words; empty when it can."""
    if connection.vendor != "postgresql" or settings.REPORTS_DATABASE_URL:
        return ""
    return (
        "SQL queries need a database role of their own that can only read. An administrator makes it with "
        "“manage.py make_report_reader” and writes its address into REPORTS_DATABASE_URL."
    )


def _sandbox() -> tuple[Callable[[Query, Limits], Reading], Callable[[Query], None]]:
    if reason := why_not():
        raise SandboxError(reason)
    if connection.vendor == "postgresql":
        from reports.queries import postgres_sandbox

        return postgres_sandbox.PostgresReading, postgres_sandbox.check
    from reports.queries import sqlite_sandbox

    return sqlite_sandbox.SqliteReading, sqlite_sandbox.check


def counted(rows: Iterable[Row], limits: Limits) -> Iterator[Row]:
    """The rows, as long as they are not too many or too much. Raises SandboxError."""
    total = 0
    for count, row in enumerate(rows, start=1):
        total += size_of(row)
        if count > limits.rows:
            allowed = words.counted(limits.rows, "row")
            raise SandboxError(
                f"It was stopped: a query may have at most {allowed}, and this one has more. Narrow it down."
            )
        if total > limits.bytes:
            raise SandboxError(
                f"It was stopped: a query may give at most {limits.bytes // MEGABYTE:,} MB, and this one gives more "
                f"(after {words.counted(count - 1, 'row')}). Choose fewer columns or rows."
            )
        yield row


def size_of(row: Row) -> int:
    """About how many bytes the row takes."""
    return sum(len(value) if isinstance(value, str) else 8 for value in row)


def too_long(limits: Limits) -> str:
    """The words for a query that took too long."""
    allowed = words.duration(timedelta(seconds=limits.seconds))
    return f"It was stopped: the database worked on it for {allowed}, and no query may take longer. Narrow it down."


def row_too_long() -> str:
    """The words for a row that is too large to be in memory."""
    return f"It was stopped: one of its rows is larger than {MAX_ROW_BYTES // MEGABYTE} MB."


INTERRUPTED = "It was stopped."
