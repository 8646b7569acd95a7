"""One view of the database for a whole report: totals, count, comparison and rows are all of the same instant.

It is this thread's own connection that reads. Progress and leases are written meanwhile by other threads, on theirs
(:mod:`reports.watching`), so nothing may be written inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction


def is_own() -> bool:
    """Whether :func:`snapshot` would begin a transaction; it reads in that of its caller, where there is one."""
    return not connections[DEFAULT_DB_ALIAS].in_atomic_block


@contextmanager
def snapshot() -> Iterator[None]:
    """A read-only transaction, of one statement's view on PostgreSQL. Nothing of a session: fit for PgBouncer.

    Whatever is raised inside leaves no statement running in the database.
    """
    if not is_own():
        yield
        return
    connection: Any = connections[DEFAULT_DB_ALIAS]
    before = _prepare(connection)
    try:
        with transaction.atomic():
            try:
                if connection.vendor == "postgresql":
                    with connection.cursor() as cursor:
                        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield
            except BaseException:
                _give_up(connection.connection)
                raise
    finally:
        for name, value in before.items():
            setattr(connection, name, value)


def _give_up(driver: Any) -> None:
    """What an exception in the middle of a statement left behind can only be closed."""
    interrupt(driver)
    if hasattr(driver, "info") and driver.info.transaction_status.name == "ACTIVE":
        driver.close()


def _prepare(connection: Any) -> dict[str, Any]:
    """Sets what must be otherwise than in the rest of the house, and returns what it was."""
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        before = {"transaction_mode": connection.transaction_mode}
        connection.transaction_mode = "DEFERRED"  # IMMEDIATE would keep everybody else from writing until the end
        return before
    # Who has PgBouncer turns server-side cursors off, and all rows would come at once; inside a transaction they are safe.
    before = {"settings_dict": connection.settings_dict}
    connection.settings_dict = {**connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS": False}
    return before


def driver_connection() -> Any:
    """What :func:`interrupt` takes: the driver's own connection of this thread."""
    connection = connections[DEFAULT_DB_ALIAS]
    connection.ensure_connection()
    return connection.connection


def interrupt(driver: Any) -> None:
    """Ends the statement that runs on the connection, if any; may be called from any thread."""
    if driver is None:
        return
    if hasattr(driver, "interrupt"):
        driver.interrupt()
    elif driver.info.transaction_status.name == "ACTIVE":
        driver.cancel_safe(timeout=5)
