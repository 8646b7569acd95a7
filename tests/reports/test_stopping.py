"""A report that is cancelled, cut off or left by its database: nothing half done stays, in the folder or in the database."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, connections, transaction
from django.db.models import TextField
from django.db.models.expressions import RawSQL
from django.utils import timezone

from reports import copying, reading, running, storage
from reports.datasets import registry
from reports.datasets.registry import Column, DataSet, Row
from reports.models import Artefact, ReportDefinition, ReportRun
from reports.periods import Window
from runs import failpoints, ledger
from runs.models import Run, RunEvent
from runs.states import Trigger
from runs.tasks import RunContext
from tests.reports.listings import listed, sessions

pytestmark = pytest.mark.django_db(transaction=True)

Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]
KILLS = int(os.environ.get("REPORT_KILLS", 25))
"""On each of the two databases of the suite; both stood fifty."""
only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="a server's business")


@contextmanager
def meanwhile(work: Callable[[], None], after: float = 0.3) -> Iterator[None]:
    """Does it in a thread with a connection of its own, a moment after the body has begun."""

    def later() -> None:
        time.sleep(after)
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def cancel(run: RunContext) -> None:
    ledger.request_cancel(Run.objects.get(pk=run.id))


def assert_nothing_is_left(folder: Any) -> None:
    assert list(folder.glob("*")) + list(folder.glob(".*")) == []
    assert not Artefact.objects.exists()
    report_run = ReportRun.objects.get()
    assert (report_run.state, report_run.error) == ("cancelled", "It was cancelled.")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database() "
                "AND state <> 'idle' AND query NOT LIKE 'autovacuum%%'"
            )
            assert cursor.fetchone() == (0,)


def _assert_cancelled_soon(run: RunContext, folder: Any) -> None:
    cancelled_at: list[float] = []

    def ask() -> None:
        cancel(run)
        cancelled_at.append(time.monotonic())

    with meanwhile(ask), pytest.raises(ledger.RunCancelled):
        running.perform(run)
    assert time.monotonic() - cancelled_at[0] < 2
    assert_nothing_is_left(folder)


SLOW = {
    "postgresql": "pg_sleep(%s)::text",
    "sqlite": "(WITH RECURSIVE n(i) AS (SELECT %s UNION ALL SELECT i + 1 FROM n WHERE i < 1e9) SELECT 'x' || max(i) FROM n)",
}


@pytest.mark.parametrize("way", ["rows", pytest.param("copy", marks=only_postgresql)])
def test_it_is_cancelled_within_two_seconds_in_a_long_query(
    define: Define, claim: Claim, files_dir: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "FROM_ROWS", 0 if way == "copy" else 10**9)
    Session.objects.create(session_key="a", session_data="", expire_date=timezone.now())
    slow = RawSQL(SLOW[connection.vendor], [30], output_field=TextField())
    columns = (Column("session_key", "Key"), Column("slow", "Slow", source=slow))
    registry.register(DataSet("slow", "Slow", columns, queryset=lambda window: Session.objects.all()))
    try:
        _assert_cancelled_soon(claim(define(data_set="slow")), files_dir)
    finally:
        registry._registry.pop("slow")


def test_it_is_cancelled_within_two_seconds_while_it_writes(define: Define, claim: Claim, files_dir: Any) -> None:
    def endless(window: Window) -> Iterator[Row]:
        n = 0
        while True:
            n += 1
            time.sleep(0.01 if n > 500 else 0)  # slow enough for a thousand rows to take ten seconds
            yield (n, "x")

    with listed(endless) as key:
        report = define(data_set=key)
        ReportDefinition.objects.update(formats=["csv", "xlsx", "parquet"])
        _assert_cancelled_soon(claim(report), files_dir)


def test_it_is_cancelled_at_the_last_moment_before_it_is_published(
    define: Define, claim: Claim, files_dir: Any
) -> None:
    def rows(window: Window) -> Iterator[Row]:
        yield (1, "x")
        with meanwhile(lambda: cancel(run), after=0):
            pass

    with listed(rows) as key:
        run = claim(define(data_set=key))
        with pytest.raises(ledger.RunCancelled):
            running.perform(run)
    assert_nothing_is_left(files_dir)


def test_totals_count_and_rows_are_of_the_same_instant(define: Define, claim: Claim) -> None:
    """Somebody else adds and removes rows after the count was taken and while the rows are read."""

    def rows(window: Window) -> Iterator[Row]:
        for n, session in enumerate(Session.objects.order_by("pk").iterator(chunk_size=2)):
            if n == 1:
                with meanwhile(change, after=0):
                    pass
            yield (n, session.session_key)
        yield (Session.objects.count(), "in the end")

    def change() -> None:
        Session.objects.filter(session_key="000005").delete()
        Session.objects.create(session_key="zzz", session_data="", expire_date=timezone.now())

    with sessions(10), listed(rows, count=lambda window: Session.objects.count()) as key:
        running.perform(claim(define(data_set=key)))
    text = storage.path_of(Artefact.objects.get().key).read_text("utf-8-sig").splitlines()
    assert text[-1] == "10,in the end" and "5,000005" in text and not any("zzz" in line for line in text)
    assert Session.objects.filter(session_key="zzz").exists()


def test_nothing_is_written_by_what_reads(define: Define, claim: Claim) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no transaction that only reads")

    def rows(window: Window) -> Iterator[Row]:
        Session.objects.create(session_key="sly", session_data="", expire_date=timezone.now())
        yield (1, "x")

    with listed(rows) as key, pytest.raises(Exception, match="read-only transaction"):
        running.perform(claim(define(data_set=key)))
    assert not Session.objects.exists()


def test_progress_is_seen_while_it_is_made(define: Define, claim: Claim) -> None:
    seen: list[tuple[int, int | None]] = []

    def look() -> None:
        for _ in range(20):
            seen.append(Run.objects.values_list("progress_done", "progress_total").get(pk=run.id))
            time.sleep(0.1)

    def rows(window: Window) -> Iterator[Row]:
        for n in range(40):
            time.sleep(0.05)
            yield (n, "x")

    with listed(rows, count=lambda window: 40) as key:
        run = claim(define(data_set=key))
        with meanwhile(look, after=0):
            running.perform(run)
    assert any(0 < done < 40 and total == 40 for done, total in seen)


@only_postgresql
@pytest.mark.parametrize("rows", [10, 5000], ids=["rows", "copy"])
def test_a_database_that_goes_away_in_the_middle_is_waited_for(
    define: Define, claim: Claim, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    ended: list[bool] = []

    def end_the_reader() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [reader])

    real = storage.DraftFile.write

    def write(draft: Any, data: bytes) -> None:
        real(draft, data)
        if not ended and draft.byte_count > 60:
            ended.append(True)
            with meanwhile(end_the_reader, after=0):
                pass

    monkeypatch.setattr(storage.DraftFile, "write", write)
    monkeypatch.setattr(copying, "BLOCK_ROWS", 500)
    with sessions(rows) as key:
        run = claim(define(data_set=key))
        reader = reading.driver_connection().info.backend_pid
        assert running.perform(run).startswith(f"{rows:,} rows")
    assert ended and RunEvent.objects.filter(run_id=run.id, message__contains="begun anew").exists()
    assert Artefact.objects.get().row_count == rows


def test_what_a_killed_attempt_leaves_is_never_half_visible(define: Define, files_dir: Any) -> None:
    """SIGKILL at random points of real processes; after each, what is visible is whole, and a retry is alike to the byte."""
    chance = random.Random(7)
    with listed([(n, f"=text {n}") for n in range(3000)]) as key:
        report = define(data_set=key)
        ReportDefinition.objects.update(formats=["csv", "jsonl"])
        reference, seconds = _made_by_a_child(report.pk, None)
        killed = 0
        for _ in range(KILLS):
            shas, _ = _made_by_a_child(report.pk, chance.uniform(0, seconds * 1.1))
            killed += shas is None
            run_id = Run.objects.latest("pk").pk
            _assert_whole(run_id)
            Run.objects.filter(pk=run_id).update(lease_until=timezone.now().replace(year=2020))
            claimed = ledger.claim(run_id, "the next worker")
            if claimed is not None:
                running.perform(RunContext(claimed))
            assert _shas(run_id) == reference
            _assert_whole(run_id)
            assert not list(files_dir.glob(".run-*"))
    assert killed > KILLS / 4  # the first one, which the moments go by, also loads what it needs
    assert len(list(files_dir.glob("*.csv"))) == Artefact.objects.filter(format="csv").count() == KILLS + 1


@pytest.mark.parametrize("place", ["report_confirmed", "report_shown", "report_recorded"])
def test_a_worker_killed_between_its_files_and_their_record_leaves_nothing_visible(define: Define, place: str) -> None:
    with listed([(n, f"=text {n}") for n in range(100)]) as key:
        report = define(data_set=key)
        ReportDefinition.objects.update(formats=["csv", "jsonl"])
        reference, _ = _made_by_a_child(report.pk, None)
        shas, _ = _made_by_a_child(report.pk, None, place)
        run_id = Run.objects.latest("pk").pk
        assert shas is None and _shas(run_id) == {}
        Run.objects.filter(pk=run_id).update(lease_until=timezone.now().replace(year=2020))
        claimed = ledger.claim(run_id, "the next worker")
        assert claimed is not None
        running.perform(RunContext(claimed))
        assert _shas(run_id) == reference
        _assert_whole(run_id)


def _made_by_a_child(
    report_id: int, kill_after: float | None, failpoint: str = ""
) -> tuple[dict[str, str] | None, float]:
    """What a process of its own made (None where it was killed before its end), and how long it took."""
    planned = ledger.plan(
        ledger.NewRun(kind="report", target_id=report_id, target_label="x", trigger=Trigger.MANUAL, queue="reports")
    )
    due_at = Run.objects.earliest("pk").due_at
    Run.objects.filter(pk=planned.pk).update(due_at=due_at)
    connections.close_all()
    ready, begin = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            claimed = ledger.claim(planned.pk, "to be killed")
            os.write(begin, b"x")
            assert claimed is not None
            failpoints.arm(failpoint)
            running.perform(RunContext(claimed))
        except BaseException:
            os._exit(1)
        os._exit(0)
    os.close(begin)
    os.read(ready, 1)
    os.close(ready)
    begun = time.monotonic()
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None, 0
    assert os.WEXITSTATUS(status) == 0
    return _shas(planned.pk), time.monotonic() - begun


def _shas(run_id: int) -> dict[str, str]:
    return dict(Artefact.objects.filter(report_run__run_id=run_id).values_list("format", "sha256"))


def _assert_whole(run_id: int) -> None:
    """What the library shows is on the disk as it was published."""
    for artefact in Artefact.objects.filter(report_run__run_id=run_id):
        assert storage.is_intact(storage.path_of(artefact.key, artefact.format), artefact.sha256)


def test_a_worker_that_comes_back_publishes_nothing(define: Define, claim: Claim, files_dir: Any) -> None:
    """The same message twice: the second attempt makes the report while the first is still reading."""
    first: list[RunContext] = []

    def take_over() -> None:
        try:
            first.append(claim(run=first[0]))
            running.perform(first[1])
        finally:
            connection.close()

    def rows(window: Window) -> Iterator[Row]:
        yield (1, "x")
        if len(first) == 1:
            other = threading.Thread(target=take_over)
            other.start()
            other.join()
        yield (2, "y")

    with listed(rows) as key:
        first.append(claim(define(data_set=key)))
        with pytest.raises(ledger.LeaseLost):
            running.perform(first[0])
    artefact = Artefact.objects.get()
    assert storage.is_intact(storage.path_of(artefact.key), artefact.sha256)
    assert len(list(files_dir.glob("*"))) == 1 and ReportRun.objects.get().state == "succeeded"


def test_in_a_callers_transaction_it_reads_what_the_caller_wrote(define: Define, claim: Claim) -> None:
    with sessions(0) as key, transaction.atomic():
        Session.objects.create(session_key="mine", session_data="", expire_date=timezone.now())
        assert running.perform(claim(define(data_set=key))).startswith("1 row ")


@only_postgresql
def test_nothing_of_a_reading_stays_on_its_connection(
    define: Define, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler hands the same connection to the next; and one that has server-side cursors turned off gets them all the same."""
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    asked: list[str] = []

    def note(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        asked.append(str(sql))
        return execute(sql, params, many, context)

    def state() -> tuple[Any, ...]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('TimeZone'), current_setting('DateStyle'), current_setting('transaction_isolation'), "
                "current_setting('transaction_read_only'), (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_prepared_statements)"
            )
            return tuple(cursor.fetchone())

    before, driver = state(), connection.connection
    with sessions(3000) as key, connection.execute_wrapper(note):
        report = define(data_set=key, time_zone="Asia/Kolkata")
        for from_rows in (0, 10**9):
            monkeypatch.setattr(copying, "FROM_ROWS", from_rows)
            running.perform(claim(report))
    assert state() == before and connection.connection is driver
    assert connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert not any(sql.startswith("SET ") and "TRANSACTION" not in sql for sql in asked)
    by_copy, by_cursor = Artefact.objects.order_by("pk")
    assert by_copy.sha256 == by_cursor.sha256
