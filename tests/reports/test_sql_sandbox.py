from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection

from reports.datasets.registry import Kind
from reports.management.commands import make_report_reader
from reports.queries import readable, sandbox
from reports.queries.sandbox import Limits, Query
from tests.reports.sql_house import FAST, IS_POSTGRES, ROLE, as_owner, backends, house, read, reader_url, refusal

__all__ = ("house", "reader_url")
pytestmark = pytest.mark.usefixtures("house")
on_postgres = pytest.mark.skipif(not IS_POSTGRES, reason="PostgreSQL only")
on_sqlite = pytest.mark.skipif(IS_POSTGRES, reason="SQLite only")

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
CROSS = """WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000)
SELECT count(*) FROM n AS a, n AS b, n AS c, n AS d"""
WRITES = [
    "INSERT INTO auth_group (name) VALUES ('x')",
    "INSERT INTO auth_group (name) VALUES ('x') RETURNING id",
    "UPDATE auth_group SET name = 'x'",
    "DELETE FROM auth_group",
    "DROP TABLE auth_group",
    "CREATE TABLE evil (a int)",
    "CREATE TEMP TABLE evil (a int)",
    "CREATE TABLE evil AS SELECT 1 AS a",
    "CREATE VIEW evil AS SELECT 1",
    "ALTER TABLE auth_group ADD COLUMN x int",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ANALYZE",
    "VACUUM",
    "REINDEX TABLE auth_group",
    "",
    "-- nothing",
]
"""Refused on both."""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    children = [child for child in psutil.Process().children() if "sqlite_child.py" in " ".join(child.cmdline())]
    assert children == []
    deadline = time.monotonic() + 2
    while backends() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert backends() == 0


def names_of_tables() -> set[str]:
    return set(connection.introspection.table_names())


@pytest.mark.parametrize("sql", WRITES)
def test_whatever_is_no_select_is_refused(sql: str) -> None:
    before = names_of_tables()
    said = refusal(sql)
    assert "Only one SELECT" in said or "cannot read it" in said or "refuses it" in said
    assert names_of_tables() == before and not Group.objects.filter(name="x").exists()


@on_postgres
@pytest.mark.parametrize(
    "sql",
    [
        "WITH w AS (INSERT INTO auth_group (name) VALUES ('x') RETURNING id) SELECT * FROM w",
        "WITH w AS (DELETE FROM auth_group RETURNING id) SELECT * FROM w",
        "SELECT 1 INTO evil", "EXPLAIN ANALYZE SELECT 1", "SELECT * FROM auth_group FOR UPDATE",
        "COPY auth_group TO STDOUT", "COPY (SELECT 1) TO PROGRAM 'touch /tmp/evil'", "COPY (SELECT 1) TO '/tmp/evil'",
        "SET default_transaction_read_only = off", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "RESET ALL",
        "SET ROLE postgres", "SHOW statement_timeout", "DO $$ BEGIN PERFORM 1; END $$", "LISTEN x", "NOTIFY x",
        "PREPARE x AS SELECT 1", "DECLARE x CURSOR FOR SELECT 1", "LOCK TABLE auth_group", "CALL x()",
        "SELECT set_config('statement_timeout', '0', false)", "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_lock_shared(1, 2)", "SELECT pg_advisory_xact_lock(1)",
        "SELECT lo_create(0)", "SELECT lo_creat(1)", "SELECT lo_from_bytea(0, 'x')", "SELECT lo_import('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('/etc/passwd')", "SELECT * FROM pg_ls_dir('/')",
        "SELECT pg_sleep(60)", "SELECT pg_sleep_for('1 minute')", "SELECT pg_terminate_backend(1)", "SELECT pg_cancel_backend(1)",
        "SELECT pg_logical_emit_message(false, 'x', 'y')", "SELECT pg_notify('x', 'y')", "SELECT pg_reload_conf()",
        "SELECT nextval('auth_group_id_seq')", "SELECT setval('auth_group_id_seq', 1)",
        "SELECT query_to_xml('SELECT password FROM auth_user', true, true, '')",
        "SELECT query_to_xml('INSERT INTO auth_group (name) VALUES (''x'')', true, true, '')",
        "SELECT rolpassword FROM pg_authid", "SELECT * FROM pg_largeobject", "SELECT passwd FROM pg_shadow",
        "SELECT password FROM auth_user", "SELECT * FROM auth_user", "SELECT auth_user FROM auth_user",
        "SELECT session_key FROM django_session", "SELECT count(*) FROM django_session", "TABLE reports_sharelink",
        "SELECT token_hash FROM reports_sharelink", "SELECT calendar_token_hash FROM runs_staffsettings",
    ],
)  # fmt: skip
def test_postgresql_refuses_what_a_reader_could_do_by_default(sql: str) -> None:
    started = time.monotonic()
    refusal(sql)
    assert time.monotonic() - started < FAST.seconds + 2
    assert not Path("/tmp/evil").exists() and "evil" not in names_of_tables()
    assert not Group.objects.filter(name="x").exists()


