"""What is made up for: after a pause, and for a stretch of the past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied, ValidationError

from runs import ledger
from runs.models import AuditEntry, Run
from runs.states import State, Trigger
from schedules import backfill, planner, services
from schedules.models import HolidayCalendar, Schedule

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]
SetClock = Callable[[str], Any]


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


@pytest.fixture
def paused(create: MakeSchedule, fake_clock: SetClock) -> Schedule:
    """Daily at nine, paused from Friday evening to Monday noon: three left out."""
    clock = fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="0 9 * * *")
    services.pause_schedule(None, schedule.pk, reason="Waiting for the new logo")
    clock.value = at(23, 12)
    planner.plan_due()
    return schedule


@pytest.mark.parametrize(("run", "days"), [("none", []), ("latest", [23]), ("all", [21, 22, 23])])
def test_resume_runs_what_was_chosen(paused: Schedule, run: str, days: list[int]) -> None:
    assert backfill.left_out_by_pause(Schedule.objects.get()) == [at(21), at(22), at(23)]
    services.resume_schedule(None, paused.pk, run=run)
    made_up = Run.objects.filter(trigger=Trigger.BACKFILL).order_by("due_at")
    assert [row.due_at for row in made_up] == [at(day) for day in days]
    assert all(row.state == State.PLANNED and row.exclusive for row in made_up)
    skipped = Run.objects.filter(trigger=Trigger.SCHEDULE)
    assert [row.state for row in skipped] == [State.SKIPPED] * 3, "what was decided then stays as it was"
    entry = AuditEntry.objects.first()
    assert entry is not None and len(entry.after.get("runs", [])) == len(days)


def test_made_up_runs_go_one_after_another(paused: Schedule) -> None:
    services.resume_schedule(None, paused.pk, run="all")
    first, second, _ = Run.objects.filter(trigger=Trigger.BACKFILL).order_by("due_at")
    claimed = ledger.claim(first.pk, "a")
    assert claimed is not None and ledger.claim(second.pk, "b") is None
    ledger.finish(claimed, "Done.")
    assert ledger.claim(second.pk, "b") is not None


def test_resume_refuses_a_choice_that_does_not_exist(paused: Schedule) -> None:
    with pytest.raises(ValidationError):
        services.resume_schedule(None, paused.pk, run="some")
    assert Schedule.objects.get().is_paused


def test_making_up_needs_the_permission_to_run(paused: Schedule) -> None:
    anna = User.objects.create_user("anna")
    anna.user_permissions.add(Permission.objects.get(codename="pause_schedule"))
    with pytest.raises(PermissionDenied):
        services.resume_schedule(anna, paused.pk, run="latest")
    with pytest.raises(PermissionDenied):
        services.backfill_schedule(anna, paused.pk, at(21), at(22))
    services.resume_schedule(anna, paused.pk)
    assert not Run.objects.filter(trigger=Trigger.BACKFILL).exists()


def test_backfill_runs_what_its_list_says_and_once(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="0 9 * * *")
    clock.value = at(25, 12)
    planner.plan_due()
    Run.objects.filter(due_at=at(25)).update(state=State.SUCCEEDED)
    listed = backfill.due_times(schedule, at(19), at(25), clock.value)
    assert listed == [at(day) for day in range(19, 25)], "both ends count; what has succeeded is left out"
    runs = services.backfill_schedule(None, schedule.pk, at(19), at(25), key="k")
    assert [run.due_at for run in runs] == listed
    with pytest.raises(ValidationError, match="Nothing"):
        services.backfill_schedule(None, schedule.pk, at(19), at(25), key="k")
    schedule.refresh_from_db()
    assert schedule.next_due_at == at(26), "its clock is not touched"


def test_backfill_leaves_holidays_out(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T17:55:00")
    calendar = HolidayCalendar.objects.create(name="Own", own_days="11-22 Closed")
    schedule = create(expression="0 9 * * *", calendar_id=calendar.pk)
    clock.value = at(24, 12)
    assert backfill.due_times(schedule, at(21), at(23), clock.value) == [at(21), at(23)]


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (at(22), at(21), "end lies before"),
        (at(19), at(28), "Only the past"),
        (at(1), at(20, 17), "more than 1,000"),
        (at(20, 8), at(20, 10), "at most 100"),
    ],
)
def test_a_stretch_that_cannot_be_is_refused_in_words(
    create: MakeSchedule, fake_clock: SetClock, start: datetime, end: datetime, says: str
) -> None:
    clock = fake_clock("2026-11-23T17:55:00")
    schedule = create(expression="* * * * *")
    with pytest.raises(ValidationError, match=says):
        backfill.due_times(schedule, start, end, clock.value)


def test_backfill_of_a_deleted_target_is_refused(create: MakeSchedule, target: Group, fake_clock: SetClock) -> None:
    fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="0 9 * * *")
    target.delete()
    with pytest.raises(ValidationError, match="no longer exists"):
        services.backfill_schedule(None, schedule.pk, at(19), at(20))
    assert not Run.objects.exists()


def test_left_out_are_the_latest_when_there_are_very_many(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T17:55:30")
    schedule = create(expression="* * * * *")
    services.pause_schedule(None, schedule.pk, reason="long")
    clock.value += timedelta(minutes=150)
    planner.plan_due()
    left_out = backfill.left_out_by_pause(Schedule.objects.get())
    assert len(left_out) == backfill.MOST and left_out[-1] == clock.value.replace(second=0)
