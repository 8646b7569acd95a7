"""Where SQL queries are run in the tests: on SQLite as it is, on PostgreSQL as a role that the product's command makes."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from reports.queries import sandbox
from reports.queries.parameters import Value
from reports.queries.sandbox import Limits, Query

IS_POSTGRES = connection.vendor == "postgresql"
ROLE = "almanac_test_reader"
FAST = Limits(seconds=0.7, rows=10_000, bytes=4 * sandbox.MEGABYTE)


@pytest.fixture(scope="module")
def reader_url(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The address of the role, made for this module; empty on SQLite."""
    if not IS_POSTGRES:
        yield ""
        return
    with django_db_blocker.unblock():
        said = StringIO()
        call_command("make_report_reader", "--run", "--name", ROLE, "--password", "it's a $ecret", stdout=said)
        yield said.getvalue().partition("REPORTS_DATABASE_URL=")[2].split()[0]
        connection.close()


@pytest.fixture
def house(db: None, reader_url: str, settings: Any) -> None:
    """SQL queries can be run."""
    settings.REPORTS_DATABASE_URL = reader_url


def read(sql: str, limits: Limits = FAST, **values: Value) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return list(sandbox.begin(Query(sql, values), limits).rows())


def refusal(sql: str, limits: Limits = FAST, **values: Value) -> str:
    """Why it is refused or ended."""
    with pytest.raises(sandbox.SandboxError) as raised:
        read(sql, limits, **values)
    return str(raised.value)


def as_owner(statement: str, *values: object) -> list[tuple[Any, ...]]:
    """On a connection of its own, outside the test's transaction."""
    parameters = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}
    with psycopg.connect(**parameters, autocommit=True) as owner:
        cursor = owner.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def backends() -> int:
    """Connections of the role that are still there."""
    if not IS_POSTGRES:
        return 0
    return int(as_owner("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", ROLE)[0][0])
