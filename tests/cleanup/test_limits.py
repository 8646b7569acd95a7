"""Caps, rows that cannot go, rows that somebody else has locked, sizes out of the ordinary, and what is written down."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from cleanup import (
    batches,
    ending,
    executor,
    file_batches,
    guard,
    outbox,
    pace,
    planner,
    running,
    services,
    targets,
)
from cleanup.models import CleanupApproval, CleanupPolicy, CleanupRun, FileOutbox
from runs import clock
from runs.models import AuditEntry, Notice, Run
from runs.tasks import JobFailed
from tests.cleanup import tables
from tests.cleanup.conftest import begin, change, enabled

pytestmark = pytest.mark.django_db(transaction=True)

WRITER_SECONDS = float(os.environ.get("CLEANUP_WRITER_SECONDS", "1"))


@pytest.fixture
def made(settings: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
    settings.FILES_DIR = tmp_path
    with tables.made(tables.family()) as family, tables.registered(tables.family_target()):
        yield family


def old(made: dict[str, Any], count: int, first: int = 1, **values: Any) -> None:
    tables.populate(made, count, clock.now() - timedelta(days=40), first=first, **values)


def bare(made: dict[str, Any], count: int, first: int = 1) -> None:
    """Parents alone."""
    at = clock.now() - timedelta(days=40)
    rows = [made["MadeParent"](pk=n, at=at) for n in range(first, first + count)]
    made["MadeParent"].objects.bulk_create(rows)


def left(made: dict[str, Any]) -> set[int]:
    return set(made["MadeParent"].objects.values_list("pk", flat=True))


def policy_for(**values: Any) -> CleanupPolicy:
    return enabled(**{"name": f"Made {CleanupPolicy.objects.count()}", "targets": ["made"], "days": 30, **values})


def clean(policy: CleanupPolicy) -> CleanupRun:
    context = begin(policy)
    try:
        running.perform(context)
    except JobFailed:
        pass
    return CleanupRun.objects.get(run_id=context.id)


def test_a_cap_ends_in_a_backlog_that_the_next_runs_work_off(made: dict[str, Any]) -> None:
    bare(made, 1000)
    policy = policy_for(max_rows=400, batch_size=300)
    for total, backlog, state in ((400, 600, "partial"), (400, 200, "partial"), (200, 0, "done"), (0, 0, "done")):
        done = clean(policy)
        assert (done.total, done.backlog, done.state) == (total, backlog, state), done.reason
        run = Run.objects.get(pk=done.run_id)
        assert (run.progress_done, run.progress_total) == (total, total), "as far as its limit lets it"
    assert "limit of 400" in CleanupRun.objects.earliest("id").reason


def test_a_cap_that_is_just_enough_is_no_stop(made: dict[str, Any]) -> None:
    bare(made, 400)
    done = clean(policy_for(max_rows=400))
    assert (done.state, done.reason) == (CleanupRun.State.DONE, "")


def test_its_time_ends_it_too(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    bare(made, 50)
    policy = policy_for(max_minutes=1, batch_size=10)
    monotonic, passed = time.monotonic, 0.0
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + passed)
    run_batch = batches.run_batch

    def slow(*args: Any, **kwargs: Any) -> Any:
        nonlocal passed
        passed += 25
        return run_batch(*args, **kwargs)

    monkeypatch.setattr(batches, "run_batch", slow)
    done = clean(policy)
    assert (done.state, done.total) == (CleanupRun.State.PARTIAL, 30) and "time was over" in done.reason


def test_once_a_policy_is_off_no_batch_of_a_run_under_way_follows(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bare(made, 30)
    policy = policy_for(batch_size=10)
    context = begin(policy)
    # In the rest after the first batch, as the page does it.
    monkeypatch.setattr(pace, "rest", lambda *_: services.disable_policy(None, policy.pk))
    running.perform(context)
    done = CleanupRun.objects.get()
    assert (done.state, done.total, done.backlog) == (
        CleanupRun.State.PARTIAL,
        10,
        20,
    ) and "switched off" in done.reason


def test_who_switches_a_policy_off_waits_for_the_batch_under_way(made: dict[str, Any]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer: a batch and a switch never meet")
    bare(made, 30)
    policy = policy_for(batch_size=10)
    committed: list[int] = []

    def switch() -> None:
        services.disable_policy(None, policy.pk)
        committed.append(len(left(made)))
        connection.close()

    thread = threading.Thread(target=switch)

    def meanwhile(pks: Any, now: Any) -> None:
        if thread.ident is None:
            thread.start()
            thread.join(0.3)
            assert not committed, "it is off, and the batch goes on"

    targets.register(tables.family_target(before_batch=meanwhile))
    done = clean(policy)
    thread.join()
    assert (done.total, committed, "switched off" in done.reason) == (10, [20], True), done.reason


def test_a_row_that_cannot_go_is_named_and_everything_beside_it_goes(made: dict[str, Any]) -> None:
    old(made, 40)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE made_stranger (parent_id bigint NOT NULL REFERENCES cleanup_madeparent (id))")
        try:
            cursor.execute("INSERT INTO made_stranger VALUES (7), (31)")
            for archive in ("none", "jsonl"):
                done = clean(policy_for(batch_size=16, archive=archive))
                assert left(made) == {7, 31}
                assert [(one["table"], one["pk"]) for one in done.poison] == [
                    ("cleanup.MadeParent", "7"),
                    ("cleanup.MadeParent", "31"),
                ]
                assert "foreign key" in done.poison[0]["error"].lower()
                assert (done.state, done.total, done.backlog) == (CleanupRun.State.DONE, 38, 2)
                assert "2 rows could not be deleted" in ending.result_of(done)
                assert sum(part.rows["cleanup.MadeParent"]["deleted"] for part in done.parts.all()) == (
                    38 if archive == "jsonl" else 0
                )
                for model in list(made.values())[::-1]:
                    model.objects.exclude(pk__in=[7, 31] if model is made["MadeParent"] else []).delete()
                made["MadeParent"].objects.update(before=None)
                bare(made, 6)
                bare(made, 23, first=8)
                bare(made, 9, first=32)
        finally:
            cursor.execute("DROP TABLE made_stranger")


def test_when_every_row_fails_it_stops(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    bare(made, 50)
    monkeypatch.setattr(executor, "MOST_POISON", 10)

    def fails(pks: Any, now: Any) -> dict[str, int]:
        raise RuntimeError("The other system does not answer.")

    targets.register(tables.family_target(remove=fails))
    done = clean(policy_for(batch_size=8))
    assert done.state == CleanupRun.State.FAILED and len(done.poison) == 10 and len(left(made)) == 50
    assert "does not answer" in done.reason


def test_ten_times_the_usual_is_refused_until_somebody_else_agrees(made: dict[str, Any]) -> None:
    owner, other = User.objects.create_user("owner"), User.objects.create_user("other")
    policy = policy_for(owner=owner)
    for _ in range(3):
        bare(made, 20)
        assert clean(policy).total == 20
    bare(made, 201)
    refused = clean(policy)
    assert (refused.state, len(left(made))) == (CleanupRun.State.REFUSED, 201)
    assert "usual are 20" in refused.reason and "Nothing was deleted" in refused.reason
    assert "usual are 20" in Notice.objects.get(user=owner).text
    entry = AuditEntry.objects.get(action="refused to clean")
    assert entry.was_refused and entry.after["deleted"] == {} and "usual are 20" in entry.reason
    assert clean(change(policy, max_rows=150)).total == 150  # a run that its own limit ends is not as large
    change(policy, max_rows=None)
    bare(made, 150, first=1000)
    now = clock.now()
    values = {"policy": policy, "rule_hash": planner.rule_hash(policy), "asked_by": owner, "approved_by": other}
    approval = CleanupApproval.objects.create(
        **values, rows_allowed=100, approved_at=now, until=now + timedelta(days=1)
    )
    policy.approve_above_rows = 150
    policy.save()
    assert clean(policy).state == CleanupRun.State.REFUSED  # for fewer rows than there are
    CleanupApproval.objects.update(rows_allowed=300, until=now - timedelta(seconds=1))
    assert clean(policy).state == CleanupRun.State.REFUSED  # no longer
    CleanupApproval.objects.update(until=now + timedelta(days=1), rule_hash="another")
    assert clean(policy).state == CleanupRun.State.REFUSED
    CleanupApproval.objects.update(rule_hash=planner.rule_hash(policy))
    done = clean(policy)
    assert (done.state, done.total, done.approval) == (CleanupRun.State.DONE, 201, approval)


def test_a_large_part_of_a_table_needs_a_word(made: dict[str, Any]) -> None:
    bare(made, 150)
    policy = policy_for(approve_above_percent=60)
    plan = planner.preview(policy, clock.now())
    assert guard.reasons_for_approval(policy, plan) == (
        "That is 100 % of all rows where “Made rows” are, more than 60 %.",
    )  # fmt: skip
    assert clean(policy).state == CleanupRun.State.REFUSED


def test_rows_that_somebody_has_locked_are_left_and_come_next(made: dict[str, Any]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer: nothing is ever locked row by row")
    old(made, 10)
    locked, go_on = threading.Event(), threading.Event()

    def holder() -> None:
        with transaction.atomic():
            list(made["MadeParent"].objects.select_for_update().filter(pk__in=(3, 4)))
            made["MadeChild"].objects.select_for_update().get(pk=14)  # a child of 7
            locked.set()
            go_on.wait(30)
        connection.close()

    thread = threading.Thread(target=holder)
    thread.start()
    locked.wait(10)
    done = clean(policy_for(batch_size=5))
    go_on.set()
    thread.join()
    assert left(made) == {3, 4, 7} and done.skipped == {"made": {"locked": 3}} and done.backlog == 3
    assert clean(policy_for()).total == 3 and not left(made)


def test_others_go_on_writing(made: dict[str, Any]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer: others wait for a batch, which is why batches are short there")
    bare(made, 20_000)
    stop = threading.Event()
    latencies: dict[str, list[float]] = {"idle": [], "busy": []}
    phase = ["idle"]
    errors: list[BaseException] = []

    def writer(n: int) -> None:
        number = n
        try:
            while not stop.is_set():
                number = (number + 7_919) % 20_000 + 1
                began = time.perf_counter()
                made["MadeParent"].objects.filter(pk=number).update(text="touched", at=clock.now())
                latencies[phase[0]].append(time.perf_counter() - began)
                time.sleep(0.04)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=writer, args=(n,)) for n in (0, 9000)]
    for thread in threads:
        thread.start()
    time.sleep(WRITER_SECONDS)
    phase[0] = "busy"
    done = clean(policy_for(batch_size=2000, rest_ms=20))
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors and done.state == CleanupRun.State.DONE
    assert done.longest_batch_ms < 1000
    touched = set(made["MadeParent"].objects.values_list("text", flat=True))
    assert touched == {"touched"} and done.total + len(left(made)) == 20_000
    idle, busy = (statistics.quantiles(latencies[name], n=100)[98] for name in ("idle", "busy"))
    print(f"p99 of a write: {idle * 1000:.1f} ms idle, {busy * 1000:.1f} ms while it cleans")
    assert busy < 0.5  # nobody waits longer than a batch takes; benchmarks/cleanup.py compares with idle


def test_a_shared_file_stays_until_its_last_row_goes(made: dict[str, Any], tmp_path: Path) -> None:
    old(made, 2, file="shared")
    tables.populate(made, 1, clock.now() - timedelta(days=10), first=50, file="shared")
    old(made, 1, first=60, file="own")
    for name in ("shared", "own"):
        (tmp_path / name).write_bytes(b"12345")
    done = clean(policy_for())
    assert (tmp_path / "shared").exists() and not (tmp_path / "own").exists() and not FileOutbox.objects.exists()
    assert (done.files_removed, done.bytes_removed) == (1, 5)
    made["MadeParent"].objects.update(at=clock.now() - timedelta(days=50))
    clean(policy_for())
    assert not (tmp_path / "shared").exists()


def test_a_file_that_cannot_be_removed_is_tried_again_and_none_outside_is_touched(
    made: dict[str, Any], tmp_path: Path
) -> None:
    outside = tmp_path.parent / "outside"
    outside.write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "in it").write_bytes(b"x")
    old(made, 1, file="folder")
    old(made, 1, first=2, file="../outside")
    clean(policy_for())
    assert not left(made) and outside.exists()
    entries = FileOutbox.objects.order_by("path")
    assert [(one.path, one.tries) for one in entries] == [("../outside", 1), ("folder", 1)] and all(
        one.error for one in entries
    )
    assert outbox.work_off(clock.now()) == (0, 0)  # not yet
    (tmp_path / "folder" / "in it").unlink()
    (tmp_path / "folder").rmdir()
    (tmp_path / "folder").write_bytes(b"123")
    assert outbox.work_off(clock.now() + timedelta(minutes=2)) == (1, 3) and outside.exists()


def test_files_that_nobody_names_go_below_their_folder_only(made: dict[str, Any], tmp_path: Path) -> None:
    then = clock.now() - timedelta(days=60)
    names = [f"ours/{n:02}" for n in range(7)]
    found = [targets.OrphanFile(name, 1, then) for name in [*names, "ours/../theirs", "theirs"]]
    (tmp_path / "ours").mkdir()
    for name in [*names, "theirs"]:
        (tmp_path / name).write_bytes(b"1")
    target = targets.FileTarget(
        key="made_files", label="Made files", noun=("file", "files"), floor_days=1, find=lambda cutoff, until: iter(found),
        is_orphan=lambda paths: set(paths) - {"ours/03"}, total=lambda: 100, folders=("ours",),
    )  # fmt: skip
    targets.register(target)
    try:
        policy = policy_for(targets=["made_files"], max_rows=4)
        assert planner.preview(policy, clock.now()).total == 9
        done = clean(policy)
        assert (done.total, done.files_removed, done.state) == (4, 4, CleanupRun.State.PARTIAL)
        clean(change(policy, max_rows=None))
        assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == ["03"] and (tmp_path / "theirs").exists()
        assert file_batches._is_ours(target, "ours/x") and not file_batches._is_ours(target, "/ours/x")
    finally:
        targets.registry.unregister("made_files")


def test_what_is_written_down_about_every_cleaning(made: dict[str, Any]) -> None:
    old(made, 3)
    policy = policy_for(archive="jsonl", version=4)
    done = clean(policy)
    entry = AuditEntry.objects.get(action="cleaned")
    facts = entry.after
    assert (entry.object_id, facts["run"], facts["version"], facts["state"]) == (str(policy.pk), done.run_id, 4, "done")
    assert facts["tables"]["cleanup.MadeChild"] == {"deleted": 6} and facts["deleted"] == {"made": 3}
    assert facts["rule"] == policy.rule() and facts["archive_parts"] == 1 and len(facts["archive_sha256"]) == 64
    assert facts["seconds"] >= 0 and not entry.was_refused


def test_a_plan_with_a_gap_is_refused_at_registration(made: dict[str, Any]) -> None:
    with pytest.raises(targets.IncompletePlan) as refusal:
        targets.register(tables.family_target(key="gap", children=(targets.Child("cleanup.MadeChild", "parent"),)))
    said = str(refusal.value)
    for name in ("MadePointer.parent", "MadeParent.before", "MadeGrandchild.child"):
        assert f"cleanup.{name} points at" in said
    assert not targets.is_known("gap")
    with pytest.raises(targets.IncompletePlan, match="cannot be emptied"):
        targets.register(
            tables.family_target(key="gap", children=(targets.Child("cleanup.MadeChild", "parent", "unlink"),))
        )
