"""Rows changed outside the services: noticed by triggers, reconciled by the next tick, the same result by every door."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from runs import audit
from runs.models import AuditEntry, Run
from runs.states import Reason, State
from schedules import outside, planner, services
from schedules.drafts import ScheduleDraft
from schedules.models import OutsideEdit, Schedule

pytestmark = pytest.mark.django_db

MakeSchedule = Callable[..., Schedule]
MakeDraft = Callable[..., ScheduleDraft]
SetClock = Callable[[str], Any]

FRIDAY = "2026-11-20T17:55:00"
MONDAY_NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)


def tick() -> None:
    while outside.reconcile():
        pass
    planner.plan_due()


def facts(schedule: Schedule) -> tuple[Any, ...]:
    """What must be the same whichever door was used."""
    schedule = Schedule.objects.select_related("periodic_task__crontab").get(pk=schedule.pk)
    task = schedule.periodic_task
    crontab = task.crontab
    row = crontab and (crontab.minute, crontab.hour, crontab.day_of_week, str(crontab.timezone))
    return (schedule.expression, schedule.next_due_at, schedule.is_paused, task.enabled, row, schedule.broken_reason)


def by_service(schedule: Schedule, draft: MakeDraft) -> None:
    services.edit_schedule(None, schedule.pk, draft(expression="30 17 * * *"))


def by_our_row(schedule: Schedule, draft: MakeDraft) -> None:
    row = Schedule.objects.get(pk=schedule.pk)
    row.expression = "30 17 * * *"
    row.save()


def by_bulk_update(schedule: Schedule, draft: MakeDraft) -> None:
    Schedule.objects.filter(pk=schedule.pk).update(expression="30 17 * * *")


def by_crontab_save(schedule: Schedule, draft: MakeDraft) -> None:
    row = schedule.periodic_task.crontab
    row.minute, row.hour, row.day_of_week = "30", "17", "*"
    row.save()


def by_crontab_update(schedule: Schedule, draft: MakeDraft) -> None:
    CrontabSchedule.objects.filter(pk=schedule.periodic_task.crontab_id).update(minute="30", hour="17", day_of_week="*")


def by_another_crontab(schedule: Schedule, draft: MakeDraft) -> None:
    other = CrontabSchedule.objects.create(minute="30", hour="17")
    PeriodicTask.objects.filter(pk=schedule.periodic_task_id).update(crontab=other)


def by_sql(schedule: Schedule, draft: MakeDraft) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE schedules_schedule SET expression = '30 17 * * *' WHERE id = %s", [schedule.pk])


EDITS = [by_service, by_our_row, by_bulk_update, by_crontab_save, by_crontab_update, by_another_crontab, by_sql]


@pytest.mark.parametrize("edit", EDITS)
def test_a_new_time_has_the_same_result_by_every_door(
    create: MakeSchedule, draft: MakeDraft, fake_clock: SetClock, edit: Callable[[Schedule, MakeDraft], None]
) -> None:
    """Daily 17:30 instead of Monday 09:00, typed at 17:55: it has an occurrence today that must not fire."""
    fake_clock(FRIDAY)
    schedule = create()
    tick()
    edit(schedule, draft)
    tick()
    assert facts(schedule) == (
        "30 17 * * *",
        datetime(2026, 11, 21, 17, 30, tzinfo=UTC),
        False,
        True,
        ("30", "17", "*", "UTC"),
        "",
    )
    assert not Run.objects.exists(), "nothing fires retroactively"
    assert Schedule.objects.get().spec_version == 2
    assert AuditEntry.objects.filter(object_id=str(schedule.pk)).count() == 2
    tick()
    assert Schedule.objects.get().spec_version == 2, "reconciled once"


def test_an_edit_outside_just_before_the_tick_never_fires_the_past(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock(FRIDAY)
    create()
    clock.value = MONDAY_NINE + timedelta(seconds=1)
    Schedule.objects.update(expression="* * * * *")
    planner.plan_due()  # the tick of a beat that has not read the note yet
    assert not Run.objects.exists()
    assert Schedule.objects.get().next_due_at == MONDAY_NINE + timedelta(minutes=1)


def pause_by_service(schedule: Schedule) -> None:
    services.pause_schedule(None, schedule.pk, reason="switched off")


def pause_by_task_save(schedule: Schedule) -> None:
    task = PeriodicTask.objects.get(pk=schedule.periodic_task_id)
    task.enabled = False
    task.save()


def pause_by_task_update(schedule: Schedule) -> None:
    PeriodicTask.objects.update(enabled=False)


def pause_by_our_update(schedule: Schedule) -> None:
    Schedule.objects.update(paused_at=schedule.cursor_at, pause_reason="switched off")


def resume_by_service(schedule: Schedule) -> None:
    services.resume_schedule(None, schedule.pk)


def resume_by_task_update(schedule: Schedule) -> None:
    PeriodicTask.objects.update(enabled=True)


def resume_by_our_update(schedule: Schedule) -> None:
    Schedule.objects.update(paused_at=None)


PAUSES = [pause_by_service, pause_by_task_save, pause_by_task_update, pause_by_our_update]
RESUMES = [resume_by_service, resume_by_task_update, resume_by_our_update]


@pytest.mark.parametrize("pause", PAUSES)
@pytest.mark.parametrize("resume", RESUMES)
@pytest.mark.parametrize("more", [{}, {"ends_at": datetime(2027, 1, 1, tzinfo=UTC)}, {"max_runs": 5}])
def test_pause_and_resume_by_every_door(
    create: MakeSchedule,
    fake_clock: SetClock,
    pause: Callable[[Schedule], None],
    resume: Callable[[Schedule], None],
    more: dict[str, Any],
) -> None:
    clock = fake_clock(FRIDAY)
    schedule = create(**more)
    tick()
    clock.value += timedelta(minutes=1)
    pause(schedule)
    tick()
    assert facts(schedule)[2:4] == (True, False)
    clock.value = MONDAY_NINE + timedelta(hours=2)
    tick()
    clock.value += timedelta(hours=2)
    resume(schedule)
    tick()
    assert facts(schedule)[2:4] == (False, True)
    assert [(run.due_at, run.state, run.reason) for run in Run.objects.all()] == [
        (MONDAY_NINE, State.SKIPPED, Reason.PAUSED)
    ]
    clock.value = MONDAY_NINE + timedelta(days=7, seconds=1)
    tick()
    assert [run.state for run in Run.objects.order_by("due_at")] == [State.SKIPPED, State.PLANNED]


@pytest.mark.parametrize("pause", PAUSES)
def test_a_pause_by_any_door_withdraws_what_waits(
    create: MakeSchedule, fake_clock: SetClock, pause: Callable[[Schedule], None]
) -> None:
    clock = fake_clock(FRIDAY)
    create()
    clock.value = MONDAY_NINE + timedelta(seconds=1)
    tick()
    assert Run.objects.get().state == State.PLANNED
    pause(Schedule.objects.get())
    tick()
    run = Run.objects.get()
    assert (run.state, run.reason) == (State.SKIPPED, Reason.PAUSED) and "switched off" in run.reason_text


def test_a_schedule_deleted_outside_leaves_no_run_behind(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock(FRIDAY)
    create()
    clock.value = MONDAY_NINE + timedelta(seconds=1)
    tick()
    PeriodicTask.objects.all().delete()
    tick()
    run = Run.objects.get()
    assert (run.state, run.reason, run.reason_text) == (State.SKIPPED, Reason.ENDED, "the schedule was deleted")


def test_an_edit_into_nonsense_breaks_that_schedule_alone(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock(FRIDAY)
    broken, sound = create(name="Broken"), create(name="Sound")
    CrontabSchedule.objects.filter(pk=broken.periodic_task.crontab_id).update(day_of_month="30", month_of_year="2")
    clock.value = MONDAY_NINE + timedelta(seconds=1)
    tick()
    broken.refresh_from_db()
    assert "never run" in broken.broken_reason and broken.next_due_at is None
    assert Run.objects.filter(schedule_id=sound.pk).get().state == State.PLANNED
    CrontabSchedule.objects.filter(pk=broken.periodic_task.crontab_id).update(month_of_year="3")
    tick()
    broken.refresh_from_db()
    assert (broken.broken_reason, broken.expression) == ("", "0 9 30 3 1")
    assert broken.next_due_at is not None


def hand_written(name: str = "By hand", **values: Any) -> PeriodicTask:
    values.setdefault("task", "tests.add")
    if not any(key in values for key in ("crontab", "interval", "clocked", "solar")):
        values["crontab"] = CrontabSchedule.objects.create(minute="0", hour="9", timezone="Europe/Berlin")
    (_row,) = PeriodicTask.objects.bulk_create([PeriodicTask(name=name, **values)])  # no save(), no validation
    return PeriodicTask.objects.get(name=name)


@pytest.fixture
def add_task() -> Any:
    from celery import current_app

    @current_app.task(name="tests.add")
    def add(a: int = 0, b: int = 0) -> int:
        return a + b

    yield add
    current_app.tasks.pop("tests.add", None)


def test_a_task_written_by_hand_is_taken_over_and_runs(add_task: Any, fake_clock: SetClock) -> None:
    clock = fake_clock(FRIDAY)
    task = hand_written(args="[1]", kwargs='{"b": 2}', last_run_at=datetime(2020, 1, 1, tzinfo=UTC))
    tick()
    schedule = Schedule.objects.get(periodic_task=task)
    assert (schedule.expression, schedule.time_zone, schedule.broken_reason) == ("0 9 * * *", "Europe/Berlin", "")
    assert schedule.next_due_at == datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert not Run.objects.exists(), "no run at cut-over, whatever last_run_at says"
    clock.value = datetime(2026, 11, 21, 8, 0, 1, tzinfo=UTC)
    tick()
    from runs import ledger
    from runs.tasks import RunContext
    from schedules import plain_tasks

    claimed = ledger.claim(Run.objects.get().pk, "w")
    assert claimed is not None and plain_tasks.perform(RunContext(claimed)) == "3"


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"task": "nobody.knows"}, "No part of this installation knows the task “nobody.knows”."),
    ({"task": "celery.starmap"}, "belongs to Celery itself"),
    ({"task": "schedules.run_job"}, "says nothing about what to run"),
    ({"args": "[1"}, "args cannot be read as JSON"),
    ({"kwargs": "{nonsense"}, "kwargs cannot be read as JSON"),
    ({"kwargs": "[]"}, "kwargs must look like"),
    ({"crontab": None}, "has no schedule"),
    ({"solar": ("sunset", 52.5, 13.4)}, "Sunrise and sunset"),
    ({"interval": (1, "microseconds")}, "more often than once a second"),
    ({"cron": {"day_of_month": "30", "month_of_year": "2"}}, "never run"),
    ({"cron": {"minute": "61"}}, "minute"),
]


@pytest.mark.parametrize(("values", "words"), NONSENSE)
def test_nonsense_written_by_hand_is_shown_broken_and_stops_nobody(
    add_task: Any, create: MakeSchedule, fake_clock: SetClock, values: dict[str, Any], words: str
) -> None:
    clock = fake_clock(FRIDAY)
    create(name="Sound")
    values = dict(values)
    if "cron" in values:
        row = {"minute": "0", "hour": "9", **values.pop("cron")}
        values["crontab"] = CrontabSchedule.objects.bulk_create([CrontabSchedule(**row)])[0]
    if "solar" in values:
        event, latitude, longitude = values["solar"]
        values["solar"] = SolarSchedule.objects.create(event=event, latitude=latitude, longitude=longitude)
    if "interval" in values:
        every, period = values["interval"]
        values["interval"] = IntervalSchedule.objects.create(every=every, period=period)
    task = hand_written(**values)
    tick()
    schedule = Schedule.objects.get(periodic_task=task)
    assert words in schedule.broken_reason and schedule.next_due_at is None
    clock.value = MONDAY_NINE + timedelta(seconds=1)
    tick()
    assert [run.schedule_name for run in Run.objects.all()] == ["Sound"]


def test_weekday_seven_is_sunday(add_task: Any, fake_clock: SetClock) -> None:
    fake_clock(FRIDAY)
    crontab = CrontabSchedule.objects.create(minute="0", hour="9", day_of_week="7")
    hand_written(crontab=crontab)
    tick()
    assert Schedule.objects.get().next_due_at == datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_a_long_list_of_minutes_is_kept_whole(add_task: Any, fake_clock: SetClock) -> None:
    fake_clock("2026-11-20T17:57:30")
    hand_written(crontab=CrontabSchedule.objects.create(minute=",".join(map(str, range(59))), hour="*"))
    tick()
    schedule = Schedule.objects.get()
    assert schedule.broken_reason == "" and len(schedule.expression) > 150
    assert [moment.minute for moment in schedule.timing.upcoming(schedule.cursor_at, 2)] == [58, 0]


def test_intervals_one_offs_and_ends_written_by_hand(add_task: Any, fake_clock: SetClock) -> None:
    clock = fake_clock(FRIDAY)
    half_hour = IntervalSchedule.objects.create(every=30, period=IntervalSchedule.MINUTES)
    at = clock.value + timedelta(days=1)
    hand_written("interval", interval=half_hour, expires=at)
    hand_written("clocked", clocked=ClockedSchedule.objects.create(clocked_time=at), one_off=True)
    hand_written("later", start_time=at)
    hand_written("off", enabled=False)
    tick()
    rows = {schedule.name: schedule for schedule in Schedule.objects.select_related("periodic_task")}
    assert rows["interval"].next_due_at == clock.value + timedelta(minutes=30) and rows["interval"].ends_at == at
    assert (rows["clocked"].mode, rows["clocked"].next_due_at) == ("once", at)
    assert rows["later"].next_due_at == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert rows["off"].is_paused and rows["off"].next_due_at is not None


def test_an_idle_tick_costs_one_probe_however_many_schedules(create: MakeSchedule, fake_clock: SetClock) -> None:
    fake_clock(FRIDAY)
    create()
    tick()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert outside.reconcile() == 0
    assert len(queries) == 1


def test_what_the_services_did_is_left_alone(create: MakeSchedule, draft: MakeDraft, fake_clock: SetClock) -> None:
    """An editor who opened the form meanwhile must not be told that somebody else changed the schedule."""
    fake_clock(FRIDAY)
    schedule = create()
    services.edit_schedule(None, schedule.pk, draft(expression="30 17 * * *"))
    services.pause_schedule(None, schedule.pk, reason="x")
    before = Schedule.objects.values().get()
    assert OutsideEdit.objects.exists()
    tick()
    assert Schedule.objects.values().get() == before
    assert AuditEntry.objects.count() == 3


def test_a_row_that_cannot_be_reconciled_holds_up_nobody(
    create: MakeSchedule, fake_clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_clock(FRIDAY)
    _first, second = create(name="First"), create(name="Second")
    tick()
    Schedule.objects.update(expression="30 17 * * *")
    real = audit.record

    def failing(actor: Any, action: str, target: Any, **more: Any) -> Any:
        if str(target) == "First":
            raise RuntimeError("boom")
        return real(actor, action, target, **more)

    monkeypatch.setattr(audit, "record", failing)
    tick()
    second.refresh_from_db()
    assert second.next_due_at == datetime(2026, 11, 21, 17, 30, tzinfo=UTC)
    assert not OutsideEdit.objects.exists()
