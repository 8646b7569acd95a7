"""An archive can be put back for as long as it is kept, whatever became of the house since; what is said of it is true."""

from __future__ import annotations

import gzip
import html
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, models
from django.test import Client

from cleanup import archive, archive_file, outbox, planner, policy_checks, restoring, running
from cleanup.drafts import PolicyDraft
from cleanup.findings import of_preview
from cleanup.models import ArchivePart, CleanupPolicy, CleanupPreview, CleanupRun, FileOutbox
from cleanup.targets import Child, Target, orphan_files
from newsletters import erasing
from newsletters.models import Delivery, Issue, Subscriber
from runs import clock
from tests.cleanup import tables, targets
from tests.cleanup.conftest import begin, enabled
from tests.cleanup.targets import ago
from tests.newsletters.test_kept_counts import an_issue

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def made(settings: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
    settings.FILES_DIR = tmp_path
    with tables.made(tables.family()) as family, tables.registered(tables.family_target()):
        tables.populate(family, 11, clock.now() - timedelta(days=40))
        yield family


def clean(**values: Any) -> CleanupRun:
    values = {"targets": ["made"], **values}
    policy = enabled(name=f"Made {CleanupRun.objects.count()}", days=30, batch_size=4, **values)
    context = begin(policy)
    running.perform(context)
    return CleanupRun.objects.get(run_id=context.id)


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_it_can_be_put_back_after_a_table_got_a_column(made: dict[str, Any], format: str) -> None:
    done = clean(archive=format)
    parent = made["MadeParent"]
    added = models.CharField(max_length=5, default="new")
    added.contribute_to_class(parent, "later")
    with connection.schema_editor() as editor:
        editor.add_field(parent, added)
    restored = restoring.restore(None, list(done.parts.all()))
    assert [one.problem for one in restored] == [""] * 3
    assert parent.objects.count() == 11


def test_one_reader_who_has_gone_does_not_keep_all_others_out(settings: Any, tmp_path: Path) -> None:
    settings.FILES_DIR = tmp_path
    issue = an_issue()
    Issue.objects.filter(pk=issue.pk).update(finished_at=ago(400))
    done = targets.clean("deliveries", 365, archive="jsonl")
    assert done.deleted == {"deliveries": 14} and not Delivery.objects.exists()
    Subscriber.objects.get(email_norm="r3@x.org").delete()
    restored = restoring.restore(None, list(done.parts.all()))
    assert Delivery.objects.count() >= 13, restored


def test_a_try_says_what_putting_back_will_do(made: dict[str, Any]) -> None:
    tables.populate(made, 1, clock.now(), first=200)
    made["MadeParent"].objects.filter(pk=5).update(before=200)
    done = clean(archive="jsonl")
    with connection.cursor() as cursor:
        for table, column in (
            ("madegrandchild", "child_id"),
            ("madechild", "parent_id"),
            ("madepointer", "parent_id"),
            ("madeparent", "id"),
        ):
            cursor.execute(f"DELETE FROM cleanup_{table} WHERE {column} >= 200")
    parts = list(done.parts.all())
    tried = [(one.part.pk, one.problem, one.added) for one in restoring.restore(None, parts, dry_run=True)]
    did = [(one.part.pk, one.problem, one.added) for one in restoring.restore(None, parts)]
    assert [bool(problem) for _, problem, _ in tried] == [bool(problem) for _, problem, _ in did]


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_what_was_added_since_gets_its_usual_value_and_what_is_gone_is_said(made: dict[str, Any], format: str) -> None:
    with tables.made([("MadeLater", later_fields)]) as more, tables.registered(later_target()):
        table: Any = more["MadeLater"]
        table.objects.bulk_create([table(pk=n, at=clock.now() - timedelta(days=40), gone=n) for n in (1, 2, 3)])
        done = clean(archive=format, targets=["made_later"])
        added = {
            "key": models.UUIDField(default=uuid.uuid4, unique=True), "data": models.JSONField(default=dict),
            "empty": models.IntegerField(null=True), "raw": models.BinaryField(default=b"\x00a"),
            "since": models.DateTimeField(auto_now_add=True), "word": models.CharField(max_length=9, blank=True),
            "own": models.IntegerField(db_default=7),
        }  # fmt: skip
        with connection.schema_editor() as editor:
            gone = table._meta.get_field("gone")
            editor.remove_field(table, gone)
            table._meta.local_fields.remove(gone)
            table._meta._expire_cache()
            for name, one in added.items():
                one.contribute_to_class(table, name)
                editor.add_field(table, one)
        (restored,) = restoring.restore(None, list(done.parts.all()))
        assert (restored.problem, restored.columns_gone) == ("", {"cleanup.MadeLater": ["gone"]})
        rows = list(table.objects.order_by("pk"))
        assert [row.pk for row in rows] == [1, 2, 3] and len({row.key for row in rows}) == 3
        for row in rows:
            assert (row.data, row.empty, bytes(row.raw), row.word, row.own) == ({}, None, b"\x00a", "", 7)
            assert clock.now() - row.since < timedelta(minutes=1)


def test_rows_of_a_table_that_is_gone_are_left_out_and_the_others_come_back(
    made: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    done = clean(archive="jsonl")
    for part in done.parts.all():
        path = archive.path_of(part)
        path.write_bytes(
            gzip.compress(
                gzip.decompress(path.read_bytes()).replace(b"cleanup.MadeGrandchild", b"cleanup.MadeNoLonger")
            )
        )
        ArchivePart.objects.filter(pk=part.pk).update(sha256=archive_file.digest_of(path))
    call_command("restore_archive", str(done.run_id))
    assert "4 of cleanup.MadeNoLonger left out: there is no such table any more." in capsys.readouterr().out
    assert made["MadeParent"].objects.count() == 11 and made["MadeChild"].objects.count() == 22


def later_fields() -> dict[str, Any]:
    return {"at": models.DateTimeField(db_index=True), "gone": models.IntegerField()}


def later_target() -> Target:
    return Target(
        key="made_later", label="Made rows", noun=("row", "rows"), model="cleanup.MadeLater", date_field="at", floor_days=1,
    )  # fmt: skip


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_rows_without_their_owner_are_left_out_and_named(
    made: dict[str, Any], format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Children of all parents were archived; since then two parents went for good."""
    grown = Target(
        key="made_children", label="Made children", noun=("child", "children"), model="cleanup.MadeChild",
        date_field="parent__at", floor_days=1, order=("pk",), children=(Child("cleanup.MadeGrandchild", "child"),),
    )  # fmt: skip
    with tables.registered(grown):
        done = clean(archive=format, targets=["made_children"])
    assert done.deleted == {"made_children": 22}
    for gone in (4, 5):
        made["MadePointer"].objects.filter(pk=gone).delete()
        made["MadeParent"].objects.filter(pk=gone).delete()
    call_command("restore_archive", str(done.run_id), "--dry-run")
    would = capsys.readouterr().out
    assert not made["MadeChild"].objects.exists()
    call_command("restore_archive", str(done.run_id))
    said = capsys.readouterr().out
    assert made["MadeChild"].objects.count() == 18 and made["MadeGrandchild"].objects.count() == 9
    for text in (would, said):
        assert "2 of cleanup.MadeChild left out" in text and "1 of cleanup.MadeGrandchild left out" in text
        assert "cleanup.MadeChild 10 (its cleanup.MadeParent 5 has gone)" in text
    assert "deletes them again" in said and "switch it off" in said


def test_who_is_erased_stays_in_an_archive_only_until_that_goes_and_it_is_said(
    settings: Any, tmp_path: Path, boss: Client
) -> None:
    settings.FILES_DIR = tmp_path
    for days in (None, 1096):
        draft = PolicyDraft("Letters", targets=("deliveries",), days=365, archive="jsonl", archive_days=days)
        with pytest.raises(ValidationError, match="names people, also those who are erased") as refused:
            policy_checks.check(draft)
        assert list(refused.value.message_dict) == ["archive_days"]
    policy_checks.check(PolicyDraft("Runs", targets=("runs",), days=365, archive="jsonl", archive_days=None))
    form = boss.get("/admin/cleanup/cleanuppolicy/add/").content.decode()
    assert "Somebody who is erased later stays in it until it goes" in form
    assert "but from copies that earlier cleanups kept" in form
    issue = an_issue()
    Issue.objects.filter(pk=issue.pk).update(finished_at=ago(400))
    done = targets.clean("deliveries", 365, archive="jsonl")
    person = Subscriber.objects.get(email_norm="r3@x.org")
    erasing.erase(None, person.pk, "r3@x.org")
    part = done.parts.get()
    assert part.expires_at is not None
    with gzip.open(archive.path_of(part), "rt") as file:
        assert "r3@x.org" in file.read()
    archive.sweep(part.expires_at)
    assert not archive.path_of(part).exists()


def test_a_file_that_cannot_be_removed_is_counted_once(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cleanup.test_targets_of_records import write

    settings.FILES_DIR = settings.MEDIA_ROOT = tmp_path
    file = write("imports/gone", 3)

    def fails(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", fails)
    totals = [targets.clean("orphan_files", 1).total for _ in range(3)]
    assert file.exists() and FileOutbox.objects.count() == 1, (totals, FileOutbox.objects.count())
    assert totals == [0, 0, 0], "nothing was deleted"
    policy = CleanupPolicy(name="Files", targets=["orphan_files"], days=1)
    (found,) = planner.preview(policy, clock.now()).findings
    assert found.count == 0 and "1 file could not be removed from the disk so far" in found.notes[0]
    monkeypatch.undo()
    assert outbox.work_off(clock.now() + timedelta(hours=7)) == (1, 10) and not file.exists()


def test_a_file_is_tried_again_however_often_it_was(settings: Any, tmp_path: Path) -> None:
    settings.FILES_DIR = tmp_path
    (tmp_path / "folder").mkdir()  # no file: it cannot be removed as one
    for tries in (0, 50, 2000):
        FileOutbox.objects.create(path="folder", target="made", why="x", tries=tries)
    now = clock.now() + timedelta(seconds=1)
    assert outbox.work_off(now) == (0, 0)
    waits = [one.next_try_at - now for one in FileOutbox.objects.order_by("pk")]
    assert waits == [timedelta(minutes=1), timedelta(hours=6), timedelta(hours=6)]


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def test_a_file_with_a_name_from_another_system_is_counted_like_any(
    settings: Any, tmp_path: Path, boss: Client
) -> None:
    settings.FILES_DIR = settings.MEDIA_ROOT = tmp_path
    folder = tmp_path / "imports"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/M\xfcller.csv", "wb") as file:
        file.write(b"x")
    os.utime(os.fsencode(folder) + b"/M\xfcller.csv", (0, 0))
    policy = CleanupPolicy.objects.create(name="Files", targets=["orphan_files"], days=1)
    live = boss.post(
        "/admin/cleanup/cleanuppolicy/live/", {"name": "x", "targets": ["orphan_files"], "days": "7"}
    ).content.decode()
    assert "lies in the future" not in live
    assert "1 file stays, because the name cannot be read here: imports/M\\xfcller.csv." in html.unescape(live)
    answer = boss.post(f"/admin/cleanup/cleanuppolicy/{policy.pk}/preview/")
    assert answer.status_code == 302
    preview = CleanupPreview.objects.get()
    assert "imports/M\\xfcller.csv" in of_preview(preview).findings[0].notes[0]
    assert targets.clean("orphan_files", 1).state == CleanupRun.State.DONE
    assert os.listdir(os.fsencode(folder)) == [b"M\xfcller.csv"]


def test_counting_files_ends_when_its_time_is_over(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cleanup.test_targets_of_records import write

    settings.FILES_DIR = settings.MEDIA_ROOT = tmp_path
    for number in range(40):
        write(f"imports/{number:02}", 3)
    monkeypatch.setattr(orphan_files, "AT_ONCE", 1)
    named = orphan_files.Folder.named

    def slowly(self: orphan_files.Folder, paths: Sequence[str]) -> set[str]:
        time.sleep(0.05)
        return named(self, paths)

    monkeypatch.setattr(orphan_files.Folder, "named", slowly)
    policy = CleanupPolicy(name="Files", targets=["orphan_files"], days=1)
    began = time.monotonic()
    plan = planner.preview(policy, clock.now(), seconds=0.3)
    assert time.monotonic() - began < 1 and plan.is_estimate and 0 < plan.total < 40
