"""Limits, approvals and previews hold however one goes about it: nobody gets round them by looking, waiting or hurrying."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from cleanup import (
    admission,
    batches,
    ending,
    file_counts,
    holding,
    kinds,
    planner,
    reasons,
    row_counts,
    running,
    services,
)
from cleanup.batches import Work
from cleanup.models import Archiving, CleanupApproval, CleanupPolicy, CleanupRun
from cleanup.selection import Selection
from cleanup.targets import row_target
from runs import clock
from runs.bounded_queries import TookTooLong
from runs.ledger import LeaseLost
from runs.tasks import JobFailed
from tests.cleanup import tables
from tests.cleanup.conftest import begin, change, enabled
from tests.cleanup.test_policy_pages import do, signed_in, staff

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def made(settings: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
    settings.FILES_DIR = tmp_path
    with tables.made(tables.family()) as family, tables.registered(tables.family_target()):
        yield family


def bare(made: dict[str, Any], count: int, first: int = 1, **values: Any) -> None:
    at = clock.now() - timedelta(days=40)
    made["MadeParent"].objects.bulk_create(
        [made["MadeParent"](pk=n, at=at, **values) for n in range(first, first + count)]
    )


def off(**values: Any) -> CleanupPolicy:
    return CleanupPolicy.objects.create(**{"name": "Made", "targets": ["made"], "days": 30, **values})


def clean(policy: CleanupPolicy) -> CleanupRun:
    context = begin(policy)
    try:
        running.perform(context)
    except JobFailed:
        pass
    return CleanupRun.objects.get(run_id=context.id)


def test_looking_again_does_not_raise_what_is_usual(made: dict[str, Any]) -> None:
    """A refused run says "preview it, and ask somebody else": the preview alone must not be the answer."""
    bare(made, 20)
    policy = off()
    services.preview_policy(None, policy.pk)
    services.enable_policy(None, policy.pk)
    bare(made, 2000, first=100)
    assert clean(policy).state == CleanupRun.State.REFUSED
    viewer = staff("viewer", "view_cleanuppolicy")
    said = do(signed_in(viewer), policy, "preview")
    assert "2,020 rows now." in said and "It is not kept" in said
    assert policy.previews.count() == 1
    services.preview_policy(None, policy.pk)  # and one that is kept
    refused = clean(policy)
    assert (refused.state, refused.total) == (CleanupRun.State.REFUSED, 0)


def test_a_larger_run_that_was_agreed_to_becomes_usual(made: dict[str, Any]) -> None:
    """Quiet weeks at the beginning do not make every later run a matter for two people."""
    policy = enabled(name="Made", targets=["made"], days=30, approve_above_times=1000)
    for _ in range(9):
        assert clean(policy).total == 0
    for week in range(3):
        bare(made, 1500, first=1 + 2000 * week)
        done = clean(policy)
        if done.state == CleanupRun.State.REFUSED and week == 0:
            now = clock.now()
            CleanupApproval.objects.create(
                policy=policy, rule_hash=planner.rule_hash(policy), rows_allowed=1650, approved_at=now,
                until=now + timedelta(days=7),
            )  # fmt: skip
            done = clean(policy)
            CleanupApproval.objects.update(until=now)  # a week later
        assert (week, done.state, done.total) == (week, CleanupRun.State.DONE, 1500), done.reason


@pytest.mark.parametrize("by_then", [{}, {"made": 20}])
def test_a_run_that_was_cancelled_says_nothing_of_what_is_usual(made: dict[str, Any], by_then: dict[str, int]) -> None:
    bare(made, 1500)
    policy = off()
    services.preview_policy(None, policy.pk)
    services.enable_policy(None, policy.pk)
    context = begin(policy)
    record = running._record(context, policy)
    CleanupRun.objects.update(deleted=by_then)
    record.refresh_from_db()
    ending.close(record, CleanupRun.State.PARTIAL, reasons.CANCELLED)
    done = clean(policy)
    assert (done.state, done.total) == (CleanupRun.State.DONE, 1500), done.reason


def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_long(*args: Any, **kwargs: Any) -> Any:
        raise TookTooLong

    monkeypatch.setattr(row_counts, "_count", lambda chosen, now, *a, **k: row_counts._guessed(chosen, now))


def test_what_was_only_estimated_does_not_go_above_the_limits(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bare(made, 3000)
    policy = enabled(name="Made", targets=["made"], days=30, approve_above_rows=500)
    slow(monkeypatch)
    monkeypatch.setattr(
        row_counts, "guess", lambda rows: 40
    )  # what a database thinks of a condition that it does not know
    done = clean(policy)
    assert done.total <= 500, f"{done.total} rows went, and nobody was asked"
    assert "It stopped after 500: for more in one run, somebody else has to agree." in done.reason
    now = clock.now()
    CleanupApproval.objects.create(
        policy=policy, rule_hash=planner.rule_hash(policy), rows_allowed=900, approved_at=now,
        until=now + timedelta(days=7),
    )  # fmt: skip
    assert clean(policy).total == 900, "so many were agreed to"


def test_what_becomes_eligible_meanwhile_does_not_go_above_the_limit(made: dict[str, Any]) -> None:
    bare(made, 5)
    bare(made, 800, first=100, of="b")
    hold = holding.add_hold(None, target="made", scope="of", value="b", reason="A dispute")
    policy = enabled(name="Made", targets=["made"], days=30, approve_above_rows=10, batch_size=5)
    context = begin(policy)
    progress = context.progress

    def released(done: int, total: int | None = None, unit: str = "") -> None:
        if done == 5 and hold.pk:
            holding.release_hold(None, hold.pk)
            hold.pk = None
        progress(done, total, unit)

    context.progress = released  # type: ignore[method-assign]
    running.perform(context)
    done = CleanupRun.objects.get()
    assert done.total <= 10, f"{done.total} rows went; above 10 somebody else must agree"


def test_very_many_leftover_files_are_as_suspicious_as_many(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cleanup.test_targets_of_records import write

    settings.FILES_DIR = settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(file_counts, "MOST", 120)  # in truth 200,000
    files = [write(f"images/originals/{n:04}", 3) for n in range(600)]
    policy = enabled(name="Files", targets=["orphan_files"], days=1, approve_above_rows=None)
    done = clean(policy)
    assert done.state == CleanupRun.State.REFUSED, f"{done.total} of 600 files went"
    assert all(path.exists() for path in files)


def test_a_run_goes_on_only_by_the_rule_that_is_switched_on(made: dict[str, Any]) -> None:
    """It began by 30 days, was interrupted, and since then somebody decided for a year."""
    bare(made, 40)
    policy = off(batch_size=10)
    services.preview_policy(None, policy.pk)
    services.enable_policy(None, policy.pk)
    policy.refresh_from_db()
    context = begin(policy)
    record = running._record(context, policy)  # the first attempt is admitted, and its worker dies
    admission.admit(context, policy, record)
    policy = CleanupPolicy.objects.get()
    policy.days = 365
    services.save_policy(None, policy)
    services.preview_policy(None, policy.pk)
    services.enable_policy(None, policy.pk)
    try:
        running.perform(context)  # the next attempt
    except JobFailed:
        pass
    assert made["MadeParent"].objects.count() == 40, "rows younger than the rule says are gone"


def test_a_no_stays_a_no(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people answer at the same moment: whoever comes second learns that it was decided."""
    bare(made, 40)
    policy = off(approve_above_rows=10)
    services.preview_policy(None, policy.pk)
    asked, _ = services.ask_for_approval(None, policy.pk)
    seen = services.seen_of(asked)
    berta, cora = staff("berta", "approve_cleanup"), staff("cora", "approve_cleanup")
    decide = services._decide

    def meanwhile(actor: Any, *args: Any) -> Any:
        found = decide(actor, *args)
        if actor == cora:
            services.refuse_policy(berta, policy.pk, seen, "Ask the archive first")
        return found

    monkeypatch.setattr(services, "_decide", meanwhile)
    with pytest.raises(ValidationError):
        services.approve_policy(cora, policy.pk, seen)
    assert CleanupApproval.objects.get().refused_at is not None


