"""An archive can be put back for as long as it is kept, whatever became of the house since; what is said of it is true."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client

from cleanup import archive, outbox, restoring, running
from cleanup.models import CleanupPolicy, CleanupRun, FileOutbox
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
    policy = enabled(name=f"Made {CleanupRun.objects.count()}", targets=["made"], days=30, batch_size=4, **values)
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


def test_who_is_erased_is_in_no_archive_either(settings: Any, tmp_path: Path) -> None:
    settings.FILES_DIR = tmp_path
    issue = an_issue()
    Issue.objects.filter(pk=issue.pk).update(finished_at=ago(400))
    done = targets.clean("deliveries", 365, archive="jsonl")
    person = Subscriber.objects.get(email_norm="r3@x.org")
    erasing.erase(None, person.pk, "r3@x.org")
    with gzip.open(archive.path_of(done.parts.get()), "rt") as file:
        text = file.read()
    assert "r3@x.org" not in text


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


def test_a_file_is_tried_again_however_often_it_was(settings: Any, tmp_path: Path) -> None:
    settings.FILES_DIR = tmp_path
    (tmp_path / "folder").mkdir()  # no file: it cannot be removed as one
    for tries in (0, 50, 2000):
        FileOutbox.objects.create(path="folder", target="made", why="x", tries=tries)
    assert outbox.work_off(clock.now()) == (0, 0)
    waits = [one.next_try_at - clock.now() for one in FileOutbox.objects.order_by("pk")]
    assert all(timedelta(seconds=50) < wait < timedelta(hours=7) for wait in waits)


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
    answer = boss.post(f"/admin/cleanup/cleanuppolicy/{policy.pk}/preview/")
    assert answer.status_code == 302
