"""The ledger against a model that keeps its own books: beats, workers and a broker do what they like, in any order.

``LEDGER_EXAMPLES=10000 pytest tests/runs/test_ledger_machine.py`` searches longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from runs import clock, ledger, occurrences, rescue
from runs.models import Run
from runs.states import FINAL, Reason, State
from schedules import messages, publisher

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(0)]  # making a counter-example small takes minutes

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "100"))
STEPS = 30
LEASE = timedelta(seconds=60)
BEGIN = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SCHEDULES = (1, 2, 3)
ALLOWS_OVERLAP = 3
"""This schedule's runs may run side by side; those of the others may not."""


class BrokerGone(Exception):
    """The broker's connection broke while messages were on their way."""


@dataclass
class Attempt:
    """One claim, as its worker knows it."""

    claim: ledger.Claim
    lease_until: datetime

    @property
    def run(self) -> int:
        return int(self.claim.run.pk)

    @property
    def number(self) -> int:
        return self.claim.attempt


class LedgerMachine(RuleBasedStateMachine):
    """Three schedules of every minute, any number of beats and workers, and a broker that loses and repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.messages: list[int] = []
        self.attempts: list[Attempt] = []
        self.current: dict[int, int] = {}
        """The attempt that owns each running run."""
        self.claims: dict[int, int] = {}
        """How often each run was claimed."""
        self.expected: set[tuple[int, datetime]] = set()
        self.ended: dict[int, tuple[str, str]] = {}
        self.cancel_asked: set[int] = set()
        self.breaks = False
        self.real_now, self.real_send = clock.now, messages.send
        clock.now = lambda: self.now
        messages.send = self._send  # type: ignore[assignment]
        self.transaction = transaction.atomic()
        self.transaction.__enter__()

    def _send(self, app: Any, producer: Any, batch: list[Run]) -> None:
        """The broker: takes the batch, or half of it and an error."""
        half = len(batch) // 2 if self.breaks else len(batch)
        # PostgreSQL gives runs of the same moment in any order; a search needs the same one each time.
        self.messages += sorted(run.pk for run in batch)[:half]
        if self.breaks:
            raise BrokerGone

    @initialize(schedules=st.sets(st.sampled_from(SCHEDULES)), taken=st.integers(0, 2))
    def some_work_is_under_way(self, schedules: set[int], taken: int) -> None:
        for schedule in sorted(schedules):
            self.a_beat_plans(schedule, 1, None)
        self.a_beat_publishes()
        for run in self.messages[:taken]:
            self.messages.remove(run)
            self._claim(run)

    # What beats do.

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(schedule=st.sampled_from(SCHEDULES), back=st.integers(0, 2), deadline=st.sampled_from([None, 60]))
    def a_beat_plans(self, schedule: int, back: int, deadline: int | None) -> None:
        """Up to three of the latest due times; a slower beat plans those again that another one planned."""
        latest = self.now.replace(second=0)
        due_times = [latest - MINUTE * n for n in range(back + 1)]
        occurrences.plan_many(
            [
                occurrences.Occurrence(
                    schedule, "S", "test", due, exclusive=schedule != ALLOWS_OVERLAP, next_publish_at=self.now,
                    max_attempts=2, retry_delay_seconds=30,
                    deadline_at=None if deadline is None else due + timedelta(seconds=deadline),
                )
                for due in due_times
            ],
            self.now,
        )  # fmt: skip
        self.expected |= {(schedule, due) for due in due_times}

    @rule()
    def a_beat_publishes(self) -> None:
        publisher.publish_due(Celery(), None)  # type: ignore[arg-type]

    @rule()
    def the_broker_breaks_in_the_middle(self) -> None:
        self.breaks = True
        try:
            publisher.publish_due(Celery(), None)  # type: ignore[arg-type]
        except BrokerGone:
            pass
        finally:
            self.breaks = False

    @rule()
    def a_beat_rescues(self) -> None:
        touched = rescue.rescue(self.now)
        for run in touched:
            for attempt in self.attempts:
                if attempt.run == run and attempt.number == self.current.get(run):
                    assert attempt.lease_until < self.now, "rescued under a lease that held"
            assert self.current.pop(run, None) is not None

    @rule()
    def deadlines_pass(self) -> None:
        occurrences.expire_unstarted(self.now)

    # What the broker does.

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def a_message_is_lost(self, data: st.DataObject) -> None:
        self.messages.pop(data.draw(st.integers(0, len(self.messages) - 1)))

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def a_message_is_repeated(self, data: st.DataObject) -> None:
        self.messages.append(data.draw(st.sampled_from(self.messages)))

    # What workers do; any attempt may go on at any time, also long after its lease.

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def a_worker_takes_a_message(self, data: st.DataObject) -> None:
        run = self.messages.pop(data.draw(st.integers(0, len(self.messages) - 1)))
        self._claim(run)

    def _claim(self, run: int) -> Attempt | None:
        claim = ledger.claim(run, "worker")
        if claim is None:
            return None
        for other in self.attempts:
            if other.run == run and self.current.get(run) == other.number:
                assert other.lease_until < self.now, "two attempts with a lease at the same time"
        assert run not in self.ended, "a run that had ended was claimed"
        assert claim.attempt == self.claims.get(run, 0) + 1
        self.claims[run] = self.current[run] = claim.attempt
        attempt = Attempt(claim, self.now + LEASE)
        self.attempts.append(attempt)
        return attempt

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), with_progress=st.booleans())
    def an_attempt_renews(self, data: st.DataObject, with_progress: bool) -> None:
        attempt = data.draw(st.sampled_from(self.attempts))
        is_asked = attempt.run in self.cancel_asked
        if is_asked and self._owns(attempt):
            with pytest.raises(ledger.RunCancelled):
                ledger.renew(attempt.claim)
            attempt.lease_until = self.now + LEASE
            return
        with self._fenced(attempt):
            ledger.progress(attempt.claim, 1, 2, "mails") if with_progress else ledger.renew(attempt.claim)
            attempt.lease_until = self.now + LEASE

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def an_attempt_succeeds(self, data: st.DataObject) -> None:
        self._write(data, lambda claim: ledger.finish(claim, "Done."))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), may_retry=st.booleans())
    def an_attempt_fails(self, data: st.DataObject, may_retry: bool) -> None:
        self._write(data, lambda claim: ledger.fail(claim, "No.", may_retry=may_retry))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def a_worker_stops_and_hands_back(self, data: st.DataObject) -> None:
        self._write(data, ledger.hand_back)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def an_attempt_stops_because_it_is_cancelled(self, data: st.DataObject) -> None:
        attempt = data.draw(st.sampled_from(self.attempts))
        if attempt.run in self.cancel_asked:
            with self._fenced(attempt):
                ledger.cancelled(attempt.claim, "cancelled by staff")
                self.current.pop(attempt.run)

    # What staff do.

    @rule(schedule=st.sampled_from(SCHEDULES))
    def staff_pause(self, schedule: int) -> None:
        occurrences.withdraw(schedule, Reason.PAUSED, "paused: a test")

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), is_running=st.booleans())
    def staff_cancel(self, data: st.DataObject, is_running: bool) -> None:
        if is_running and self.current:
            run = Run.objects.get(pk=data.draw(st.sampled_from(sorted(self.current))))
        else:
            schedule, due = data.draw(st.sampled_from(sorted(self.expected)))
            run = Run.objects.get(schedule_id=schedule, due_at=due)
        if ledger.request_cancel(run) == State.RUNNING:
            self.cancel_asked.add(run.pk)

    def _owns(self, attempt: Attempt) -> bool:
        return self.current.get(attempt.run) == attempt.number

    def _write(self, data: st.DataObject, write: Callable[[ledger.Claim], object]) -> None:
        attempt = data.draw(st.sampled_from(self.attempts))
        with self._fenced(attempt):
            write(attempt.claim)
            self.current.pop(attempt.run)

    @contextmanager
    def _fenced(self, attempt: Attempt) -> Iterator[None]:
        """The write inside is taken when the attempt still owns its run, and refused otherwise."""
        if self._owns(attempt):
            yield
            return
        with pytest.raises(ledger.LeaseLost):
            yield

    # What must hold after every step.

    @invariant()
    def the_books_agree(self) -> None:
        rows = list(Run.objects.order_by("pk"))
        assert sorted((row.schedule_id, row.due_at) for row in rows) == sorted(self.expected), "one row per due time"
        running: set[int] = set()
        for row in rows:
            if row.pk in self.ended:
                assert (row.state, row.reason) == self.ended[row.pk], "a run that had ended changed"
            if row.state in FINAL:
                assert row.finished_at is not None and row.next_publish_at is None and row.lease_until is None
                assert row.state == State.SUCCEEDED or row.reason, "an end without a reason"
                self.ended[row.pk] = (row.state, row.reason)
                assert row.pk not in self.current
            elif row.state == State.RUNNING:
                assert row.attempt == self.current[row.pk] and row.lease_until is not None
                assert row.schedule_id == ALLOWS_OVERLAP or row.schedule_id not in running, "two at a time"
                running.add(row.schedule_id or 0)
            else:
                assert row.pk not in self.current
                assert row.next_publish_at is not None, "a waiting run that nobody will ever send"

    def teardown(self) -> None:
        try:
            self._everything_ends_when_nothing_breaks_any_more()
        finally:
            self.transaction.__exit__(RuntimeError, RuntimeError(), None)  # rolled back
            clock.now, messages.send = self.real_now, self.real_send

    def _everything_ends_when_nothing_breaks_any_more(self) -> None:
        """0 lost: with one good worker every run ends within a few hours of the model's time."""
        for _ in range(120):
            self.now += timedelta(seconds=61)
            self.a_beat_rescues()
            self.a_beat_publishes()
            while self.messages:
                attempt = self._claim(self.messages.pop(0))
                if attempt is not None:
                    ledger.finish(attempt.claim, "Done.")
                    self.current.pop(attempt.run)
            if not Run.objects.exclude(state__in=FINAL).exists():
                break
        self.the_books_agree()
        waiting = list(Run.objects.exclude(state__in=FINAL).values("state", "attempt", "cancel_requested_at"))
        assert not waiting, f"never ended: {waiting}"


def test_no_order_of_events_loses_doubles_or_overlaps_a_run() -> None:
    chosen = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(LedgerMachine, settings=chosen)
