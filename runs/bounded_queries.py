"""Statements that end after a while, for what is worth knowing but not worth waiting for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

_STEPS = 20_000
"""SQLite looks at the clock after so many instructions: about every millisecond."""


class TookTooLong(Exception):
    """The statements did not end within their time."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Lets the database work so long on what is read inside, and no longer.

    Raises:
        TookTooLong: what was read so far is of no use.
    """
    bounded = _postgresql if connection.vendor == "postgresql" else _sqlite
    started = time.monotonic()
    try:
        with bounded(seconds):
            yield
    except OperationalError as error:
        if time.monotonic() - started < seconds * 0.9:
            raise
        raise TookTooLong from error


@contextmanager
def _postgresql(seconds: float) -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        (before,) = cursor.fetchone()
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(seconds * 1000))])
        yield
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])


@contextmanager
def _sqlite(seconds: float) -> Iterator[None]:
    connection.ensure_connection()
    end = time.monotonic() + seconds
    connection.connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        yield
    finally:
        connection.connection.set_progress_handler(None, 0)
