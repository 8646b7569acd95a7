from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from newsletters.models import Delivery, Issue, Newsletter, Subscriber
from reports import deliveries, opening, running, storage
from reports.datasets import registry
from reports.datasets.registry import Column, Kind, Row
from reports.models import Artefact, ReportDefinition, ReportRun
from reports.periods import Window
from runs import ledger
from runs.models import Notice, Run, RunEvent, RunLink
from runs.states import State, Trigger
from runs.tasks import JobFailed, RunContext
from tests.reports.listings import listed

Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]


def content(artefact: Artefact) -> list[list[str]]:
    with storage.path_of(artefact.key).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def visible(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if not path.name.startswith(".")] if folder.exists() else []


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
def wide() -> Iterator[None]:
    """A data set of 100,000 rows, some megabytes."""
    registry.register(
        registry.DataSet(
            "wide",
            "Wide",
            (Column("n", "N", Kind.INTEGER), Column("text", "Text")),
            rows=lambda window: ((n, "x" * 50) for n in range(100_000)),
        )
    )
    yield
    registry._registry.pop("wide")


def test_it_lists_deliveries_and_subscribers_per_day(definition: ReportDefinition, claim: Claim) -> None:
    newsletter = Newsletter.objects.create(name="Letter", subject="S", body="B")
    started = instant("2026-11-10T10:00:00+01:00")
    issue = Issue.objects.create(newsletter=newsletter, scheduled_for=started, started_at=started, subject="S")
    moments = {
        "2026-11-08T23:59:59+01:00": "before", "2026-11-09T00:00:00+01:00": "a", "2026-11-09T23:59:59+01:00": "b",
        "2026-11-15T23:59:59+01:00": "c", "2026-11-16T00:00:00+01:00": "after",
    }  # fmt: skip
    for text, name in moments.items():
        address = f"{name}@example.org"
        Delivery.objects.create(
            issue=issue, email=address, email_norm=address, state=Delivery.State.SENT, sent_at=instant(text)
        )
        Subscriber.objects.create(email=address, email_norm=address, created_at=instant(text))
    Delivery.objects.create(issue=issue, email="x", email_norm="x", state=Delivery.State.FAILED)

    run = claim(definition)
    assert running.perform(run) == "7 rows for 9 to 15 November 2026, Europe/Berlin."

    artefact = Artefact.objects.get()
    assert content(artefact) == [
        ["Day", "Sent", "Failed", "New subscribers"],
        ["2026-11-09", "2", "0", "2"], ["2026-11-10", "0", "1", "0"], ["2026-11-11", "0", "0", "0"], ["2026-11-12", "0", "0", "0"],
        ["2026-11-13", "0", "0", "0"], ["2026-11-14", "0", "0", "0"], ["2026-11-15", "1", "0", "1"],
    ]  # fmt: skip
    assert storage.is_intact(storage.path_of(artefact.key), artefact.sha256)
    assert artefact.byte_count == storage.path_of(artefact.key).stat().st_size
    assert artefact.file_name == "numbers_2026-11-09_to_2026-11-15.csv"
    assert artefact.expires_at - artefact.created_at == timedelta(days=90)
    link = RunLink.objects.get(run_id=run.id)
    assert (link.label, link.url) == ("Download CSV (7 rows)", f"/admin/reports/artefact/{artefact.key}/download/")
    report_run = ReportRun.objects.get(run_id=run.id)
    assert (report_run.state, report_run.row_count, report_run.name) == ("succeeded", 7, "Numbers")
    stored = Run.objects.get(pk=run.id)
    assert (stored.progress_done, stored.progress_total, stored.progress_unit) == (7, 7, "rows")


