"""How long files are kept, at the second, and what keeps them longer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone

from cleanup.models import Hold
from reports import keeping, opening, retention, running, storage, upkeep
from reports.models import Artefact, ReportDefinition, ReportRun
from runs import clock, duties, ledger
from runs.models import AuditEntry, Run
from runs.states import State, Trigger
from runs.tasks import JobFailed, RunContext
from schedules import kinds

Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]
Staff = Callable[..., User]
DUE = datetime.fromisoformat("2026-11-19T09:00:00+01:00")


@pytest.fixture
def make(claim: Claim) -> Callable[..., Artefact]:
    """A report that was made, and is kept until so long from now."""

    def make(definition: ReportDefinition, left: timedelta = timedelta(days=1), *, state: str = "") -> Artefact:
        run = claim(definition)
        running.perform(run)
        if state:
            ReportRun.objects.filter(run_id=run.id).update(state=state)
        Artefact.objects.filter(report_run__run_id=run.id).update(expires_at=timezone.now() + left)
        return Artefact.objects.get(report_run__run_id=run.id)

    return make


@pytest.fixture
def none_kept(definition: ReportDefinition) -> ReportDefinition:
    ReportDefinition.objects.update(keep_last=0)
    definition.refresh_from_db()
    return definition


def path(artefact: Artefact) -> Path:
    return storage.path_of(artefact.key, artefact.format)


def test_a_file_cannot_be_reached_from_its_last_second_on(
    none_kept: ReportDefinition, make: Callable[..., Artefact], staff: Staff, sign_in: Callable[[User], Client]
) -> None:
    client, artefact = sign_in(staff("ann", "reports.download_artefact")), make(none_kept)
    url = running.download_url(artefact)
    for left, status in ((timedelta(seconds=2), 200), (timedelta(seconds=-1), 410)):
        Artefact.objects.update(expires_at=timezone.now() + left)
        assert client.get(url).status_code == status
    assert path(artefact).exists(), "its bytes go with the next sweep"


def test_one_sweep_takes_the_bytes_and_leaves_the_record(
    none_kept: ReportDefinition, make: Callable[..., Artefact]
) -> None:
    old, young = make(none_kept, timedelta(seconds=-1)), make(none_kept, timedelta(minutes=1))
    assert retention.sweep(clock.now()) == retention.Swept(1, old.byte_count)
    assert not path(old).exists() and path(young).exists()
    old.refresh_from_db()
    assert old.deleted_at is not None and old.deleted_why == "its time was over"
    assert (old.sha256, old.row_count) == (young.sha256, 7), "what it was stays on record"
    assert retention.sweep(clock.now()) == retention.Swept(0, 0)


def test_the_latest_good_report_is_never_removed(define: Define, make: Callable[..., Artefact]) -> None:
    definition, other = define(), define(name="Other")
    ReportDefinition.objects.filter(pk=other.pk).update(keep_last=2)
    mine = [make(definition, timedelta(days=-9)) for _ in range(3)]
    broken = make(definition, timedelta(days=-9), state="incomplete")
    theirs = [make(other, timedelta(days=-9)) for _ in range(3)]
    assert {one.pk for one in Artefact.objects.all() if one.is_available} == {mine[2].pk, theirs[1].pk, theirs[2].pk}
    assert retention.sweep(clock.now()).files == 4
    left = {one.pk for one in Artefact.objects.filter(deleted_at=None)}
    assert left == {mine[2].pk, theirs[1].pk, theirs[2].pk} and broken.pk not in left
    assert all(path(one).exists() for one in Artefact.objects.filter(deleted_at=None))
    assert not retention.is_anything_due(clock.now())
    make(definition, timedelta(days=1))
    assert not Artefact.objects.get(pk=mine[2].pk).is_available, "a newer one takes its place"
    assert retention.sweep(clock.now()).files == 1


def test_an_old_report_that_is_made_again_takes_no_new_ones_place(
    definition: ReportDefinition, make: Callable[..., Artefact], claim: Claim
) -> None:
    old = claim(definition, due_at=DUE - timedelta(days=60))
    running.perform(old)
    latest = make(definition, timedelta(days=-9))
    again = keeping.make_again(None, ReportRun.objects.get(run_id=old.id).pk, key="a")
    claimed = ledger.claim(again.run_id, "test worker")
    assert claimed is not None
    running.perform(RunContext(claimed))
    Artefact.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert [one.pk for one in Artefact.objects.all() if one.is_available] == [latest.pk]
    assert retention.kept_runs(ReportRun.objects.all()) == {latest.report_run_id}
    assert retention.sweep(clock.now()).files == 2 and path(latest).exists()


def test_files_of_a_deleted_report_go_with_their_time(define: Define, make: Callable[..., Artefact]) -> None:
    definition = define()
    artefact = make(definition, timedelta(seconds=-1))
    definition.delete()
    assert not Artefact.objects.get().is_available and retention.sweep(clock.now()).files == 1
    assert not path(artefact).exists()


def test_a_hold_stops_it_until_it_ends(none_kept: ReportDefinition, make: Callable[..., Artefact]) -> None:
    held, other = make(none_kept, timedelta(days=-1)), make(none_kept, timedelta(days=-1))
    hold = Hold.objects.create(target="report_files", object_id=str(held.pk), reason="A court asks")
    assert retention.sweep(clock.now()).files == 1 and path(held).exists() and not path(other).exists()
    Hold.objects.update(object_id="")  # all files
    assert retention.sweep(clock.now()).files == 0
    with pytest.raises(ValidationError, match="A hold keeps these files"):
        keeping.delete_files(None, held.report_run_id, "Old")
    Hold.objects.filter(pk=hold.pk).update(until=timezone.now() - timedelta(seconds=1))
    assert retention.sweep(clock.now()).files == 1 and not path(held).exists()


def test_a_sweep_goes_through_more_files_than_one_batch(
    none_kept: ReportDefinition, make: Callable[..., Artefact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        make(none_kept, timedelta(days=-1))
    Artefact.objects.update(expires_at=timezone.now() - timedelta(days=1))  # all at the same moment
    ReportDefinition.objects.update(keep_last=1)
    assert retention.sweep(clock.now()).files == 4


def test_one_that_was_extended_meanwhile_stays(none_kept: ReportDefinition, make: Callable[..., Artefact]) -> None:
    artefact = make(none_kept, timedelta(seconds=-1))
    keeping.extend_report(None, artefact.report_run_id, timezone.localdate() + timedelta(days=3))
    assert not retention.remove(artefact, "its time was over") and path(artefact).exists()
    assert Artefact.objects.get().is_available


def test_a_disk_that_refuses_is_tried_again(
    none_kept: ReportDefinition, make: Callable[..., Artefact], monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = make(none_kept, timedelta(seconds=-1))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert retention.sweep(clock.now()).files == 0
    assert Artefact.objects.get().deleted_at is None and path(artefact).exists()
    assert retention.sweep(clock.now()).files == 1


def test_what_killed_runs_left_goes_after_a_day(definition: ReportDefinition, claim: Claim, files_dir: Path) -> None:
    files_dir.mkdir()
    under_way = claim(definition)
    old = time.time() - 90_000
    for name, age in (
        (".run-999-1.part", old),
        (".run-999-1-csv-2.part", old),
        (f".run-{under_way.id}-1.part", old),
        (".run-998-1.part", time.time()),
        ("other.csv", old),
    ):
        (files_dir / name).write_bytes(b"half")
        os.utime(files_dir / name, (age, age))
    opening.open_run(claim(definition), definition)  # the next report looks after them
    assert {one.name for one in files_dir.iterdir()} == {f".run-{under_way.id}-1.part", ".run-998-1.part", "other.csv"}


def test_the_watchdog_asks_for_one_sweep_and_a_worker_does_it(
    none_kept: ReportDefinition, make: Callable[..., Artefact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep.SWEEP, "look_at", 0.0)
    duties.see_to_all(clock.now())
    assert not Run.objects.filter(kind="report_files").exists(), "nothing is due"
    make(none_kept, timedelta(seconds=-1))
    for _ in range(2):
        monkeypatch.setattr(upkeep.SWEEP, "look_at", 0.0)
        duties.see_to_all(clock.now())
    run = Run.objects.get(kind="report_files")
    claimed = ledger.claim(run.pk, "test worker")
    assert claimed is not None
    words = kinds.get("report_files").perform(RunContext(claimed))
    assert words == "1 report file removed, whose time was over." and Artefact.objects.get().deleted_at is not None


def test_a_duty_that_fails_keeps_no_other_from_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[datetime] = []

    def fail(now: datetime) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(duties, "_duties", {"bad": fail, "good": called.append})
    duties.see_to_all(DUE)
    assert called == [DUE]


def test_keeping_it_longer_checks_the_day_the_permission_and_leaves_an_entry(
    none_kept: ReportDefinition, make: Callable[..., Artefact], staff: Staff
) -> None:
    artefact = make(none_kept, timedelta(days=5))
    number, today = artefact.report_run_id, timezone.localdate()
    for day, words in ((-1, "has passed"), (2, "anyway"), (5000, "at most"), (2_900_000, "at most")):
        with pytest.raises(ValidationError, match=words):
            keeping.extend_report(None, number, today + timedelta(days=day))
    with pytest.raises(PermissionDenied):
        keeping.extend_report(staff("bob", "reports.download_artefact"), number, today + timedelta(days=9))
    end = keeping.extend_report(staff("ann", "reports.change_artefact"), number, today + timedelta(days=9))
    artefact.refresh_from_db()
    assert artefact.expires_at == end and timezone.localtime(end).date() == today + timedelta(days=10)
    assert AuditEntry.objects.get(action="kept the report longer").actor_name == "ann"
    keeping.delete_files(None, number, "Wrong numbers")
    with pytest.raises(ValidationError, match="None of its files is left"):
        keeping.extend_report(None, number, today + timedelta(days=20))


def test_deleting_takes_a_reason_and_the_record_stays(
    definition: ReportDefinition, make: Callable[..., Artefact], staff: Staff
) -> None:
    artefact = make(definition)
    number = artefact.report_run_id
    for reason in ("  ", "x" * 181):
        with pytest.raises(ValidationError):
            keeping.delete_files(None, number, reason)
    with pytest.raises(PermissionDenied):
        keeping.delete_files(staff("bob", "reports.change_artefact"), number, "Old")
    assert path(artefact).exists()
    assert keeping.delete_files(staff("ann", "reports.delete_artefact"), number, " Wrong numbers ") == 1
    artefact.refresh_from_db()
    assert not path(artefact).exists() and artefact.deleted_why == "Wrong numbers" and not artefact.is_available
    assert AuditEntry.objects.get(action="deleted the report's files").reason == "Wrong numbers"
    with pytest.raises(ValidationError, match="None of its files is left"):
        keeping.delete_files(None, number, "Again")


def test_made_again_it_covers_the_same_days_with_the_same_choices(
    define: Define, make: Callable[..., Artefact], claim: Claim, staff: Staff
) -> None:
    definition = define(period="yesterday")
    original = make(definition).report_run
    ReportDefinition.objects.update(period="last_month", data_set="runs_by_schedule", time_zone="Asia/Tokyo", version=4)
    ann = staff("ann", "reports.run_report")
    with pytest.raises(PermissionDenied):
        keeping.make_again(staff("bob", "reports.download_artefact"), original.pk, key="a")
    again = keeping.make_again(ann, original.pk, key="a")
    assert keeping.make_again(ann, original.pk, key="a") == again and ReportRun.objects.count() == 2, "pressed twice"
    assert (again.state, again.again_of) == ("queued", original)
    claimed = ledger.claim(again.run_id, "test worker")
    assert claimed is not None
    running.perform(RunContext(claimed))
    again.refresh_from_db()
    assert (again.state, again.window_start, again.window_end) == (
        "succeeded",
        original.window_start,
        original.window_end,
    )
    assert (again.choices, again.version, again.time_zone) == (original.choices, original.version, "Europe/Berlin")
    assert again.artefacts.get().sha256 == original.artefacts.get().sha256
    run = Run.objects.get(pk=again.run_id)
    assert (run.trigger, run.requested_by) == (Trigger.MANUAL, ann)
    assert AuditEntry.objects.filter(action="made the report again", actor=ann).count() == 1


def test_what_cannot_be_made_again_says_why(define: Define, make: Callable[..., Artefact]) -> None:
    definition = define()
    original = make(definition).report_run
    ReportRun.objects.update(state="running")
    with pytest.raises(ValidationError, match="still being made"):
        keeping.make_again(None, original.pk, key="a")
    ReportRun.objects.update(state="failed")
    definition.delete()
    with pytest.raises(ValidationError, match="was deleted"):
        keeping.make_again(None, original.pk, key="a")


def test_a_report_that_waits_is_cancelled_at_once(define: Define, make: Callable[..., Artefact], staff: Staff) -> None:
    again = keeping.make_again(None, make(define()).report_run_id, key="a")
    with pytest.raises(PermissionDenied):
        keeping.cancel_report(staff("bob"), again.pk)
    assert keeping.cancel_report(None, again.pk) == State.CANCELLED
    again.refresh_from_db()
    assert again.state == "cancelled"


def test_a_report_whose_worker_was_lost_ends_with_its_run(definition: ReportDefinition, claim: Claim) -> None:
    run = claim(definition)
    opening.open_run(run, definition)
    ledger.fail(run._claim, "The worker stopped in the middle.", may_retry=False)
    report_run = ReportRun.objects.get()
    assert (report_run.state, report_run.error) == ("failed", "The worker stopped in the middle.")


def test_days_are_not_guessed_for_what_was_to_be_made_again(definition: ReportDefinition, claim: Claim) -> None:
    with pytest.raises(JobFailed, match="no longer on record"):
        running.perform(claim(definition, parameters={opening.AGAIN_OF: 4711}))
    assert not ReportRun.objects.exists()