@on_sqlite
@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '{folder}/evil.db' AS evil", "ATTACH ':memory:' AS m", "DETACH main", "PRAGMA query_only = 0",
        "PRAGMA writable_schema = 1", "PRAGMA table_info(auth_user)", "SELECT * FROM pragma_table_info('auth_user')",
        "SELECT * FROM sqlite_master", "SELECT sql FROM sqlite_schema", "SELECT * FROM sqlite_temp_master",
        "SELECT name FROM pragma_database_list", "VACUUM INTO '{folder}/evil.db'",
        "SELECT password FROM auth_user", "SELECT * FROM auth_user", "SELECT main.auth_user.password FROM main.auth_user",
        "SELECT count(*) FROM django_session", "SELECT session_data FROM django_session", "SELECT * FROM reports_sharelink",
        "SELECT (SELECT token_hash FROM reports_sharelink)", "WITH t AS (SELECT password FROM auth_user) SELECT * FROM t",
        "SELECT calendar_token_hash FROM runs_staffsettings", "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')",
        "SELECT writefile('{folder}/evil.db', 'x')", "SELECT randomblob(100)", "SELECT zeroblob(4e8)", "SELECT edit('x')",
        "SELECT fts3_tokenizer('x')", "SELECT sqlite_version()", "REPLACE INTO auth_group (name) VALUES ('x')",
        "CREATE TRIGGER t AFTER INSERT ON auth_group BEGIN SELECT 1; END", "CREATE VIRTUAL TABLE evil USING fts5(a)",
    ],
)  # fmt: skip
def test_sqlite_refuses_files_settings_and_other_tables(sql: str, tmp_path: Path) -> None:
    started = time.monotonic()
    refusal(sql.replace("{folder}", str(tmp_path)))
    assert time.monotonic() - started < FAST.seconds + 2
    assert list(tmp_path.iterdir()) == [] and "evil" not in names_of_tables()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE auth_group", "SELECT 1;; SELECT 2", "SELECT 1; -- x\nDELETE FROM auth_group",
        "SELECT 1) AS x; DROP TABLE auth_group; --", "SELECT 1) TO STDOUT; DROP TABLE auth_group; SELECT (1",
    ],
)  # fmt: skip
def test_a_second_statement_is_refused(sql: str) -> None:
    refusal(sql)
    assert "auth_group" in names_of_tables()


@pytest.mark.parametrize(
    "sql", ["SELECT 1;", "SELECT 1 ; \n", "SELECT 1 -- the end;", "SELECT 1; -- done", "/* a; b */ SELECT 1"]
)
def test_one_statement_may_end_as_people_end_it(sql: str) -> None:
    assert read(sql) == [(1,)]


@pytest.mark.parametrize("sql", [ENDLESS, CROSS], ids=["endless", "cross join"])
def test_what_never_ends_is_ended(sql: str) -> None:
    started = time.monotonic()
    assert "the database worked on it for" in refusal(sql)
    assert FAST.seconds * 0.8 < time.monotonic() - started < FAST.seconds + 2