def test_it_lists_runs_by_schedule(define: Define, claim: Claim) -> None:
    definition = define(data_set="runs_by_schedule", period="yesterday")
    due = instant("2026-11-18T12:00:00+01:00")
    rows: list[tuple[int | None, str, str, int]] = [
        (1, "=evil", "succeeded", 0), (1, "=evil", "failed", 0), (2, "Letter", "missed", 9), (2, "Letter", "skipped", 0), (None, "", "succeeded", 0),
    ]  # fmt: skip
    for number, (schedule_id, name, state, folded) in enumerate(rows):
        moment = due + timedelta(minutes=number)
        Run.objects.create(
            schedule_id=schedule_id, schedule_name=name, kind="x", due_at=moment, state=state, folded_count=folded
        )
    Run.objects.create(
        schedule_id=1, schedule_name="=evil", kind="x", due_at=due - timedelta(days=1), state="succeeded"
    )
    running.perform(claim(definition))
    shown = {row[0]: row[1:] for row in content(Artefact.objects.get())}
    assert shown == {
        "Schedule": ["Succeeded", "Failed", "Skipped", "Missed", "Cancelled"],
        "Without a schedule": ["1", "0", "0", "0", "0"],
        "'=evil": ["1", "1", "0", "0", "0"],
        "Letter": ["0", "0", "1", "10", "0"],
    }


def test_it_tells_who_asked_and_who_is_to_be_told_once(
    define: Define, claim: Claim, staff: Callable[..., User]
) -> None:
    asked, told, gone = staff("asked"), staff("told"), staff("gone")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    run = claim(define(notify=(asked.pk, told.pk, gone.pk)), requested_by=asked)
    running.perform(run)
    running.perform(claim(run=run))
    assert sorted(Notice.objects.values_list("user__username", flat=True)) == ["asked", "told"]
    assert str(Notice.objects.first()) == "“Numbers” is ready: 7 rows for 9 to 15 November 2026, Europe/Berlin."


def test_a_full_row_cap_is_loud(define: Define, claim: Claim) -> None:
    run = claim(define(row_cap=3))
    result = running.perform(run)
    assert (
        result
        == "INCOMPLETE: only the first 3 rows of 9 to 15 November 2026, Europe/Berlin, because the report stops at 3 rows."
    )
    artefact = Artefact.objects.select_related("report_run").get()
    assert (artefact.report_run.state, artefact.row_count) == ("incomplete", 3)
    assert artefact.file_name.endswith("_INCOMPLETE.csv")
    assert RunEvent.objects.filter(run_id=run.id, level="warning", message=result).exists()


def test_a_row_cap_that_just_fits_is_complete(define: Define, claim: Claim) -> None:
    assert running.perform(claim(define(row_cap=7))).startswith("7 rows")
    assert ReportRun.objects.get().state == "succeeded"


def test_the_next_attempt_never_makes_a_second_file(
    definition: ReportDefinition, claim: Claim, files_dir: Path
) -> None:
    first = claim(definition)
    running.perform(first)
    before = Artefact.objects.get()
    second = claim(run=first)
    assert second.attempt == 2
    assert running.perform(second) == "7 rows for 9 to 15 November 2026, Europe/Berlin."
    after = Artefact.objects.get()
    assert (after.pk, after.key, after.sha256) == (before.pk, before.key, before.sha256)
    assert len(visible(files_dir)) == 1 and RunLink.objects.count() == 1


def test_the_next_attempt_replaces_a_file_that_is_damaged_or_unrecorded(
    definition: ReportDefinition, claim: Claim, files_dir: Path
) -> None:
    run = claim(definition)
    running.perform(run)
    key = Artefact.objects.get().key
    storage.path_of(key).write_bytes(b"half")
    running.perform(claim(run=run))
    assert len(content(Artefact.objects.get())) == 8
    Artefact.objects.all().delete()  # as if attempt 1 had died between the file and the record of it
    running.perform(claim(run=run))
    assert Artefact.objects.get().key == key
    assert len(visible(files_dir)) == 1


