"""The database role that SQL queries run as: the statements that make it, or bring it up to date, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from reports.queries import readable

CONNECTIONS = 6
_REVOKED = r"""
SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND (
    p.proname ~ '^(lo_|pg_(try_)?advisory_|pg_sleep|pg_logical_|pg_replication_|pg_create_|pg_drop_|pg_export_snapshot|pg_notify$)'
    OR p.proname IN ('loread', 'lowrite', 'set_config', 'pg_cancel_backend', 'pg_terminate_backend', 'pg_promote',
        'pg_switch_wal', 'pg_reload_conf', 'pg_rotate_logfile', 'pg_log_backend_memory_contexts'))
ORDER BY 1"""


@dataclass(frozen=True)
class Step:
    """One statement."""

    statement: sql.Composed
    may_fail: bool = False
    """It takes a superuser; without one the rest still holds, and the sandbox ends by itself what this would forbid."""


def steps(cursor: Any, name: str, password: str) -> Iterator[Step]:
    """Everything that makes the role ``name``; may be run any number of times. ``cursor`` is one of the owner's."""
    cursor.execute("SELECT current_database(), current_user")
    database, owner = cursor.fetchone()
    cursor.execute("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", [name])
    role = sql.Identifier(name)
    verb = sql.SQL("ALTER" if cursor.fetchone()[0] else "CREATE")
    powers = sql.SQL("LOGIN NOCREATEDB NOCREATEROLE NOINHERIT CONNECTION LIMIT")
    yield Step(
        sql.SQL("{} ROLE {} {} {} PASSWORD {}").format(
            verb, role, powers, sql.Literal(CONNECTIONS), sql.Literal(password)
        )
    )
    yield Step(sql.SQL("ALTER ROLE {} NOSUPERUSER NOREPLICATION NOBYPASSRLS").format(role), may_fail=True)
    settings = {
        "default_transaction_read_only": "on",
        "statement_timeout": "10min",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "1h",  # an open transaction holds up the tidying of the whole database
        "max_parallel_workers_per_gather": "0",
        "search_path": "public",
    }
    for setting, value in settings.items():
        yield Step(sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(setting), sql.Literal(value)))
    yield Step(sql.SQL("ALTER ROLE {} SET temp_file_limit = '2GB'").format(role), may_fail=True)
    yield Step(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), role))
    yield from _grants(role)
    yield from _for_everybody(cursor, role, database, owner)


def _grants(role: sql.Identifier) -> Iterator[Step]:
    yield Step(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(role))
    yield Step(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
    for table in readable.tables():
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        which = sql.SQL("") if table.is_whole else sql.SQL(" ({})").format(columns)
        yield Step(sql.SQL("GRANT SELECT{} ON {} TO {}").format(which, sql.Identifier("public", table.name), role))


def _for_everybody(cursor: Any, role: sql.Identifier, database: str, owner: str) -> Iterator[Step]:
    """What is everybody's by default is taken from everybody, and given back to the application's own role."""
    yield Step(sql.SQL("REVOKE CREATE ON SCHEMA public FROM PUBLIC"), may_fail=True)  # type: ignore[arg-type]
    kept = sql.Identifier(owner)
    yield Step(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)), may_fail=True)
    yield Step(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(sql.Identifier(database), kept), may_fail=True)
    cursor.execute(_REVOKED)
    for (function,) in cursor.fetchall():
        yield Step(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.SQL(function), kept), may_fail=True)
        yield Step(sql.SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function)), may_fail=True)