@on_postgres
def test_what_a_superuser_did_not_forbid_is_harmless() -> None:
    """Where nobody could take set_config, pg_sleep and locks from everybody."""
    taken = (
        "set_config(text, text, boolean)", "pg_sleep(double precision)", "pg_advisory_lock(bigint)", "lo_create(oid)",
        "pg_notify(text, text)",
    )  # fmt: skip
    for function in taken:
        as_owner(f"GRANT EXECUTE ON FUNCTION {function} TO {ROLE}")
    try:
        started = time.monotonic()
        lifted = "SELECT set_config('statement_timeout', '0', false), pg_sleep(0.01) FROM generate_series(1, 100000)"
        assert "the database worked on it for" in refusal(lifted)
        assert "the database worked on it for" in refusal("SELECT pg_sleep(600)")
        assert time.monotonic() - started < 2 * (FAST.seconds + 2)
        assert "before any query" in refusal("SELECT set_config('transaction_read_only', 'off', false)")
        read("SELECT pg_advisory_lock(42)")
        (state,) = read(
            "SELECT current_setting('statement_timeout'), current_setting('transaction_read_only'), current_user"
        )
        assert state == ("950ms", "on", ROLE)
        assert as_owner("SELECT pg_try_advisory_lock(42)") == [(True,)]
        for sql in ("SELECT lo_create(424242)", "SELECT pg_notify('x', 'y')"):
            try:  # newer versions refuse it; older ones do it, in a transaction that is never committed
                read(sql)
            except sandbox.SandboxError:
                pass
        assert as_owner("SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]
    finally:
        for function in taken:
            as_owner(f"REVOKE EXECUTE ON FUNCTION {function} FROM {ROLE}")


def test_a_gigabyte_ends_at_the_cap() -> None:
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000) SELECT {} AS t FROM n"
    long = "repeat('x', 1000)" if IS_POSTGRES else "printf('%.*c', 1000, 'x')"
    said = refusal(many.format(long), Limits(10, 10**9, 4 * sandbox.MEGABYTE))
    assert "at most 4 MB" in said and "after 4,194 rows" in said
    said = refusal(many.format("x"), Limits(10, 1000, 10**9))
    assert "at most 1,000 rows" in said


def test_one_gigantic_row_never_reaches_us() -> None:
    huge = "repeat('x', 40000000)" if IS_POSTGRES else "replace(printf('%.*c', 4000000, 'x'), 'x', 'xxxxxxxxxx')"
    before = psutil.Process().memory_info().rss
    assert "larger than 16 MB" in refusal(f"SELECT {huge}", Limits(10, 10, 10**9))
    assert psutil.Process().memory_info().rss - before < 20 * sandbox.MEGABYTE


@on_postgres
def test_many_large_rows_are_not_in_memory_at_once() -> None:
    before, most = psutil.Process().memory_info().rss, 0
    large = "SELECT repeat('x', 1000000) || n AS t FROM generate_series(1, 200) AS n"
    for _ in sandbox.begin(Query(large, {}), Limits(20, 1000, 10**9)).rows():
        most = max(most, psutil.Process().memory_info().rss - before)
    assert most < 150 * sandbox.MEGABYTE


@pytest.mark.parametrize(
    "value",
    ["'; DROP TABLE auth_group; --", "%s", "%(x)s", "$$", "$1", "{}", ":x", "\\'", "é\n山", "x" * 1_000_000],
    ids=range(10),
)
def test_a_parameter_is_data_whatever_it_holds(value: str) -> None:
    assert read("SELECT :x AS a, ':x' AS b, length(:x) AS c, 'a%' AS d", x=value) == [(value, ":x", len(value), "a%")]
    assert "auth_group" in names_of_tables()


def test_parameters_have_types() -> None:
    day, moment = date(2026, 11, 9), datetime(2026, 11, 8, 23, tzinfo=UTC)
    User.objects.create_user("ann")
    sql = "SELECT count(*) FROM auth_user WHERE date_joined >= :start AND date_joined > :day AND id >= :number"
    assert len(read(sql, start=moment, day=day, number=-(2**62))) == 1
    assert read("SELECT :n + 1", n=41) == [(42,)]


def test_it_knows_columns_and_their_kinds() -> None:
    sql = "SELECT name, id, 1.5 AS half, NULL AS none, name FROM auth_group"
    reading = sandbox.begin(Query(sql, {}), FAST)
    assert [column.name for column in reading.columns] == ["name", "id", "half", "none", "name"]
    if IS_POSTGRES:  # SQLite judges by the rows, and there are none
        assert [column.kind for column in reading.columns] == [
            Kind.TEXT,
            Kind.INTEGER,
            Kind.DECIMAL,
            Kind.TEXT,
            Kind.TEXT,
        ]
    assert list(reading.rows()) == []