def test_an_attempt_that_lost_its_lease_publishes_nothing(
    definition: ReportDefinition, claim: Claim, files_dir: Path
) -> None:
    old = claim(definition)
    new = claim(run=old)
    with pytest.raises(ledger.LeaseLost):
        running.perform(old)
    assert not Artefact.objects.exists() and visible(files_dir) == []
    running.perform(new)
    assert ReportRun.objects.get().state == "succeeded"


def test_an_attempt_that_loses_its_lease_at_the_last_moment_publishes_nothing(
    define: Define, claim: Claim, files_dir: Path
) -> None:
    def rows(window: Window) -> Iterator[registry.Row]:
        yield (1,)
        claim(run=old)  # another worker takes the run while the last row is being read

    registry.register(registry.DataSet("stolen", "Stolen", (Column("n", "N", Kind.INTEGER),), rows=rows))
    try:
        old = claim(define(data_set="stolen"))
        old.progress(0)  # reports are spaced by a second, so nothing but the final check can notice
        with pytest.raises(ledger.LeaseLost):
            running.perform(old)
    finally:
        registry._registry.pop("stolen")
    assert not Artefact.objects.exists() and visible(files_dir) == [] and not RunLink.objects.exists()


def test_file_record_link_and_notices_appear_together_or_not_at_all(
    definition: ReportDefinition, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*arguments: object) -> None:
        raise RuntimeError("the database went away")

    run = claim(definition)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(deliveries, "plan", break_down)
        running.perform(run)
    assert not Artefact.objects.exists() and not RunLink.objects.exists()
    assert ReportRun.objects.get().state == "failed"
    running.perform(claim(run=run))
    assert ReportRun.objects.get().state == "succeeded" and RunLink.objects.count() == 1


def test_a_cancelled_run_publishes_nothing(definition: ReportDefinition, claim: Claim, files_dir: Path) -> None:
    run = claim(definition)
    ledger.request_cancel(Run.objects.get(pk=run.id))
    with pytest.raises(ledger.RunCancelled):
        running.perform(run)
    assert not Artefact.objects.exists() and list(files_dir.glob("*")) == []
    assert (ReportRun.objects.get().state, ReportRun.objects.get().error) == ("cancelled", "It was cancelled.")


def test_the_window_stays_that_of_the_first_attempt(
    definition: ReportDefinition, claim: Claim, files_dir: Path
) -> None:
    run = claim(definition)
    opening.open_run(run, definition)
    ReportDefinition.objects.update(period="yesterday")
    assert running.perform(claim(run=run)) == "7 rows for 9 to 15 November 2026, Europe/Berlin."


def test_a_deleted_report_ends_its_run_in_words(definition: ReportDefinition, claim: Claim) -> None:
    run = claim(definition)
    definition.delete()
    with pytest.raises(JobFailed, match="no longer exists") as raised:
        running.perform(run)
    assert not raised.value.may_retry


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_report_that_is_deleted_while_it_is_made_is_made_all_the_same(
    define: Define, claim: Claim, attempts: int
) -> None:
    def rows(window: Window) -> Iterator[Row]:
        ReportDefinition.objects.all().delete()
        return iter([(1, "x")])

    with listed(rows) as key:
        run = claim(define(data_set=key))
        if attempts == 2:
            opening.open_run(run, ReportDefinition.objects.get())
            run = claim(run=run)
        assert running.perform(run).startswith("1 row for ")
    assert (ReportRun.objects.get().state, ReportRun.objects.get().definition) == ("succeeded", None)


def test_an_unknown_data_set_ends_its_run_in_words(definition: ReportDefinition, claim: Claim) -> None:
    ReportDefinition.objects.update(data_set="gone")
    with pytest.raises(JobFailed, match="no longer available"):
        running.perform(claim(definition))
    assert ReportRun.objects.get().state == "failed"


