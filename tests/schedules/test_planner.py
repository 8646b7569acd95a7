"""From due schedules to ledger rows: every expected time ends in exactly one row with a reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import PeriodicTask

from runs.models import Run
from runs.states import Reason, State
from schedules import planner
from schedules.models import HolidayCalendar, Schedule

pytestmark = pytest.mark.django_db

MakeSchedule = Callable[..., Schedule]
SetClock = Callable[[str], Any]


def test_a_due_schedule_gets_one_row_and_moves_on(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:00")
    schedule = create(time_limit_seconds=120, retries=2, start_deadline_seconds=600)
    clock.value = datetime(2026, 11, 23, 9, 0, 1, tzinfo=UTC)
    assert planner.plan_due() == 1
    assert planner.plan_due() == 0
    run = Run.objects.get()
    assert (run.state, run.due_at, run.schedule_id) == (
        State.PLANNED,
        datetime(2026, 11, 23, 9, tzinfo=UTC),
        schedule.pk,
    )
    assert (run.schedule_name, run.target_label, run.time_limit_seconds, run.max_attempts) == (
        "Weekly",
        "Target",
        120,
        3,
    )
    assert run.deadline_at == clock.value + timedelta(seconds=600)
    schedule.refresh_from_db()
    assert schedule.next_due_at == datetime(2026, 11, 30, 9, tzinfo=UTC)
    task = PeriodicTask.objects.get()
    assert (task.total_run_count, task.last_run_at) == (1, clock.value)


def test_a_beat_that_lost_its_memory_plans_nothing_twice(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:00")
    schedule = create()
    before = (schedule.cursor_at, schedule.next_due_at)
    clock.value = datetime(2026, 11, 23, 9, 0, 1, tzinfo=UTC)
    planner.plan_due()
    Schedule.objects.update(cursor_at=before[0], next_due_at=before[1])  # as if the advance had been lost
    planner.plan_due()
    assert Run.objects.count() == 1


def test_an_outage_leaves_a_row_for_every_occurrence(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T00:30:00")
    create(expression="0 * * * *", missed="latest")
    clock.value = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
    planner.plan_due()
    rows = [(run.due_at.hour, run.state, run.reason) for run in Run.objects.order_by("due_at")]
    assert rows == [
        *[(hour, State.MISSED, Reason.SUPERSEDED) for hour in (1, 2, 3, 4)],
        (5, State.PLANNED, ""),
    ]


def test_a_long_outage_is_worked_off_in_pieces_without_a_hole(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T00:00:30")
    create(expression="* * * * *", missed="latest")
    clock.value += timedelta(minutes=2500)
    while planner.plan_due():
        pass
    rows = list(Run.objects.order_by("due_at"))
    assert [row.folded_count for row in rows[:2]] == [999, 999], "pieces that nobody runs again are summed up"
    assert sum(1 + row.folded_count for row in rows) == 2500
    assert "1,000 due times in a row" in rows[0].reason_text
    assert [row.state for row in rows][-2:] == [State.MISSED, State.PLANNED]
    assert all(later.due_at - row.due_at == timedelta(minutes=1 + row.folded_count) for row, later in pairwise(rows))
    assert Run.objects.get(state=State.PLANNED).due_at == datetime(2026, 11, 21, 17, 40, tzinfo=UTC)


def test_a_broken_schedule_is_shown_and_does_not_stop_the_others(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:00")
    broken, sound = create(name="Broken"), create(name="Sound")
    Schedule.objects.filter(pk=broken.pk).update(expression="0 99 * * *")
    clock.value = datetime(2026, 11, 23, 9, 0, 1, tzinfo=UTC)
    planner.plan_due()
    assert Run.objects.get(schedule_id=sound.pk).state == State.PLANNED
    run = Run.objects.get(schedule_id=broken.pk)
    assert (run.state, run.reason) == (State.MISSED, Reason.BROKEN)
    broken.refresh_from_db()
    assert broken.broken_reason.startswith("It cannot be read") and broken.next_due_at is None
    assert planner.plan_due() == 0


def test_a_deleted_target_is_a_reason_not_a_crash(create: MakeSchedule, target: Group, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:00")
    schedule = create()
    target.delete()
    clock.value = datetime(2026, 11, 23, 9, 0, 1, tzinfo=UTC)
    planner.plan_due()
    run = Run.objects.get()
    assert (run.state, run.reason, run.reason_text) == (
        State.MISSED,
        Reason.BROKEN,
        "What it should run no longer exists.",
    )
    schedule.refresh_from_db()
    assert schedule.broken_reason and schedule.next_due_at is not None and schedule.planned_count == 0


def test_a_schedule_ends_after_its_number_of_runs(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    schedule = create(expression="* * * * *", max_runs=2, overlap="allow")
    for _ in range(4):
        clock.value += timedelta(minutes=1)
        planner.plan_due()
    schedule.refresh_from_db()
    assert Run.objects.count() == 2 and schedule.next_due_at is None


def test_a_one_off_runs_once(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    schedule = create(mode="once", expression="", once_at=datetime(2026, 11, 23, 9, tzinfo=UTC))
    for _ in range(3):
        clock.value += timedelta(minutes=1)
        planner.plan_due()
    schedule.refresh_from_db()
    assert Run.objects.get().due_at == datetime(2026, 11, 23, 9, tzinfo=UTC) and schedule.next_due_at is None


def test_an_end_date_is_the_last_occurrence(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    schedule = create(expression="0 * * * *", ends_at=datetime(2026, 11, 23, 10, tzinfo=UTC), overlap="allow")
    for _ in range(4):
        clock.value += timedelta(minutes=60)
        planner.plan_due()
    schedule.refresh_from_db()
    assert [run.due_at.hour for run in Run.objects.order_by("due_at")] == [9, 10]
    assert schedule.next_due_at is None


def test_the_cost_of_a_tick_does_not_grow_with_the_schedules(
    create: MakeSchedule, fake_clock: SetClock, django_assert_max_num_queries: Any
) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    for number in range(30):
        create(name=f"S{number}", expression="0 9 * * *" if number < 20 else "0 12 * * *")
    with django_assert_max_num_queries(2):
        planner.plan_due()  # nothing is due: an index probe
    clock.value += timedelta(minutes=1)
    with django_assert_max_num_queries(60):
        assert planner.plan_due() == 20


def test_a_clock_that_jumped_back_runs_nothing_again(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    create(expression="* * * * *", overlap="allow")
    for minutes in (1, 1, -10, 1, 1, 9, 1):
        clock.value += timedelta(minutes=minutes)
        planner.plan_due()
    due = list(Run.objects.order_by("due_at").values_list("due_at", flat=True))
    assert due == sorted(set(due)) and len(due) == 4


def test_schedules_with_different_targets_are_planned_in_as_many_selects_as_one(
    create: MakeSchedule, fake_clock: SetClock
) -> None:
    def plan_next_week(number: int) -> int:
        for n in range(number):
            create(name=f"{number}-{n}", target_id=Group.objects.create(name=f"Target {number}-{n}").pk)
        clock.value += timedelta(days=7)
        with CaptureQueriesContext(connection) as queries:
            planner.plan_due()
        return sum(query["sql"].startswith("SELECT") for query in queries)

    clock = fake_clock("2026-11-23T09:00:01")
    assert plan_next_week(1) == plan_next_week(8)
    assert Run.objects.filter(state=State.PLANNED).count() >= 8


def test_a_long_outage_runs_only_the_cap_of_all(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T00:00:30")
    create(expression="* * * * *", missed="all", missed_cap=3)
    clock.value += timedelta(minutes=2001)  # the last piece alone is shorter than the cap
    while planner.plan_due():
        pass
    rows = list(Run.objects.order_by("due_at"))
    assert sum(1 + row.folded_count for row in rows) == 2001
    planned = [row.due_at for row in rows if row.state == State.PLANNED]
    assert planned == [clock.value.replace(second=0) - timedelta(minutes=n) for n in (3, 2, 1)], (
        "the punctual one waits for none: overlap"
    )


def test_spread_is_stored_per_occurrence_and_ends_before_the_next(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:58:30")
    create(expression="* * * * *", jitter_seconds=3600, overlap="allow", start_deadline_seconds=60)
    spreads = set()
    for _ in range(20):
        clock.value += timedelta(minutes=1)
        planner.plan_due()
        run = Run.objects.latest("due_at")
        assert run.not_before_at is not None and run.next_publish_at is not None and run.deadline_at is not None
        assert run.due_at <= run.not_before_at < run.due_at + timedelta(seconds=59)
        assert run.next_publish_at == max(clock.value, run.not_before_at)
        assert run.deadline_at == run.next_publish_at + timedelta(seconds=60)
        spreads.add(run.not_before_at - run.due_at)
    assert len(spreads) > 10


def test_a_holiday_is_left_out_with_its_name(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-12-24T12:00:00")
    calendar = HolidayCalendar.objects.create(name="Bavaria", country="DE", subdivision="BY", own_days="12-31 Closed")
    create(expression="0 9 * * *", calendar_id=calendar.pk)
    for _ in range(10):
        clock.value += timedelta(days=1)
        planner.plan_due()
    off = Run.objects.filter(state=State.SKIPPED, reason=Reason.CALENDAR).order_by("due_at")
    assert [(f"{run.due_at:%m-%d}", run.reason_text) for run in off] == [
        ("12-25", "Christmas Day"),
        ("12-26", "Second Day of Christmas"),
        ("12-31", "Closed"),
        ("01-01", "New Year's Day"),
    ]
    assert Run.objects.count() == 10


def test_a_holiday_moves_the_run_to_the_next_working_day(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-12-24T12:00:00")
    calendar = HolidayCalendar.objects.create(name="Germany", country="DE")
    schedule = create(expression="0 9 * * fri", calendar_id=calendar.pk, calendar_rule="move")
    assert schedule.next_due_at == datetime(2026, 12, 25, 9, tzinfo=UTC)
    for _ in range(12):
        clock.value += timedelta(days=1)
        planner.plan_due()
        Run.objects.filter(state=State.PLANNED).update(state=State.SUCCEEDED)
    rows = [(f"{run.due_at:%a %m-%d %H:%M}", run.state, run.reason_text) for run in Run.objects.order_by("due_at")]
    assert rows == [
        ("Fri 12-25 09:00", State.SKIPPED, "Christmas Day; moved to Monday 28 December, 09:00"),
        ("Mon 12-28 09:00", State.SUCCEEDED, ""),
        ("Fri 01-01 09:00", State.SKIPPED, "New Year's Day; moved to Monday 4 January, 09:00"),
        ("Mon 01-04 09:00", State.SUCCEEDED, ""),
    ]


def test_a_one_off_on_a_holiday_moves_too(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-12-24T12:00:00")
    calendar = HolidayCalendar.objects.create(name="Germany", country="DE")
    once = datetime(2026, 12, 25, 18, tzinfo=UTC)
    create(expression="", mode="once", once_at=once, calendar_id=calendar.pk, calendar_rule="move")
    for _ in range(6):
        clock.value += timedelta(days=1)
        planner.plan_due()
    assert [(run.due_at.day, run.state) for run in Run.objects.order_by("due_at")] == [
        (25, State.SKIPPED),
        (28, State.PLANNED),
    ]
    assert Schedule.objects.get().next_due_at is None


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(days=366)])
def test_a_clock_that_jumps_ahead_is_decided_by_policy(
    create: MakeSchedule, fake_clock: SetClock, jump: timedelta
) -> None:
    clock = fake_clock("2026-11-23T08:30:00")
    create(name="Hourly", expression="0 * * * *", missed="skip")
    create(name="Daily", expression="0 9 * * *", missed="latest")
    clock.value += jump
    while planner.plan_due():
        pass
    hourly = Run.objects.filter(schedule_name="Hourly")
    assert sum(1 + run.folded_count for run in hourly) == jump // timedelta(hours=1)
    assert not hourly.exclude(state=State.MISSED).exists()
    daily = Run.objects.filter(schedule_name="Daily").order_by("due_at")
    assert [run.state for run in daily][-1] == State.PLANNED
    assert set(daily.values_list("state", flat=True)[: len(daily) - 1]) <= {State.MISSED}


def test_a_clock_that_jumps_back_runs_nothing_twice(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    create(expression="0 * * * *")
    clock.value += timedelta(minutes=1)
    planner.plan_due()
    clock.value -= timedelta(hours=1)
    for _ in range(130):
        clock.value += timedelta(minutes=1)
        planner.plan_due()
        Run.objects.filter(state=State.PLANNED).update(state=State.SUCCEEDED)
    assert [run.due_at.hour for run in Run.objects.order_by("due_at")] == [9, 10]