@pytest.mark.django_db(transaction=True)
def test_the_kinds_of_stored_values() -> None:
    User.objects.create_user("ann", date_joined=datetime(2026, 11, 9, 8, 30, 0, 250000, tzinfo=UTC))
    reading = sandbox.begin(
        Query("SELECT username, date_joined, is_staff, 2 * id - 2 * id, 0.5 FROM auth_user", {}), FAST
    )
    kinds = [column.kind for column in reading.columns]
    assert kinds == [Kind.TEXT, Kind.MOMENT, Kind.YES_NO, Kind.INTEGER, Kind.DECIMAL]
    moment = datetime(2026, 11, 9, 8, 30, 0, 250000, tzinfo=UTC)
    assert list(reading.rows()) == [("ann", moment, False, 0, Decimal("0.5"))]


@on_sqlite
def test_a_column_that_changes_its_kind_is_told() -> None:
    sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 400) SELECT iif(x < 300, x, 'many') AS a FROM n"
    assert "The column “a” begins with values of one kind and has another in row 300" in refusal(sql)


def test_it_can_be_interrupted_from_another_thread() -> None:
    slow = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000000) SELECT x FROM n WHERE x % 100000000 = 1"
    started = time.monotonic()
    reading = sandbox.begin(Query(slow, {}), Limits(30, 10, 1000)) if IS_POSTGRES else None
    threading.Timer(0.3, lambda: reading.interrupt() if reading else None).start()
    with pytest.raises(sandbox.SandboxError) as raised:
        if reading is None:  # SQLite looks at the first rows before it says the columns
            read(slow, Limits(0.3, 10, 1000))
        else:
            list(reading.rows())
    assert "It was stopped" in str(raised.value) and time.monotonic() - started < 3


def test_rows_that_nobody_reads_to_the_end_leave_nothing_behind() -> None:
    rows = sandbox.begin(
        Query("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n", {}), FAST
    ).rows()
    assert next(rows) == (1,)
    rows.close()  # type: ignore[attr-defined]


def test_how_long_the_rows_take_to_be_written_does_not_count() -> None:
    sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 9000) SELECT x FROM n"
    rows = sandbox.begin(Query(sql, {}), FAST).rows()
    next(rows)
    time.sleep(FAST.seconds + 0.6)
    assert len(list(rows)) == 8999


def test_what_it_may_read_holds_no_secrets() -> None:
    telling = ("password", "token", "secret", "hash", "public_id", "session", "idempotency")
    found = [f"{table.name}.{column}" for table in readable.tables() for column in table.columns]
    assert [one for one in found if any(word in one.partition(".")[2] for word in telling)] == []
    for table in (
        "django_session",
        "reports_sharelink",
        "runs_staffsettings",
        "axes_accessattempt",
        "reports_reportquery",
    ):
        assert table not in {one.name for one in readable.tables()}


def test_every_table_that_it_names_can_be_read() -> None:
    for table in readable.tables():
        read(f"SELECT {', '.join(table.columns)} FROM {table.name} LIMIT 0")


@on_postgres
def test_without_an_address_it_says_what_to_do(settings: object) -> None:
    settings.REPORTS_DATABASE_URL = ""  # type: ignore[attr-defined]
    assert "manage.py make_report_reader" in refusal("SELECT 1")


@on_postgres
def test_a_role_that_may_do_more_is_refused(settings: object) -> None:
    connection.ensure_connection()
    settings.REPORTS_DATABASE_URL = make_report_reader._address("postgres", "")  # type: ignore[attr-defined]
    assert "may do more than read" in refusal("SELECT 1")


@on_sqlite
def test_its_process_has_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    start = subprocess.Popen

    def watched(*args: object, **more: dict[str, str]) -> object:
        seen.append(more["env"])
        return start(*args, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", watched)
    read("SELECT 1")
    assert set(seen[0]) == {"TMPDIR", "LANG"} and settings.SECRET_KEY not in str(seen)
