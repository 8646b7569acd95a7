"""A cleanup deletes what its preview said, nothing newer, nothing held, and counts exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session

from cleanup import holding, kinds, planner, running, services
from cleanup.models import CleanupPolicy, CleanupRun, Hold
from runs import clock, ledger
from runs.models import AuditEntry, Run
from runs.tasks import JobFailed
from tests.cleanup.conftest import begin, change

pytestmark = pytest.mark.django_db
Add = Callable[..., None]


def keys() -> set[str]:
    return set(Session.objects.values_list("session_key", flat=True))


def test_it_deletes_what_the_preview_said_and_nothing_newer(policy: CleanupPolicy, sessions: Add) -> None:
    sessions(1234, 31, "old")
    sessions(7, 29, "new")
    preview = services.preview_policy(None, policy.pk)
    assert preview.total == 1234 and len(preview.findings[0]["samples"]) == 20
    assert Session.objects.count() == 1241  # a preview deletes nothing
    assert running.perform(begin(policy)) == "1,234 rows deleted: 1,234 expired sessions."
    assert keys() == {f"new{n}" for n in range(7)}
    done = CleanupRun.objects.get()
    assert (done.deleted, done.state) == ({"sessions": 1234}, CleanupRun.State.DONE)
    assert (done.tables, done.backlog) == ({"sessions.Session": {"deleted": 1234}}, 0)


def test_a_second_run_finds_nothing(policy: CleanupPolicy, sessions: Add) -> None:
    sessions(3, 31)
    running.perform(begin(policy))
    assert running.perform(begin(policy)) == "Nothing was old enough to delete."


def test_a_cap_stops_it_loudly_and_the_rest_follows(policy: CleanupPolicy, sessions: Add) -> None:
    sessions(1200, 31)
    change(policy, max_rows=700)
    assert "It stopped at its limit of 700" in running.perform(begin(policy))
    assert Session.objects.count() == 500
    stopped = CleanupRun.objects.get()
    assert (stopped.state, stopped.backlog) == (CleanupRun.State.PARTIAL, 500)
    assert running.perform(begin(policy)).startswith("500 rows deleted")


def test_a_held_row_stays(policy: CleanupPolicy, sessions: Add) -> None:
    sessions(5, 31)
    holding.add_hold(None, target="sessions", object_id="s3", reason="Asked for by the auditor")
    holding.add_hold(None, target="sessions", object_id="s4", reason="Over", until=clock.now() + timedelta(hours=1))
    Hold.objects.filter(object_id="s4").update(until=clock.now() - timedelta(hours=1))
    preview = services.preview_policy(None, policy.pk)
    assert (preview.total, preview.findings[0]["held"]) == (4, 1)
    running.perform(begin(policy))
    assert keys() == {"s3"}


def test_a_hold_on_everything_keeps_everything(policy: CleanupPolicy, sessions: Add) -> None:
    sessions(5, 31)
    holding.add_hold(None, target="sessions", object_id="", reason="Audit")
    assert "at the moment: 5 rows are old enough, and held" in kinds.describe_impact(policy)
    assert running.perform(begin(policy)) == "Nothing was deleted: 5 rows are old enough, and held."
    assert Session.objects.count() == 5


def test_a_hold_set_between_two_batches_counts(policy: CleanupPolicy, sessions: Add) -> None:
    sessions(9, 31)
    change(policy, batch_size=3)
    context = begin(policy)
    original = context.progress

    def hold_after_the_first_batch(done: int, total: int | None = None, unit: str = "") -> None:
        if done == 3:
            holding.add_hold(None, target="sessions", object_id="s5", reason="Just in time")
        original(done, total, unit)

    context.progress = hold_after_the_first_batch  # type: ignore[method-assign]
    running.perform(context)
    assert keys() == {"s5"}


class Killed(BaseException):
    """Stands for a kill at a batch boundary: nothing after it runs."""


@pytest.mark.parametrize("boundary", [0, 1, 2, 3])
def test_a_kill_between_batches_loses_and_doubles_no_count(
    policy: CleanupPolicy, sessions: Add, monkeypatch: pytest.MonkeyPatch, boundary: int
) -> None:
    sessions(10, 31)
    sessions(2, 30 + 0.5 / 24, "almost")  # old enough by the clock of the second attempt, not by the frozen cutoff
    change(policy, batch_size=3)
    context = begin(policy)
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() - timedelta(hours=1))
    seen = 0

    def killed_at(done: int, total: int | None = None, unit: str = "") -> None:
        nonlocal seen
        seen += 1
        if seen > boundary:
            raise Killed

    context.progress = killed_at  # type: ignore[method-assign]
    with pytest.raises(Killed):
        running.perform(context)
    counted = sum(run.total for run in CleanupRun.objects.all())
    assert counted + Session.objects.filter(session_key__startswith="s").count() == 10
    monkeypatch.setattr(clock, "now", real)
    run = Run.objects.get()
    Run.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    assert running.perform(begin(policy, run)) == "10 rows deleted: 10 expired sessions."
    assert keys() == {"almost0", "almost1"}


def test_a_worker_that_lost_its_lease_stops(policy: CleanupPolicy, sessions: Add) -> None:
    sessions(5, 31)
    zombie = begin(policy)
    Run.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    second = begin(policy, Run.objects.get())
    with pytest.raises(ledger.LeaseLost):
        running.perform(zombie)
    assert running.perform(second).startswith("5 rows deleted")


def test_a_clock_that_went_backwards_deletes_nothing(
    policy: CleanupPolicy, sessions: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions(5, 31)
    context = begin(policy)

    def killed(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as first:
        first.setattr(planner, "plan", killed)
        with pytest.raises(Killed):
            running.perform(context)
    Run.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    second = begin(policy, Run.objects.get())
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() - timedelta(hours=1))
    with pytest.raises(JobFailed, match="clock went backwards"):
        running.perform(second)
    refused = CleanupRun.objects.get()
    assert (refused.state, refused.cutoff, Session.objects.count()) == (CleanupRun.State.REFUSED, None, 5)
    assert AuditEntry.objects.get(action="refused to clean").after["seconds"] == 0


def test_a_policy_that_is_off_or_gone_or_unsafe_deletes_nothing(policy: CleanupPolicy, sessions: Add) -> None:
    sessions(5, 31)

    def reasons() -> Iterator[str]:
        CleanupPolicy.objects.update(is_enabled=False)
        yield "not enabled"
        change(policy, is_enabled=True, days=0)
        yield "0 days"
        change(policy, days=30, targets=["auth.User"])
        yield "cannot be cleaned"
        change(policy, targets=["sessions"])
        CleanupPolicy.objects.update(days=29)
        yield "not the one that was previewed"
        CleanupPolicy.objects.all().delete()
        yield "was deleted"

    for number, says in enumerate(reasons(), 1):
        with pytest.raises(JobFailed, match=says):
            running.perform(begin(policy))
        refused = CleanupRun.objects.latest("id")
        assert refused.state == CleanupRun.State.REFUSED and says in refused.reason
        entry = AuditEntry.objects.filter(action="refused to clean").latest("id")
        assert entry.was_refused and says in entry.reason and AuditEntry.objects.count() == number
    assert Session.objects.count() == 5


def test_a_cutoff_lies_in_the_past() -> None:
    with pytest.raises(ValueError, match="at least one day"):
        planner.cutoff_for(0, clock.now())
