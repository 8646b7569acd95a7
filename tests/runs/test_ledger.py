"""The ledger's promises: one claim at a time, fenced writes, and an end for every run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from runs import clock, ledger, occurrences, rescue
from runs.models import Run
from runs.states import Reason, State, Trigger

pytestmark = pytest.mark.django_db


def plan(**changes: object) -> Run:
    values: dict[str, object] = {"kind": "test", "target_id": None, "target_label": "Test", "trigger": Trigger.MANUAL}
    return ledger.plan(ledger.NewRun(**{**values, **changes}))  # type: ignore[arg-type]


def occurrence(due_at: datetime, schedule_id: int = 7) -> occurrences.Occurrence:
    return occurrences.Occurrence(schedule_id, "S", "test", due_at, next_publish_at=due_at)


def let_lease_end(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(lease_until=clock.now() - timedelta(seconds=1))


def test_a_due_time_has_one_row_however_often_it_is_planned() -> None:
    due = clock.now()
    occurrences.plan_many([occurrence(due), occurrence(due + timedelta(minutes=1))], clock.now())
    occurrences.plan_many([occurrence(due), occurrence(due, schedule_id=8)], clock.now())
    assert Run.objects.filter(schedule_id=7, due_at=due).count() == 1
    assert Run.objects.count() == 3


def test_the_same_key_plans_one_run() -> None:
    assert plan(idempotency_key="form-1").pk == plan(idempotency_key="form-1").pk
    assert plan(idempotency_key="form-2").pk != plan(idempotency_key="form-1").pk


def test_only_the_first_claim_wins_and_the_second_is_counted() -> None:
    run = plan()
    first = ledger.claim(run.pk, "a")
    assert first is not None and first.attempt == 1
    assert ledger.claim(run.pk, "b") is None
    run.refresh_from_db()
    assert (run.state, run.worker, run.duplicates_dropped) == (State.RUNNING, "a", 1)


def test_a_finished_run_cannot_be_claimed_again() -> None:
    run = plan()
    claimed = ledger.claim(run.pk, "a")
    assert claimed is not None
    ledger.finish(claimed, "Done.")
    assert ledger.claim(run.pk, "b") is None
    run.refresh_from_db()
    assert (run.state, run.result) == (State.SUCCEEDED, "Done.")


def test_a_worker_whose_lease_ended_writes_nothing_more() -> None:
    run = plan()
    zombie = ledger.claim(run.pk, "zombie")
    assert zombie is not None
    let_lease_end(run)
    second = ledger.claim(run.pk, "b")
    assert second is not None and second.attempt == 2
    writes: list[Callable[[], object]] = [
        lambda: ledger.finish(zombie, "from the dead"),
        lambda: ledger.progress(zombie, 1, 2, "mails"),
        lambda: ledger.renew(zombie),
        lambda: ledger.cancelled(zombie, "no"),
    ]
    for write in writes:
        with pytest.raises(ledger.LeaseLost):
            write()
    with pytest.raises(ledger.LeaseLost):
        ledger.fail(zombie, "from the dead")
    ledger.finish(second, "Done.")
    run.refresh_from_db()
    assert (run.state, run.result, run.progress_done) == (State.SUCCEEDED, "Done.", 0)


def test_one_run_of_a_schedule_at_a_time_unless_both_are_allowed() -> None:
    first, second = plan(schedule_id=5), plan(schedule_id=5)
    both = plan(schedule_id=5, exclusive=False)
    assert ledger.claim(first.pk, "a") is not None
    assert ledger.claim(second.pk, "b") is None
    second.refresh_from_db()
    assert second.state == State.PLANNED and second.next_publish_at is not None and second.duplicates_dropped == 0
    assert ledger.claim(both.pk, "c") is not None


def test_the_database_itself_refuses_a_second_exclusive_run() -> None:
    first, second = plan(schedule_id=5), plan(schedule_id=5)
    Run.objects.filter(pk=first.pk).update(state=State.RUNNING)
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.filter(pk=second.pk).update(state=State.RUNNING)


def test_an_error_is_tried_again_with_growing_waits_and_then_fails() -> None:
    run = plan(max_attempts=2, retry_delay_seconds=30)
    first = ledger.claim(run.pk, "a")
    assert first is not None
    assert ledger.fail(first, "The mail server refused.") == State.PLANNED
    run.refresh_from_db()
    assert run.next_publish_at is not None and run.error == "The mail server refused."
    assert timedelta(seconds=25) < run.next_publish_at - clock.now() <= timedelta(seconds=30)
    assert ledger.claim(run.pk, "a") is None, "an old message must not start it before its wait is over"
    Run.objects.filter(pk=run.pk).update(not_before_at=clock.now())
    second = ledger.claim(run.pk, "a")
    assert second is not None
    assert ledger.fail(second, "Again.", traceback="Traceback …") == State.FAILED
    run.refresh_from_db()
    assert (run.state, run.reason, run.error, run.attempt) == (State.FAILED, Reason.ERROR, "Again.", 2)
    assert run.finished_at is not None and [event.message for event in run.events.all()] == [
        "The mail server refused.",
        "Again.",
    ]


def test_a_lost_worker_means_another_attempt_and_after_three_a_failure() -> None:
    run = plan()
    for attempt in (1, 2):
        claimed = ledger.claim(run.pk, "w")
        assert claimed is not None and claimed.attempt == attempt
        let_lease_end(run)
        assert rescue.rescue(clock.now()) == [run.pk]
        run.refresh_from_db()
        assert (run.state, run.reason) == (State.PLANNED, Reason.WORKER_LOST)
    assert ledger.claim(run.pk, "w") is not None
    let_lease_end(run)
    rescue.rescue(clock.now())
    run.refresh_from_db()
    assert (run.state, run.reason) == (State.FAILED, Reason.WORKER_LOST)
    assert "3 times" in run.error


def test_a_living_worker_is_left_alone() -> None:
    run = plan()
    assert ledger.claim(run.pk, "w") is not None
    assert rescue.rescue(clock.now()) == []


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_when_it_asks() -> None:
    waiting, running = plan(), plan()
    assert ledger.request_cancel(waiting) == State.CANCELLED
    assert ledger.claim(waiting.pk, "w") is None
    claimed = ledger.claim(running.pk, "w")
    assert claimed is not None
    assert ledger.request_cancel(running) == State.RUNNING
    with pytest.raises(ledger.RunCancelled):
        ledger.renew(claimed)
    ledger.cancelled(claimed, "stopped")
    running.refresh_from_db()
    assert (running.state, running.reason) == (State.CANCELLED, Reason.CANCELLED_BY_STAFF)


def test_a_run_that_cannot_start_in_time_is_missed_with_its_reason() -> None:
    run = plan()
    Run.objects.filter(pk=run.pk).update(deadline_at=clock.now() - timedelta(seconds=1))
    assert ledger.claim(run.pk, "w") is None
    run.refresh_from_db()
    assert (run.state, run.reason) == (State.MISSED, Reason.DEADLINE)


def test_publishing_leaves_the_run_in_the_outbox_with_growing_waits() -> None:
    run = plan()
    waits = []
    for _ in range(3):
        now = clock.now()
        ledger.mark_published([run.pk], now)
        run.refresh_from_db()
        assert run.state == State.PUBLISHED and run.next_publish_at is not None
        waits.append(round((run.next_publish_at - now).total_seconds()))
    assert waits == [30, 60, 120]
    assert run.publish_count == 3


def test_publishing_marks_do_not_touch_a_run_that_was_claimed_meanwhile() -> None:
    run = plan()
    assert ledger.claim(run.pk, "w") is not None
    ledger.mark_published([run.pk], clock.now())
    run.refresh_from_db()
    assert run.state == State.RUNNING and run.next_publish_at is None


def test_withdrawing_skips_what_waits_and_leaves_what_runs() -> None:
    due = clock.now()
    occurrences.plan_many([occurrence(due), occurrence(due + timedelta(seconds=1))], clock.now())
    first, second = Run.objects.order_by("due_at")
    assert ledger.claim(first.pk, "w") is not None
    assert occurrences.withdraw(7, Reason.PAUSED, "paused: new logo") == 1
    second.refresh_from_db()
    first.refresh_from_db()
    assert (second.state, second.reason, second.reason_text) == (State.SKIPPED, Reason.PAUSED, "paused: new logo")
    assert first.state == State.RUNNING


def test_a_cancelled_run_never_goes_back_to_waiting() -> None:
    """Its attempt fails, or its worker is asked to stop, before it saw that somebody cancelled it."""
    for leave in (lambda claimed: ledger.fail(claimed, "Error."), ledger.hand_back):
        run = plan(max_attempts=3)
        claimed = ledger.claim(run.pk, "w")
        assert claimed is not None
        assert ledger.request_cancel(run) == State.RUNNING
        leave(claimed)
        run.refresh_from_db()
        assert (run.state, run.reason, run.next_publish_at) == (State.CANCELLED, Reason.CANCELLED_BY_STAFF, None)
        assert run.finished_at is not None


def test_a_zombie_leaves_no_line_in_the_log() -> None:
    run = plan()
    first = ledger.claim(run.pk, "a")
    assert first is not None
    let_lease_end(run)
    rescue.rescue(clock.now())
    assert ledger.claim(run.pk, "b") is not None
    before = run.events.count()
    with pytest.raises(ledger.LeaseLost):
        ledger.fail(first, "Late.")
    assert run.events.count() == before


def test_a_run_that_waits_for_its_next_attempt_keeps_that_time_when_its_message_is_marked_late() -> None:
    run = plan(max_attempts=2, retry_delay_seconds=600)
    claimed = ledger.claim(run.pk, "a")
    assert claimed is not None
    ledger.fail(claimed, "No.")
    run.refresh_from_db()
    ledger.mark_published([run.pk], clock.now())
    assert Run.objects.get().next_publish_at == run.next_publish_at


@pytest.mark.parametrize("values", [{"cancel_requested_at": datetime(2026, 1, 1, tzinfo=UTC)}, {"attempt": 3}])
def test_a_lease_that_is_over_is_not_taken_over_by_a_message_when_the_run_has_no_further_attempt(
    values: dict[str, object],
) -> None:
    run = plan()
    assert ledger.claim(run.pk, "a") is not None
    let_lease_end(run)
    Run.objects.update(**values)
    assert ledger.claim(run.pk, "b") is None
    rescue.rescue(clock.now())
    run.refresh_from_db()
    assert run.state in (State.CANCELLED, State.FAILED)
