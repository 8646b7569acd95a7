"""Runs a query of PostgreSQL as a role that can only read, on a fresh connection each time, in a read-only transaction.

The text is prepared first, by itself: one statement, and the database describes its columns. It then runs inside a cursor,
which takes SELECT and nothing else. Settings that it might change die with the connection; a watchdog outside ends it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from psycopg import RawServerCursor, pq, sql
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.numeric import Int4, Int8
from psycopg.types.string import StrDumper, TextLoader

from reports.datasets.registry import Kind, Row
from reports.queries import placeholders, sandbox
from reports.queries.parameters import Value
from reports.queries.sandbox import Column, Limits, Query, SandboxError
from reports.queries.watchdog import Watchdog

FIRST_BATCH, MOST_IN_A_BATCH = 50, 2000
BATCH_BYTES = 4 * sandbox.MEGABYTE
"""The rows of a batch are in memory at once: as many are fetched as fit, judging by those before."""
_KINDS = {
    16: Kind.YES_NO, 20: Kind.INTEGER, 21: Kind.INTEGER, 23: Kind.INTEGER, 26: Kind.INTEGER, 700: Kind.DECIMAL,
    701: Kind.DECIMAL, 1700: Kind.DECIMAL, 1082: Kind.DATE, 1184: Kind.MOMENT,
}  # fmt: skip
"""By the number that PostgreSQL gives a type; every other type is read as the text it is written as."""
_LONG_ROW = "bytes in one row"
# The database measures each row before it sends it: a client cannot stop in the midst of one.
_MEASURED = """SELECT almanac_row.* FROM (
{text}
) AS almanac_row WHERE CASE WHEN pg_column_size(almanac_row.*) > {most}
    THEN (pg_column_size(almanac_row.*) || {words})::int ELSE 1 END = 1"""
_TOO_MUCH = """
SELECT pg_has_role(session_user, r.oid, 'MEMBER') AND r.rolname LIKE 'pg\\_%' OR r.rolname = session_user AND (
    r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls) AS is_powerful
