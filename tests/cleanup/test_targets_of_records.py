"""What the desk wrote down about itself, records of reports, and files that belong to nothing."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from axes.models import AccessAttempt, AccessAttemptExpiration
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from cleanup.models import ArchivePart, CleanupApproval, CleanupPolicy, CleanupPreview, CleanupRun
from cleanup.targets import orphan_files
from newsletters.models import Image
from reports import retention, storage
from reports.models import Artefact, DownloadEvent, ReportDefinition, ReportDelivery, ReportRun, ShareLink
from runs import clock
from runs.models import Alert, AuditEntry, Notice
from runs.tasks import JobFailed
from tests.cleanup import targets
from tests.cleanup.targets import ago

pytestmark = pytest.mark.django_db


def test_sessions_that_expired_go() -> None:
    def session(days: float) -> Session:
        return Session.objects.create(session_key=f"s{days}", session_data="", expire_date=ago(days))

    targets.check("sessions", days=1, takes=[session(2), session(30)], leaves=[session(0.5), session(-10)])


def test_failed_sign_ins_go() -> None:
    def attempt(days: float) -> AccessAttempt:
        made = AccessAttempt.objects.create(username=f"u{days}", failures_since_start=3)
        AccessAttempt.objects.filter(pk=made.pk).update(attempt_time=ago(days))
        AccessAttemptExpiration.objects.create(access_attempt=made, expires_at=clock.now())
        return made

    targets.check("failed_sign_ins", days=7, takes=[attempt(8)], leaves=[attempt(6)])


def test_notices_go_once_they_are_read() -> None:
    ann = User.objects.create_user("ann")

    def notice(created: float, read: float | None) -> Notice:
        return Notice.objects.create(
            user=ann, text="Made", created_at=ago(created), read_at=ago(read) if read else None
        )

    targets.check("notices", days=30, takes=[notice(90, 31)], leaves=[notice(900, None), notice(90, 29), ann])


def test_problems_go_when_they_are_over_and_everybody_knows() -> None:
    def alert(key: str, **values: Any) -> Alert:
        return Alert.objects.create(key=key, title=key, first_seen_at=ago(100), last_seen_at=ago(90), **values)

    over = {"resolved_at": ago(80), "told_at": ago(99), "told_count": 1}
    takes = [alert("told", **over, recovery_told_at=ago(80)), alert("brief", resolved_at=ago(70))]
    leaves = [alert("lasts"), alert("untold", **over), alert("new", resolved_at=ago(2), recovery_told_at=ago(2))]
    targets.check("alerts", days=30, takes=takes, leaves=leaves)


@pytest.mark.parametrize("key", ["activity_log", "admin_log"])
def test_the_logs_keep_a_year(key: str) -> None:
    boss = User.objects.create_superuser("boss")

    def entry(days: float) -> Any:
        if key == "activity_log":
            made: Any = AuditEntry.objects.create(action="changed", object_label="x")
            AuditEntry.objects.filter(pk=made.pk).update(at=ago(days))
        else:
            made = LogEntry.objects.create(user=boss, object_repr="x", action_flag=2, action_time=ago(days))
        return made

    targets.check(key, days=365, takes=[entry(366)], leaves=[entry(364), boss])


def test_previews_and_records_of_cleanups() -> None:
    policy = CleanupPolicy.objects.create(name="A", targets=["sessions"])

    def preview(days: float) -> CleanupPreview:
        return CleanupPreview.objects.create(policy=policy, rule_hash="x", created_at=ago(days))

    previews = [preview(days) for days in (50, 40, 30, 20, 10)]
    CleanupPreview.objects.filter(pk=previews[0].pk).update(enabled_it=True)
    asked = CleanupApproval.objects.create(policy=policy, preview=previews[1], rule_hash="x", rows_allowed=40)
    targets.clean("cleanup_previews", 7)
    assert set(CleanupPreview.objects.filter(policy=policy)) == {previews[0], previews[1], previews[4]}
    CleanupApproval.objects.filter(pk=asked.pk).update(refused_at=ago(0))
    targets.clean("cleanup_previews", 7)
    assert set(CleanupPreview.objects.filter(policy=policy)) == {previews[0], previews[4]}
    made = CleanupRun.objects.bulk_create(
        CleanupRun(policy=policy, policy_name="A", run_id=5000 + n, started_at=ago(900 - n), finished_at=ago(900 - n),
                   state="done", deleted={"sessions": n})
        for n in range(25)
    )  # fmt: skip
    for place, deleted_at in ((0, None), (1, ago(3))):
        ArchivePart.objects.create(
            cleanup_run=made[place], target="sessions", number=1, format="jsonl", database="x", sha256="x",
            deleted_at=deleted_at,
        )  # fmt: skip
    targets.clean("cleanings", 365)
    left = set(CleanupRun.objects.filter(policy=policy).values_list("run_id", flat=True))
    assert left == {5000, *range(5005, 5025)}  # the last twenty, and the one whose archive is there


def a_report(definition: ReportDefinition | None, days: float, state: str = "succeeded", **values: Any) -> ReportRun:
    at = ago(days)
    number = 1 + ReportRun.objects.count()
    return ReportRun.objects.create(
        definition=definition, name="Numbers", run_id=900_000 + number, scheduled_for=at, period="June", window_start=at,
        window_end=at, state=state, created_at=at, **values,
    )  # fmt: skip


def a_file(report_run: ReportRun, *, deleted: bool, expired: float = 50) -> Artefact:
    made = Artefact.objects.create(
        report_run=report_run, file_name="numbers.csv", byte_count=3, row_count=1, sha256="x", expires_at=ago(expired),
        deleted_at=ago(1) if deleted else None,
    )  # fmt: skip
    if not deleted:
        storage.folder()
        storage.path_of(made.key).write_bytes(b"a,b")
    return made


def test_records_of_reports_go_when_their_files_have_gone() -> None:
    numbers = ReportDefinition.objects.create(name="Numbers", data_set="runs")
    old, no_definition = a_report(numbers, 300), a_report(None, 310, "failed")
    file, delivery = (
        a_file(old, deleted=True),
        ReportDelivery.objects.create(report_run=old, channel="mail", state="sent"),
    )
    link = ShareLink.objects.create(report_run=old, address="a@x.org", token_hash="x", expires_at=ago(200))
    DownloadEvent.objects.create(artefact=file, link=link)
    with_file = a_report(numbers, 290)
    a_file(with_file, deleted=False)
    waiting = a_report(numbers, 280, "failed")
    ReportDelivery.objects.create(report_run=waiting, channel="mail", address="b@x.org", state="waiting")
    last = a_report(numbers, 200)
    failed_since = a_report(numbers, 190, "failed", again_of=old)
    new = a_report(numbers, 10, "running")
    leaves = [with_file, waiting, last, new, numbers]
    before = ReportRun.objects.filter(pk=failed_since.pk).values().get()
    targets.check("report_records", days=90, takes=[old, no_definition], leaves=leaves)
    assert ReportRun.objects.filter(pk=failed_since.pk).values().get() == {**before, "again_of_id": None}
    assert not Artefact.objects.filter(pk=file.pk).exists() and not ShareLink.objects.exists()
    assert not ReportDelivery.objects.filter(pk=delivery.pk).exists() and not DownloadEvent.objects.exists()


def test_the_report_that_reaches_furthest_stays_though_another_was_made_later(db: None) -> None:
    """The next one since the last begins where it ended."""
    numbers = ReportDefinition.objects.create(name="Numbers", data_set="runs")
    old, furthest, made_later = (a_report(numbers, days) for days in (400, 200, 300))
    assert furthest.window_end > made_later.window_end and furthest.pk < made_later.pk
    reaches = numbers.covered_before(ago(0))
    targets.check("report_records", days=90, takes=[old], leaves=[furthest, made_later])
    assert numbers.covered_before(ago(0)) == reaches == furthest.window_end


def test_report_files_go_as_the_sweep_takes_them_and_the_latest_stay() -> None:
    numbers = ReportDefinition.objects.create(name="Numbers", data_set="runs", keep_last=2)
    files = [a_file(a_report(numbers, 300 - n), deleted=False) for n in range(4)]
    loose = a_file(a_report(None, 100), deleted=False)
    broken = a_file(a_report(numbers, 90, "incomplete"), deleted=False)
    kept = retention.kept_runs([one.report_run for one in files])
    assert kept == {files[2].report_run_id, files[3].report_run_id}
    leaves = [files[2], files[3], a_file(a_report(None, 3), deleted=False, expired=-3)]
    targets.check("report_files", days=1, takes=[files[0], files[1], loose, broken], leaves=leaves)
    for one in (files[0], files[1], loose, broken):
        one.refresh_from_db()
        assert one.deleted_at is not None and not storage.path_of(one.key).exists()
    assert all(storage.path_of(one.key).exists() for one in leaves)


def test_downloads_go_and_the_files_stay() -> None:
    file = a_file(a_report(None, 100), deleted=False)
    old, new = (DownloadEvent.objects.create(artefact=file, at=ago(days)) for days in (100, 10))
    targets.check("downloads", days=90, takes=[old], leaves=[new, file])


def write(path: str, days: float) -> Path:
    file = Path(settings.FILES_DIR) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * 10)
    os.utime(file, (time.time() - days * 86400,) * 2)
    return file


@pytest.fixture
def files(settings: Any, tmp_path: Path) -> Path:
    settings.FILES_DIR = settings.MEDIA_ROOT = tmp_path
    return tmp_path


def test_files_that_no_row_names_go(files: Path) -> None:
    image = Image.objects.create(file="images/originals/kept")
    there, removed = a_file(a_report(None, 100), deleted=False), a_file(a_report(None, 90), deleted=True)
    kept = [
        write("images/originals/kept", 50),
        storage.path_of(there.key),
        write("elsewhere/x", 90),
        write("reports/.run-1-1.part", 90),
    ]
    os.utime(storage.path_of(there.key), (0, 0))
    kept += [write(f"attachments/young-{n}", 0.5) for n in range(12)] + [write("images/x", 90)]
    orphans = [write("images/originals/gone", 3), write("imports/gone", 3), write(f"reports/{removed.key}.csv", 3)]
    orphans.append(write(f"reports/{uuid4()}.csv", 3))
    names = sorted(path.relative_to(files).as_posix() for path in orphans)
    assert [one.path for one in orphan_files.find(ago(2))] == names
    assert orphan_files.total() == 12 + 1 + 1 + 4
    image.file = "images/originals/gone"
    image.save()
    assert orphan_files.is_orphan(names) == set(names) - {"images/originals/gone"}
    done = targets.clean("orphan_files", 1)
    assert done.state == CleanupRun.State.DONE, done.reason
    assert not any(path.exists() for path in orphans if path.name != "gone" or path.parent.name == "imports")
    assert all(path.exists() for path in kept[1:])
    assert (files / "images/originals/gone").exists()


def test_nothing_goes_when_too_many_files_belong_to_nothing(files: Path) -> None:
    """As after a restore of an older database: then it is the database that is wrong."""
    image = Image.objects.create(file="images/originals/kept")
    orphans = [write(f"images/originals/{n}", 3) for n in range(101)]
    write(str(image.file.name), 3)
    with pytest.raises(JobFailed, match="such as a restored database"):
        targets.clean("orphan_files", 1)
    assert all(path.exists() for path in orphans)
    assert CleanupRun.objects.get().state == CleanupRun.State.REFUSED


def test_a_hundred_thousand_files_are_compared_in_pieces(files: Path, django_assert_max_num_queries: Any) -> None:
    folder = files / "imports"
    folder.mkdir()
    for number in range(3_000):
        (folder / f"{number:05}").touch()
    with django_assert_max_num_queries(7):
        assert len(list(orphan_files.find(clock.now() + timedelta(days=1)))) == 3_000
