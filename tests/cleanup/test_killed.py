"""kill -9 at every boundary of a batch and inside it: archived and remaining rows are the original, each exactly once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from cleanup import archive, archive_file, archive_lines, archive_writing, outbox, running
from cleanup.models import ArchivePart, CleanupPolicy, CleanupRun, FileOutbox
from runs import clock, failpoints, ledger
from runs.models import Run
from runs.states import Trigger
from runs.tasks import RunContext
from tests.cleanup import tables
from tests.cleanup.conftest import enabled

pytestmark = pytest.mark.django_db(transaction=True)

FAMILIES = 10
BEFORE = (
    "cleanup_locked",
    "cleanup_deleted",
    "cleanup_part_written",
    "cleanup_part_published",
    "cleanup_before_commit",
)
AFTER = ("cleanup_committed", "cleanup_file_removed")
EVERY = bool(os.environ.get("CLEANUP_KILLS"))
"""Every batch, not only the second."""


@pytest.fixture
def made(settings: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
    settings.FILES_DIR = tmp_path
    with tables.made(tables.family()) as family, tables.registered(tables.family_target()):
        tables.populate(family, FAMILIES, clock.now() - timedelta(days=40))
        tables.populate(family, 1, clock.now() - timedelta(days=20), first=100)
        for parent in family["MadeParent"]._default_manager.all():
            (tmp_path / "files").mkdir(exist_ok=True)
            (tmp_path / f"files/{parent.pk}").write_bytes(b"x" * 10)
            family["MadeParent"]._default_manager.filter(pk=parent.pk).update(file=f"files/{parent.pk}")
        yield family


def attempt(policy: CleanupPolicy, run: Run, failpoint: str = "") -> int:
    """One attempt in a process of its own; returns how it ended."""
    connections.close_all()
    child = os.fork()
    if not child:
        code = 1
        try:
            failpoints.arm(failpoint)
            claimed = ledger.claim(run.pk, "test")
            assert claimed is not None
            ledger.finish(claimed, running.perform(RunContext(claimed)))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    Run.objects.filter(pk=run.pk, state="running").update(lease_until=clock.now() - timedelta(seconds=1))
    return os.waitstatus_to_exitcode(status)


def archived(done: CleanupRun) -> dict[str, list[Any]]:
    """Table → primary keys of the rows in all recorded parts, as often as they are there."""
    found: dict[str, list[Any]] = {}
    for part in done.parts.all():
        archive_writing.verify(part)
        for line in map(archive_lines.parsed, archive_lines.texts(archive.path_of(part))):
            if "row" in line:
                found.setdefault(line["table"], []).append(line["row"]["id"])
    return found


@pytest.mark.parametrize("failpoint", BEFORE + AFTER)
def test_nothing_is_lost_and_nothing_is_there_twice(made: dict[str, Any], failpoint: str) -> None:
    before = tables.rows_of(list(made.values()))
    policy = enabled(name="Made", targets=["made"], days=30, batch_size=3, archive="jsonl")
    for number in range(1, 5) if EVERY else (2,):
        run = ledger.plan(
            ledger.NewRun(
                kind="cleanup", target_id=policy.pk, target_label="Made", trigger=Trigger.MANUAL, max_attempts=9
            )
        )  # fmt: skip
        assert attempt(policy, run, f"{failpoint}:{number}") == -signal.SIGKILL
        killed = CleanupRun.objects.get(run_id=run.pk)
        # Each batch of three has three files, removed after its commit.
        batches = number - 1 if failpoint in BEFORE else (number + 2) // 3 if "file" in failpoint else number
        committed = batches * 3
        assert killed.total == len(archived(killed).get("cleanup.MadeParent", [])) == min(committed, FAMILIES)
        assert attempt(policy, run) == 0
        done = CleanupRun.objects.get(run_id=run.pk)
        assert (done.state, done.total, done.cutoff) == (CleanupRun.State.DONE, FAMILIES, killed.cutoff)
        for name, model in made.items():
            if name != "MadePointer":
                both = [*archived(done)[model._meta.label], *model.objects.values_list("pk", flat=True)]
                assert sorted(map(_key, both)) == sorted(_key(row[0]) for row in before[model._meta.label])
        outbox.work_off(clock.now())
        assert not FileOutbox.objects.exists()
        assert os.listdir(Path(outbox.inside("files/1")).parent) == ["100"]
        archive.sweep(clock.now(), leftover_after=timedelta(0))
        assert len(list(archive_file.folder().iterdir())) == ArchivePart.objects.count()  # of all rounds
        call_command("restore_archive", str(run.pk), stdout=StringIO())
        assert tables.rows_of(list(made.values())) == before
        for parent in made["MadeParent"].objects.exclude(pk=100):
            outbox.inside(parent.file).write_bytes(b"x" * 10)


def _key(pk: Any) -> str:
    return str(pk).replace("-", "")