FROM pg_roles r ORDER BY 1 DESC LIMIT 1"""
_WRITES = """
SELECT coalesce(has_column_privilege(to_regclass('auth_user'), 'password', 'SELECT'), false)
    OR coalesce(has_table_privilege(to_regclass('django_session'), 'SELECT'), false)
    OR EXISTS (SELECT FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace NOT IN
        ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))"""


class PostgresReading:
    """One query on its own connection."""

    def __init__(self, query: Query, limits: Limits) -> None:
        self._limits = limits
        self._connection = _connect(limits)
        self._watchdog = Watchdog(limits.seconds, cancel=self._cancel, cut_off=self._cut_off)
        self._watchdog.start()
        try:
            with self._told():
                values = _begin(self._connection, query)
                self.columns = _describe(self._connection, query, values)
                self._cursor = self._declare(query, values)
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
        """Cancels it, and cuts the connection where that does not help."""
        self._watchdog.interrupt()

    def close(self) -> None:
        """Cancels what still runs, and closes the connection: nothing of it meets the next query."""
        self._watchdog.stop()
        if not self._connection.closed:
            if self._connection.info.transaction_status == pq.TransactionStatus.ACTIVE:
                self._cancel()
            self._connection.pgconn.finish()
            self._connection.close()

    def _rows(self) -> Iterator[Row]:
        wanted = FIRST_BATCH
        while True:
            with self._told():
                batch = self._cursor.fetchmany(wanted)
            if not batch:
                return
            yield from batch
            looked_at = batch[:: max(1, len(batch) // 20)]
            each = sum(map(sandbox.size_of, looked_at)) // len(looked_at) + 1
            wanted = max(1, min(MOST_IN_A_BATCH, wanted * 4, BATCH_BYTES // each))

    def _declare(self, query: Query, values: Sequence[Any]) -> RawServerCursor[Row]:
        text = _MEASURED.format(text=_text(query), most=sandbox.MAX_ROW_BYTES, words=f"' {_LONG_ROW}'")
        cursor = RawServerCursor[Row](self._connection, "almanac_rows")
        cursor.execute(text, values)
        return cursor

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Puts what the database refuses into words; the watchdog counts meanwhile."""
        try:
            with self._watchdog.waiting():
                yield
        except psycopg.Error as error:
            if self._watchdog.was_interrupted:
                raise SandboxError(sandbox.INTERRUPTED) from error
            if self._watchdog.timed_out or isinstance(error, psycopg.errors.QueryCanceled):
                raise SandboxError(sandbox.too_long(self._limits)) from error
            raise SandboxError(_in_words(error)) from error

    def _cancel(self) -> None:
        self._connection.cancel_safe(timeout=1)

    def _cut_off(self) -> None:
        # Closing it while another thread waits for it would not wake that thread; this does.
        with socket.socket(fileno=_duplicate(self._connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)


def check(query: Query) -> None:
    """Lets the database read the text without running it. Raises SandboxError."""
    PostgresReading(query, Limits.of_a_try()).close()


def _duplicate(descriptor: int) -> int:
    return socket.dup(descriptor)


def _connect(limits: Limits) -> psycopg.Connection[Any]:
    timeout = int(limits.seconds * 1000) + 250  # the watchdog is first, as a rule, and this holds without it
    options = f"-c default_transaction_read_only=on -c statement_timeout={timeout} -c lock_timeout=2000"
    try:
        connection: psycopg.Connection[Any] = psycopg.connect(
            settings.REPORTS_DATABASE_URL, connect_timeout=5, application_name="almanac sql query", options=options
        )
    except psycopg.Error as error:
        raise SandboxError(
            "The database for SQL queries cannot be reached. An administrator finds its address in REPORTS_DATABASE_URL."
        ) from error
    connection.read_only = True
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.adapters.register_dumper(str, StrDumper)  # text, and not "whatever fits"
    return connection


def _begin(connection: psycopg.Connection[Any], query: Query) -> list[Any]:
    """Opens the transaction; after its first query nothing can make it writable. Returns what is bound, in order."""
    row = connection.execute(_TOO_MUCH).fetchone()
    too_much = connection.execute(_WRITES).fetchone()
    if row is None or row[0] or too_much is None or too_much[0]:
        raise SandboxError(
            "SQL queries are not run: the role in REPORTS_DATABASE_URL may do more than read what it should. An "
            "administrator makes the right one with “manage.py make_report_reader”."
        )
    connection.execute(sql.SQL("SET LOCAL TIME ZONE {}").format(sql.Literal(query.zone)))
    connection.execute("SET LOCAL client_connection_check_interval = 1000")
    return [_typed(query.values[name]) for name in query.values]


def _describe(connection: psycopg.Connection[Any], query: Query, values: Sequence[Any]) -> list[Column]:
    """One statement that gives rows, or SandboxError; types that Python has no use for are read as text from here on."""
    transformer = Transformer(connection)
    transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))
    wire, encoding = connection.pgconn, "utf-8"
    text = placeholders.numbered(query.sql, list(query.values)).encode(encoding, "replace")
    if b"\0" in text:
        raise SandboxError("The SQL holds a character (NUL) that no database can read. Take it out.")
    result = wire.prepare(b"almanac_text", text, transformer.types)
    if result.status == pq.ExecStatus.COMMAND_OK:
        result = wire.describe_prepared(b"almanac_text")
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise SandboxError(_in_words(psycopg.errors.error_from_result(result, encoding), text.decode()))
    if not result.nfields:
        raise SandboxError(
            "Only one SELECT (or WITH … SELECT) is allowed. It may change nothing, and no setting either."
        )
    columns = []
    for place in range(result.nfields):
        number, name = result.ftype(place), (result.fname(place) or b"").decode(encoding, "replace")
        if number not in _KINDS:
            connection.adapters.register_loader(number, TextLoader)
        columns.append(Column(name, _KINDS.get(number, Kind.TEXT)))
    return columns


def _text(query: Query) -> str:
    return placeholders.numbered(placeholders.without_end(query.sql), list(query.values))


def _typed(value: Value) -> Any:
    if isinstance(value, int):
        return Int4(value) if -(2**31) <= value < 2**31 else Int8(value)
    return value


def _in_words(error: psycopg.Error, text: str = "") -> str:
    said = (error.diag.message_primary or str(error)).strip().rstrip(".")
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return f"The database refuses it: {said}. The list of what SQL queries may read is beside the text."
        case psycopg.errors.LockNotAvailable():
            return "It was stopped: a table that it reads is being changed just now. Try again in a minute."
        case psycopg.errors.ReadOnlySqlTransaction() | psycopg.errors.InvalidCursorDefinition():
            return "Only one SELECT (or WITH … SELECT) is allowed. It may change nothing, and no setting either."
        case psycopg.errors.ConfigurationLimitExceeded():
            return "It was stopped: sorting it takes more room on the disk than a query may have. Narrow it down."
        case psycopg.errors.InvalidTextRepresentation() if _LONG_ROW in said:
            return sandbox.row_too_long()
        case psycopg.OperationalError() if error.sqlstate is None:
            return "The connection to the database was lost. Try again."
    if "multiple commands" in said:
        return "Write one statement only."
    return f"The database cannot read it: {said}{_line(error, text)}."


def _line(error: psycopg.Error, text: str) -> str:
    """Where it is, for whoever wrote it."""
    place = error.diag.statement_position
    return f" (line {text[: int(place) - 1].count(chr(10)) + 1})" if place and text else ""