@pytest.fixture
def tiny_disk(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """A real file system of 256 kB."""
    mount = tmp_path / "tiny"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    settings.FILES_DIR = mount
    yield mount / "reports"
    subprocess.run(["umount", "-l", str(mount)], check=True)


def _assert_refused_for_want_of_space(run: RunContext, folder: Path) -> None:
    with pytest.raises(JobFailed, match="The disk is full") as raised:
        running.perform(run)
    assert not raised.value.may_retry
    assert not Artefact.objects.exists() and not RunLink.objects.exists() and not Notice.objects.exists()
    assert list(folder.iterdir()) == []
    report_run = ReportRun.objects.get()
    assert report_run.state == "failed" and report_run.error.startswith("The disk is full")


def test_a_full_disk_leaves_nothing_half_done(wide: None, define: Define, claim: Claim, tiny_disk: Path) -> None:
    _assert_refused_for_want_of_space(claim(define(data_set="wide")), tiny_disk)


def test_a_disk_that_is_full_at_the_last_byte_leaves_nothing_half_done(
    definition: ReportDefinition, claim: Claim, tiny_disk: Path
) -> None:
    tiny_disk.mkdir()
    (tiny_disk.parent / "hog").write_bytes(b"x" * (256 * 1024 - 4096 * 4))
    with (tiny_disk.parent / "hog2").open("wb", buffering=0) as hog:
        try:
            while hog.write(b"x" * 4096):
                pass
        except OSError:
            pass
    _assert_refused_for_want_of_space(claim(definition), tiny_disk)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_refused_write_is_said_in_words_wherever_it_happens(
    definition: ReportDefinition, claim: Claim, files_dir: Path
) -> None:
    """Every system has a device that is always full, also where no file system can be mounted."""
    run = claim(definition)
    files_dir.mkdir()
    real_open = Path.open

    def open_full(self: Path, *args: Any, **kwargs: Any) -> Any:
        return real_open(Path("/dev/full") if self.suffix == ".part" else self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        _assert_refused_for_want_of_space(run, files_dir)


_SLOW = """
import os, sys, time
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
settings.FILES_DIR = sys.argv[2]
import django; django.setup()
from reports import running
from reports.datasets import registry
from runs import ledger
from runs.tasks import RunContext
def rows(window):
    for n in range(20_000):
        yield (n, "x" * 50)
    print("half way", flush=True)
    time.sleep(60)
columns = (registry.Column("n", "N", registry.Kind.INTEGER), registry.Column("text", "Text"))
registry.register(registry.DataSet("wide", "Wide", columns, rows=rows))
running.perform(RunContext(ledger.claim(int(sys.argv[3]), "to be killed")))
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_middle_leaves_no_visible_file(
    wide: None, define: Define, claim: Claim, files_dir: Path
) -> None:
    definition = define(data_set="wide")
    planned = ledger.plan(
        ledger.NewRun(kind="report", target_id=definition.pk, target_label="x", trigger=Trigger.MANUAL, queue="reports")
    )
    name = str(connection.settings_dict["NAME"])
    command = [sys.executable, "-c", _SLOW, name, str(files_dir.parent), str(planned.pk)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert child.stdout is not None and child.stdout.readline() == "half way\n"
    finally:
        child.kill()
        child.wait()
    assert visible(files_dir) == [] and len(list(files_dir.glob(".run-*.part"))) == 1
    assert not Artefact.objects.exists() and not RunLink.objects.exists()

    Run.objects.filter(pk=planned.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    claimed = ledger.claim(planned.pk, "another worker")
    assert claimed is not None and claimed.attempt == 2
    assert running.perform(RunContext(claimed)).startswith("100,000 rows")
    assert [path.name for path in files_dir.iterdir()] == [f"{Artefact.objects.get().key}.csv"]
    assert Run.objects.get(pk=planned.pk).state == State.RUNNING
    assert re.fullmatch(r"[0-9a-f]{64}", Artefact.objects.get().sha256)
