"""Failures in a row: who is told, when it pauses itself, and that people hear when it works again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from runs import alerts, ledger, occurrences, rescue
from runs.models import Alert, AuditEntry, Run
from runs.states import Reason, State, Trigger
from schedules import events, planner, services
from schedules.models import Schedule

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]
SetClock = Callable[[str], Any]


def fail(schedule: Schedule, error: str = "The mail server refused.") -> None:
    run = services.run_now(None, schedule.pk)
    claimed = ledger.claim(run.pk, "w")
    assert claimed is not None
    ledger.fail(claimed, error)


def succeed(schedule: Schedule) -> None:
    run = services.run_now(None, schedule.pk)
    claimed = ledger.claim(run.pk, "w")
    assert claimed is not None
    ledger.finish(claimed, "Done.")


def titles() -> list[str]:
    return [alert.title for alert in Alert.objects.filter(resolved_at=None)]


def test_the_first_failure_is_told_and_success_ends_it(create: MakeSchedule) -> None:
    schedule = create()
    fail(schedule)
    assert titles() == ["“Weekly” failed"]
    alert = Alert.objects.get()
    assert (alert.detail, alert.schedule_id) == ("The mail server refused.", schedule.pk)
    assert alert.url == f"/admin/schedules/schedule/{schedule.pk}/"
    fail(schedule, "It refused again.")
    assert titles() == ["“Weekly” failed 2 times in a row"], "one alert, not one per occurrence"
    succeed(schedule)
    assert titles() == []
    schedule.refresh_from_db()
    assert schedule.consecutive_failures == 0


def test_people_are_told_only_after_as_many_as_they_chose(create: MakeSchedule) -> None:
    schedule = create(notify_after=3)
    fail(schedule)
    fail(schedule)
    succeed(schedule)
    fail(schedule)
    fail(schedule)
    assert titles() == []
    fail(schedule)
    assert titles() == ["“Weekly” failed 3 times in a row"]


def test_nobody_is_told_when_nobody_wants_to_know(create: MakeSchedule) -> None:
    schedule = create(notify_after=0)
    fail(schedule)
    assert titles() == []


def test_it_pauses_itself_after_m_failures_and_says_why(create: MakeSchedule) -> None:
    schedule = create(notify_after=0, pause_after=2)
    fail(schedule)
    assert Schedule.objects.get().paused_at is None
    fail(schedule)
    schedule.refresh_from_db()
    assert schedule.is_paused
    assert schedule.pause_reason == "it failed 2 times in a row: The mail server refused."
    assert titles() == ["“Weekly” failed 2 times in a row and was paused"]
    entry = AuditEntry.objects.first()
    assert entry is not None and (entry.action, entry.actor_name) == ("paused the schedule", "")
    services.resume_schedule(None, schedule.pk)
    fail(schedule)
    schedule.refresh_from_db()
    assert not schedule.is_paused, "a resume starts the count anew"


def test_another_attempt_is_no_failure_yet(create: MakeSchedule) -> None:
    schedule = create(retries=1)
    fail(schedule)
    assert titles() == [] and Run.objects.get().state == State.PLANNED


def test_a_lost_worker_counts(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T17:55:00")
    schedule = create()
    run = services.run_now(None, schedule.pk)
    for _ in range(3):
        assert ledger.claim(run.pk, "w") is not None
        clock.value += timedelta(hours=1)
        rescue.rescue(clock.value)
    schedule.refresh_from_db()
    assert (schedule.consecutive_failures, titles()) == (1, ["“Weekly” failed"])


def test_a_missed_deadline_is_told(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    create(start_deadline_seconds=60)
    clock.value += timedelta(minutes=1)
    planner.plan_due()
    clock.value += timedelta(minutes=3)
    assert occurrences.expire_unstarted(clock.value) == 1
    assert (titles(), Alert.objects.get().detail) == (["“Weekly” missed a run"], Reason.DEADLINE.label)


def test_occurrences_missed_in_an_outage_are_one_alert(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T17:55:00")
    create(expression="0 * * * *", missed="skip")
    clock.value += timedelta(days=2)
    planner.plan_due()
    assert Run.objects.filter(state=State.MISSED).count() == 48
    assert titles() == ["“Weekly” missed a run"]


def test_a_failed_event_is_told_per_kind(target: Group) -> None:
    for _ in range(2):
        run = events.start("test", target, max_attempts=1)
        claimed = ledger.claim(run.pk, "w")
        assert claimed is not None and run.trigger == Trigger.EVENT
        ledger.fail(claimed, "No disk.", may_retry=False)
    assert titles() == ["Target failed"]


def test_a_counter_that_cannot_be_kept_never_harms_the_run(
    create: MakeSchedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(alerts, "raise_alert", broken)
    schedule = create()
    fail(schedule)
    assert Run.objects.get().state == State.FAILED
