"""Each way in which a report cannot be made ends in words, and its owner is told once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import TextField
from django.db.models.expressions import RawSQL
from django.utils import timezone

from reports import opening, running, storage, telling
from reports.datasets import registry
from reports.datasets.registry import Column, DataSet, Row
from reports.models import Artefact, ReportDefinition, ReportRun
from reports.periods import Window
from runs import ledger, rescue
from runs.models import Run
from runs.states import Trigger
from runs.tasks import JobFailed, RunContext
from schedules import services as schedule_services
from schedules.drafts import ScheduleDraft
from schedules.tasks import run_job
from tests.reports.listings import listed

pytestmark = pytest.mark.django_db

Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """(run, why) each time somebody is told of a failure."""
    calls: list[tuple[int, str]] = []

    really = telling.tell_of_failure

    def tell(run: Run, report_run: ReportRun | None, why: str) -> None:
        calls.append((run.pk, why))
        really(run, report_run, why)

    monkeypatch.setattr(telling, "tell_of_failure", tell)
    return calls


def planned(definition: ReportDefinition, **values: Any) -> Run:
    return ledger.plan(
        ledger.NewRun(
            kind="report", target_id=definition.pk, target_label="x", trigger=Trigger.MANUAL, queue="reports", **values
        )
    )


def make_due(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(not_before_at=None)


def breaking(error: Exception) -> Callable[[Window], Iterator[Row]]:
    def rows(window: Window) -> Iterator[Row]:
        yield (1, "x")
        raise error

    return rows


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("no such thing"), "Something unexpected went wrong (OSError: no such thing)."),
        (ValueError("odd"), "Something unexpected went wrong (ValueError: odd)."),
        (SoftTimeLimitExceeded(), "Stopped after its time limit of 3600 s."),
        (JobFailed("In words."), "In words."),
    ],
    ids=["system", "bug", "time limit", "in words"],
)
def test_the_owner_is_told_once_for_a_run_and_not_for_each_attempt(
    define: Define, told: list[tuple[int, str]], error: Exception, words: str
) -> None:
    with listed(breaking(error)) as key:
        run = planned(define(data_set=key), max_attempts=3)
        for _ in range(3):
            make_due(run)
            run_job(run.pk)
            assert ReportRun.objects.get().state == "failed"
        run_job(run.pk)
    assert told == [(run.pk, words)]
    assert ReportRun.objects.get().error == words and not Artefact.objects.exists()


def test_an_attempt_that_succeeds_after_all_tells_nobody_of_a_failure(
    define: Define, told: list[tuple[int, str]]
) -> None:
    with listed(breaking(ValueError("odd"))) as key:
        run = planned(define(data_set=key), max_attempts=2)
        run_job(run.pk)
    with listed([(1, "x")]):
        make_due(run)
        run_job(run.pk)
    assert told == []
    assert (ReportRun.objects.get().state, ReportRun.objects.get().error) == ("succeeded", "")


def test_a_run_whose_workers_died_is_told_of(define: Define, told: list[tuple[int, str]]) -> None:
    run = planned(define())
    for _ in range(ledger.LOST_WORKER_ATTEMPTS):
        claimed = ledger.claim(run.pk, "dies")
        assert claimed is not None
        opening.open_run(RunContext(claimed), ReportDefinition.objects.get())
        Run.objects.filter(pk=run.pk).update(lease_until=timezone.now().replace(year=2020))
        rescue.rescue(timezone.now())
    assert told == [(run.pk, "The worker stopped in the middle 3 times.")]
    assert ReportRun.objects.get().state == "failed"


def test_a_run_that_is_cancelled_while_it_waits_for_another_attempt_is_cancelled(
    define: Define, told: list[tuple[int, str]]
) -> None:
    with listed(breaking(ValueError("odd"))) as key:
        run = planned(define(data_set=key), max_attempts=2)
        run_job(run.pk)
        claimed = ledger.claim(run.pk, "x")
        assert claimed is None
        make_due(run)
        claimed = ledger.claim(run.pk, "x")
        assert claimed is not None
        ledger.cancelled(claimed, "x")
    assert told == [] and ReportRun.objects.get().state == "cancelled"


def _of_the_database(sql: str) -> DataSet:
    broken = RawSQL(sql, [], output_field=TextField())
    columns = (Column("session_key", "Key"), Column("broken", "Broken", source=broken))
    return DataSet("broken", "Broken", columns, queryset=lambda window: Session.objects.all())


@pytest.mark.django_db(transaction=True)
def test_what_the_database_refuses_is_told_in_its_words(define: Define, claim: Claim) -> None:
    registry.register(_of_the_database("no_such_column"))
    try:
        with pytest.raises(JobFailed, match=r"The rows could not be read; the database said: .*no_such_column"):
            running.perform(claim(define(data_set="broken")))
    finally:
        registry._registry.pop("broken")
    assert ReportRun.objects.get().state == "failed" and list(storage.folder().iterdir()) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="a server's limit")
def test_the_time_limit_of_the_database_is_told_in_words(define: Define, claim: Claim) -> None:
    Session.objects.create(session_key="a", session_data="", expire_date=timezone.now())
    registry.register(_of_the_database("pg_sleep(5)::text"))
    try:
        run = claim(define(data_set="broken"))
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 300")
        with pytest.raises(JobFailed, match="because it took longer than it allows") as raised:
            running.perform(run)
        assert raised.value.may_retry
    finally:
        registry._registry.pop("broken")
        connection.close()


def test_a_file_that_cannot_be_made_of_the_rows_names_its_format(define: Define, claim: Claim) -> None:
    class Unwritable:
        def __str__(self) -> str:
            raise RuntimeError("no text of it")

    with listed([(1, Unwritable())]) as key, pytest.raises(JobFailed, match="The CSV file could not be written"):
        running.perform(claim(define(data_set=key)))
    assert list(storage.folder().iterdir()) == []


def test_a_report_that_will_not_fit_is_not_begun(define: Define, claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    report = define()
    running.perform(claim(report))
    Artefact.objects.update(byte_count=10**18)
    with pytest.raises(JobFailed, match="The disk is almost full: the report needs about") as raised:
        running.perform(claim(report))
    assert not raised.value.may_retry
    assert Artefact.objects.count() == 1 and not list(storage.folder().glob(".*"))


def test_a_folder_that_cannot_be_written_to_is_told_in_words(
    define: Define, claim: Claim, tmp_path: Path, settings: Any
) -> None:
    mount = tmp_path / "fixed"
    (mount / "reports").mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(mount)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    settings.FILES_DIR = mount
    try:
        with pytest.raises(JobFailed, match="cannot be written to"):
            running.perform(claim(define()))
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)
    assert ReportRun.objects.get().state == "failed"


@pytest.fixture
def secret() -> Iterator[str]:
    with listed([(1, "x")], permission="runs.view_run") as key:
        yield key


def test_an_owner_who_lost_the_right_makes_no_more_reports(
    define: Define, claim: Claim, staff: Callable[..., User], secret: str
) -> None:
    report, owner = define(data_set=secret), staff("olga", "runs.view_run")
    ReportDefinition.objects.update(owner=owner)
    assert running.perform(claim(report)).startswith("1 row ")
    owner.user_permissions.clear()
    with pytest.raises(JobFailed, match="“olga”, who answers for this report, may no longer see “Tested”") as raised:
        running.perform(claim(report))
    assert not raised.value.may_retry and Artefact.objects.count() == 1


def test_a_report_of_a_disabled_owner_is_not_made_and_says_why(
    define: Define, claim: Claim, staff: Callable[..., User]
) -> None:
    report, owner = define(), staff("olga")
    ReportDefinition.objects.update(owner=owner)
    User.objects.update(is_active=False)
    with pytest.raises(JobFailed, match="“olga”, who answers for this report, can no longer sign in"):
        running.perform(claim(report))
    assert "can no longer sign in" in ReportRun.objects.get().error


def test_its_schedules_are_paused_with_the_reason_and_made_no_failure_of_each_time(
    define: Define, claim: Claim, staff: Callable[..., User]
) -> None:
    report, owner = define(), staff("olga")
    ReportDefinition.objects.update(owner=owner)
    drafts = [ScheduleDraft.for_kind("report", name=name, target_id=report.pk, expression="0 7 * * *") for name in "ab"]
    first, second = (schedule_services.create_schedule(None, draft) for draft in drafts)
    schedule_services.pause_schedule(None, second.pk, reason="Holidays")
    User.objects.update(is_active=False)
    with pytest.raises(JobFailed):
        running.perform(claim(report))
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.is_paused and first.pause_reason.startswith(
        "“olga”, who answers for this report, can no longer sign in"
    )
    assert second.pause_reason == "Holidays"


def test_what_not_everybody_may_see_needs_somebody_who_answers_for_it(
    define: Define, claim: Claim, secret: str
) -> None:
    with pytest.raises(JobFailed, match="Nobody answers for this report"):
        running.perform(claim(define(data_set=secret)))


def test_all_formats_are_made_of_one_reading(define: Define, claim: Claim) -> None:
    readings: list[int] = []

    def rows(window: Window) -> Iterator[Row]:
        readings.append(1)
        return ((n, f"=text {n}") for n in range(2500))

    with listed(rows) as key:
        report = define(data_set=key)
        ReportDefinition.objects.update(formats=["csv", "xlsx", "jsonl", "parquet"])
        assert running.perform(claim(report)) == "2,500 rows for 9 to 15 November 2026, Europe/Berlin."
    assert readings == [1]
    made = list(Artefact.objects.order_by("pk"))
    assert [one.format for one in made] == ["csv", "xlsx", "jsonl", "parquet"]
    assert all(storage.is_intact(storage.path_of(one.key, one.format), one.sha256) for one in made)
    assert {one.row_count for one in made} == {2500}
