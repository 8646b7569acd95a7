"""Archives hold exactly what was deleted, and what is put back is identical, children and cut links included."""

from __future__ import annotations

import errno
import gzip
import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.db.models import Value

from cleanup import archive, archive_file, running
from cleanup.models import ArchivePart, CleanupRun
from cleanup.targets import Target
from runs import clock
from runs.models import AuditEntry
from runs.tasks import JobFailed
from tests.cleanup import tables
from tests.cleanup.conftest import begin, enabled

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def made(settings: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Eleven families that are old enough and two that are not."""
    settings.FILES_DIR = tmp_path
    with tables.made(tables.family()) as family, tables.registered(tables.family_target()):
        tables.populate(family, 11, clock.now() - timedelta(days=40))
        tables.populate(family, 2, clock.now() - timedelta(days=20), first=100)
        yield family


def clean(**values: Any) -> CleanupRun:
    values = {"targets": ["made"], **values}
    policy = enabled(name=f"Made {CleanupRun.objects.count()}", days=30, batch_size=4, **values)
    context = begin(policy)
    running.perform(context)
    return CleanupRun.objects.get(run_id=context.id)


def restore(which: object, **options: Any) -> str:
    out = StringIO()
    call_command("restore_archive", str(which), stdout=out, **options)
    return out.getvalue()


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_what_is_put_back_is_identical(made: dict[str, Any], format: str) -> None:
    before = tables.rows_of(list(made.values()))
    done = clean(archive=format)
    assert done.deleted == {"made": 11} and done.tables == {
        "cleanup.MadeParent": {"deleted": 11}, "cleanup.MadeChild": {"deleted": 22},
        "cleanup.MadeGrandchild": {"deleted": 11}, "cleanup.MadePointer": {"unlinked": 11},
    }  # fmt: skip
    assert [made[name].objects.count() for name in made] == [2, 4, 2, 13]
    parts = list(done.parts.order_by("number"))
    assert [part.number for part in parts] == [1, 2, 3] and sum(part.row_count for part in parts) == 55
    assert (parts[0].first_pk, parts[-1].last_pk) == ("1", "11")
    assert "would come back" in restore(done.run_id, dry_run=True) and made["MadeParent"].objects.count() == 2
    assert "there already" not in restore(done.run_id)
    assert tables.rows_of(list(made.values())) == before
    assert made["MadePointer"].objects.create(parent_id=1).pk > 0  # numbers go on behind what came back
    assert AuditEntry.objects.filter(action="put archived rows back").count() == 3


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_a_missing_value_and_the_null_of_json_come_back_as_what_they_were(
    settings: Any, tmp_path: Path, format: str
) -> None:
    settings.FILES_DIR = tmp_path
    null = Value(None, models.JSONField())

    def fields() -> dict[str, Any]:
        may_miss = {name: models.JSONField(null=True, db_column=f"{name}'s") for name in ("one", "other")}
        return {"at": models.DateTimeField(db_index=True), **may_miss, "must": models.JSONField()}

    target = Target(
        key="made_json", label="Made rows", noun=("row", "rows"), model="cleanup.MadeJson", date_field="at", floor_days=1,
    )  # fmt: skip
    with tables.made([("MadeJson", fields)]) as made, tables.registered(target):
        table: Any = made["MadeJson"]
        values = [None, null, "null", {"a": None}, [None], 0, False, ""]
        for number, value in enumerate(values):
            must = null if value is None else value
            table.objects.create(at=clock.now() - timedelta(days=40), one=value, other=values[-number], must=must)
        before = tables.rows_of([table])
        assert len({row[2] for row in before[table._meta.label]}) == len(values)
        done = clean(targets=["made_json"], archive=format)
        assert done.deleted == {"made_json": len(values)} and not table.objects.exists()
        restore(done.run_id)
        assert tables.rows_of([table]) == before


def test_what_is_there_already_stays_as_it_is(made: dict[str, Any]) -> None:
    done = clean(archive="jsonl")
    made["MadeParent"].objects.create(pk=3, at=clock.now(), text="Somebody's own")
    said = restore(done.run_id)
    assert "1 of cleanup.MadeParent there already, left alone" in said
    assert made["MadeParent"].objects.get(pk=3).text == "Somebody's own" and made["MadeParent"].objects.count() == 13


def test_one_part_alone_comes_back_by_its_key(made: dict[str, Any]) -> None:
    done = clean(archive="jsonl")
    restore(done.parts.get(number=3).key)
    assert set(made["MadeParent"].objects.values_list("pk", flat=True)) == {9, 10, 11, 100, 101}


def test_a_damaged_file_is_not_put_back(made: dict[str, Any]) -> None:
    done = clean(archive="jsonl")
    part = done.parts.get(number=2)
    path = archive.path_of(part)
    path.write_bytes(path.read_bytes()[:-9] + b"damaged!!")
    with pytest.raises(CommandError, match="1 archive of 3 could not be put back"):
        restore(done.run_id)
    assert made["MadeParent"].objects.filter(pk__in=(5, 6, 7, 8)).count() == 0


def test_rows_whose_owner_has_gone_meanwhile_are_said(made: dict[str, Any]) -> None:
    made["MadeParent"].objects.filter(pk=5).update(before=100)
    done = clean(archive="jsonl")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM cleanup_madegrandchild")
        cursor.execute("DELETE FROM cleanup_madechild")
        cursor.execute("DELETE FROM cleanup_madepointer")
        cursor.execute("DELETE FROM cleanup_madeparent")
    said = restore(done.run_id)
    assert "1 link of cleanup.MadeParent.before left empty: what it led to has gone." in said
    assert "4 links left as they are" in said  # of rows that are gone as well
    assert made["MadeParent"].objects.count() == 11 and made["MadeParent"].objects.get(pk=5).before_id is None
    assert made["MadeChild"].objects.count() == 22


def test_an_archive_can_be_read_without_us(made: dict[str, Any]) -> None:
    done = clean(archive="jsonl")
    part = done.parts.get(number=1)
    with gzip.open(archive.path_of(part), "rt") as file:
        head, *lines = map(json.loads, file)
    assert head["policy"] == "Made 0" and head["run"] == done.run_id and len(lines) == part.row_count
    parents = [line["row"] for line in lines if line["table"] == "cleanup.MadeParent"]
    assert (
        sorted(row["id"] for row in parents) == [1, 2, 3, 4]
        and archive.file_name(part) == f"made-0-run-{done.run_id}-part-1.jsonl.gz"
    )


def test_a_disk_without_room_refuses_before_anything_is_deleted(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000_000))
    with pytest.raises(JobFailed, match="disk is almost full"):
        clean(archive="jsonl")
    assert made["MadeParent"].objects.count() == 13
    assert CleanupRun.objects.get().state == CleanupRun.State.REFUSED


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_a_disk_that_fills_stops_it_and_nothing_goes_unarchived(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, format: str
) -> None:
    write = archive_file.DraftArchive.write

    def fills(draft: Any, data: bytes) -> int:
        if ArchivePart.objects.count() == 1:
            with archive_file.in_words():
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(draft, data)

    monkeypatch.setattr(archive_file.DraftArchive, "write", fills)
    with pytest.raises(JobFailed, match="disk is full"):
        clean(archive=format)
    done = CleanupRun.objects.get()
    assert done.state == CleanupRun.State.PARTIAL and "disk is full" in done.reason and done.backlog == 7
    assert (made["MadeParent"].objects.count(), done.total, done.parts.count()) == (9, 4, 1)
    assert len(list((tmp_path / "archives").iterdir())) == 1
    monkeypatch.undo()
    assert clean(archive=format).total == 7


def test_archives_go_when_their_time_is_over_and_leftovers_of_killed_runs_too(made: dict[str, Any]) -> None:
    done = clean(archive="jsonl", archive_days=10)
    part = done.parts.get(number=1)
    assert part.expires_at == part.written_at + timedelta(days=10)
    leftover = archive_file.folder() / "6f1ed002-ab5a-4b54-8a2c-5e1d8a4b8c11.jsonl.gz"
    leftover.write_bytes(b"x")
    stranger = archive_file.folder() / "notes.txt"
    stranger.write_bytes(b"x")
    assert archive.sweep(clock.now(), leftover_after=timedelta(0)) == 1 and not leftover.exists() and stranger.exists()
    ArchivePart.objects.filter(pk=part.pk).update(expires_at=clock.now())
    assert archive.sweep(clock.now()) == 1
    part.refresh_from_db()
    assert part.deleted_at and not archive.path_of(part).exists()
    with pytest.raises(CommandError, match="no archive"):
        restore(part.key)