def test_who_wrote_the_rule_does_not_approve_it_after_somebody_renamed_it(made: dict[str, Any]) -> None:
    bare(made, 40)
    anna = staff("anna", "view_cleanuppolicy", "add_cleanuppolicy", "change_cleanuppolicy", "approve_cleanup")
    berta = staff("berta", "view_cleanuppolicy", "change_cleanuppolicy", "run_cleanup")
    policy = services.save_policy(anna, CleanupPolicy(name="Made", targets=["made"], days=30, approve_above_rows=10))
    policy.name = "Made rows"
    services.save_policy(berta, policy)
    services.preview_policy(berta, policy.pk)
    asked, _ = services.ask_for_approval(berta, policy.pk)
    with pytest.raises(ValidationError, match="wrote this rule"):
        services.approve_policy(anna, policy.pk, services.seen_of(asked))


def test_a_policy_that_arrives_switched_on_was_previewed_here_or_does_not_run(made: dict[str, Any]) -> None:
    """As from a file of another house, with its mark of having been previewed there."""
    bare(made, 40)
    policy = off(is_enabled=True)
    CleanupPolicy.objects.update(enabled_rule_hash=planner.rule_hash(policy))
    refused = clean(policy)
    assert (refused.state, made["MadeParent"].objects.count()) == (CleanupRun.State.REFUSED, 40)
    assert "was not switched on by a preview here" in refused.reason
    assert "will be refused" in kinds.describe_impact(policy)
    services.preview_policy(None, policy.pk)
    assert clean(policy).state == CleanupRun.State.REFUSED, "looking at it does not enable it"
    services.disable_policy(None, policy.pk)
    services.enable_policy(None, policy.pk)
    assert clean(policy).total == 40


def test_nothing_is_deleted_once_the_cleaning_is_closed(made: dict[str, Any]) -> None:
    """Its run ended without it, and that was written down; a worker that was only slow must not go on behind that."""
    bare(made, 20)
    policy = enabled(name="Made", targets=["made"], days=30)
    context = begin(policy)
    record = running._record(context, policy)
    admission.admit(context, policy, record)
    run = type(
        "Run",
        (),
        {"kind": "cleanup", "state": "failed", "pk": context.id, "error": "Its worker was lost.", "reason_text": ""},
    )
    ending.close_abandoned(None, run)  # type: ignore[arg-type]
    record.refresh_from_db()
    assert record.finished_at is not None and record.cutoff is not None
    work = Work(record.pk, record.attempt, Selection.of(row_target("made"), record.cutoff, record.rule), Archiving.NONE)
    with pytest.raises(LeaseLost):
        batches.run_batch(work, 10, None)
    assert made["MadeParent"].objects.count() == 20


def test_a_clock_that_was_ahead_is_noticed_by_the_next_attempt(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Admitted while the clock was two months ahead; put right since: rows of last week are not old."""
    at = clock.now() - timedelta(days=7)
    made["MadeParent"].objects.bulk_create([made["MadeParent"](pk=n, at=at) for n in range(1, 41)])
    policy = enabled(name="Made", targets=["made"], days=30)
    context = begin(policy)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(days=60))
    record = running._record(context, policy)
    admission.admit(context, policy, record)
    monkeypatch.setattr(clock, "now", now)
    try:
        running.perform(context)
    except JobFailed:
        pass
    assert made["MadeParent"].objects.count() == 40


def test_one_file_of_an_app_that_is_gone_stops_no_other(made: dict[str, Any]) -> None:
    from cleanup.models import FileOutbox

    bare(made, 5)
    FileOutbox.objects.create(
        path="elsewhere/x", named_by=[["gone.Model", {"file": "elsewhere/x"}]], target="gone", why="x"
    )
    done = clean(enabled(name="Made", targets=["made"], days=30))
    assert done.state == CleanupRun.State.DONE


@pytest.mark.parametrize(
    "values",
    [
        {"filters": {"made": {"gone": "1"}}},
        {"days": 0},
        {"targets": ["gone"]},
        {"targets": []},
        {"targets": ["inactive_subscribers"], "filters": {"inactive_subscribers": {"list": "x"}}},
        {"targets": ["deliveries"], "filters": {"deliveries": {"newsletter": "x"}}},
    ],
)
def test_the_pages_of_a_policy_that_was_changed_from_outside_say_so(
    made: dict[str, Any], values: dict[str, Any]
) -> None:
    from schedules import services as schedules
    from schedules.drafts import ScheduleDraft

    policy = enabled(name="Made", targets=["made"], days=30)
    draft = ScheduleDraft.for_kind("cleanup", name="Sundays", target_id=policy.pk, expression="30 3 * * 0")
    schedule = schedules.create_schedule(None, draft)
    change(policy, **values)
    client = signed_in(User.objects.create_superuser("boss"))
    client.raise_request_exception = False
    for url in (
        f"/admin/cleanup/cleanuppolicy/{policy.pk}/detail/",
        f"/admin/cleanup/cleanuppolicy/{policy.pk}/change/",
        "/admin/cleanup/cleanuppolicy/",
        f"/admin/schedules/schedule/{schedule.pk}/detail/",
        f"/admin/schedules/schedule/{schedule.pk}/run-now/",
        f"/admin/schedules/schedule/{schedule.pk}/change/",
    ):
        assert client.get(url, follow=True).status_code < 500, url
    for url in (
        f"/admin/cleanup/cleanuppolicy/{policy.pk}/preview/",
        f"/admin/schedules/schedule/{schedule.pk}/run-now/",
    ):
        assert client.post(url, follow=True).status_code < 500, url
    assert clean(policy).state == CleanupRun.State.REFUSED
