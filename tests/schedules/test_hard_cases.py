"""Cases in which an occurrence could vanish, run twice or stop the others: long outages, half-read changes, odd rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from runs import clock as clock_module
from runs import ledger
from runs.models import AuditEntry, Run
from runs.states import Reason, State, Trigger
from schedules import backfill, calendars, planner, previews, services
from schedules.drafts import ScheduleDraft
from schedules.models import HolidayCalendar, OutsideEdit, Schedule
from tests.schedules.test_outside import add_task as add_task
from tests.schedules.test_outside import hand_written, tick

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]
MakeDraft = Callable[..., ScheduleDraft]
SetClock = Callable[[str], Any]


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def occurrences() -> int:
    return sum(1 + run.folded_count for run in Run.objects.all())


def test_an_edit_after_a_long_outage_never_fires_the_past(
    create: MakeSchedule, draft: MakeDraft, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-20T10:00:30")
    schedule = create(expression="* * * * *")
    clock.value += timedelta(days=2)
    services.edit_schedule(None, schedule.pk, draft(expression="0 7 * * *"))
    planner.plan_due()
    assert occurrences() == 2880, "each due time of the outage has its row, before the edit"
    assert Schedule.objects.get().next_due_at == at(23, 7)
    assert not Run.objects.filter(spec_version=2).exists()


def test_resume_after_a_long_pause_runs_nothing_of_it(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T10:00:30")
    schedule = create(expression="* * * * *", missed="all")
    services.pause_schedule(None, schedule.pk, reason="x")
    clock.value += timedelta(hours=18)
    services.resume_schedule(None, schedule.pk)
    planner.plan_due()
    assert occurrences() == 18 * 60 and not Run.objects.exclude(reason=Reason.PAUSED).exists()


def test_a_pause_that_ends_by_itself_after_a_long_outage_runs_nothing_of_it(
    create: MakeSchedule, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-20T10:00:30")
    schedule = create(expression="* * * * *", missed="skip")
    services.pause_schedule(None, schedule.pk, reason="x", until=clock.value + timedelta(hours=40))
    clock.value += timedelta(hours=41)
    planner.end_pauses()
    assert occurrences() == 41 * 60
    paused = Run.objects.filter(reason=Reason.PAUSED)
    assert sum(1 + run.folded_count for run in paused) == 40 * 60
    assert AuditEntry.objects.filter(action="ended the pause at its time").count() == 1


def test_an_outside_edit_decides_what_was_due_before_it(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:30:00")
    schedule = create(expression="0 9 * * *")
    tick()
    clock.value = at(23, 9, 30)  # no tick in between
    CrontabSchedule.objects.filter(pk=schedule.periodic_task.crontab_id).update(hour="15")
    tick()
    assert [run.due_at for run in Run.objects.all()] == [at(23, 9)]
    assert Schedule.objects.get().next_due_at == at(23, 15)


@pytest.mark.parametrize("is_paused", [True, False])
def test_a_switch_moved_outside_while_no_beat_ran(create: MakeSchedule, fake_clock: SetClock, is_paused: bool) -> None:
    """Switched on or off between two ticks: the due time in between belongs to the pause."""
    clock = fake_clock("2026-11-23T08:00:00")
    schedule = create(expression="0 9 * * *")
    if is_paused:
        services.pause_schedule(None, schedule.pk, reason="x")
    tick()
    clock.value = at(23, 10)
    PeriodicTask.objects.update(enabled=is_paused)
    tick()
    run = Run.objects.get()
    assert (run.due_at, run.state, run.reason) == (at(23, 9), State.SKIPPED, Reason.PAUSED)
    assert Schedule.objects.get().is_paused is not is_paused


def test_an_adopted_interval_keeps_its_anchor_and_its_peace(add_task: Any, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T08:00:00")
    hand_written(interval=IntervalSchedule.objects.create(every=30, period=IntervalSchedule.MINUTES))
    tick()
    schedule = Schedule.objects.get()
    clock.value += timedelta(minutes=10)
    services.pause_schedule(None, schedule.pk, reason="x")
    tick()
    services.resume_schedule(None, schedule.pk)
    tick()
    schedule.refresh_from_db()
    assert (schedule.next_due_at, schedule.spec_version) == (at(20, 8, 30), 1)
    assert not AuditEntry.objects.filter(action="was changed outside this desk").exists()


def test_an_adopted_one_off_in_ranges_runs_once(add_task: Any, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T08:00:00")
    crontab = CrontabSchedule.objects.create(minute="0", hour="9-11", day_of_week="1-5")
    hand_written(crontab=crontab, one_off=True)
    for hour in range(9, 12):
        clock.value = at(20, hour, 1)
        PeriodicTask.objects.update(priority=hour % 3, expires=None, kwargs="{}" if hour % 2 else '{"a": 1}')
        tick()
        Run.objects.filter(state=State.PLANNED).update(state=State.SUCCEEDED, finished_at=clock.value)
    assert Run.objects.filter(state=State.SUCCEEDED).count() == 1


def test_an_end_set_outside_changes_nothing_else_and_can_be_edited(
    create: MakeSchedule, draft: MakeDraft, fake_clock: SetClock
) -> None:
    """The last day of the month is more than the stock rows can say."""
    fake_clock("2026-11-20T08:00:00")
    schedule = create(expression="0 9 L * *")
    tick()
    PeriodicTask.objects.update(expires=datetime(2027, 1, 1, tzinfo=UTC))
    tick()
    schedule.refresh_from_db()
    assert (schedule.expression, schedule.ends_at) == ("0 9 L * *", datetime(2027, 1, 1, tzinfo=UTC))
    later = datetime(2027, 6, 1, tzinfo=UTC)
    services.edit_schedule(None, schedule.pk, draft(expression="0 9 L * *", ends_at=later))
    tick()
    assert Schedule.objects.get().ends_at == later


def test_an_adopted_task_stays_what_it_runs(add_task: Any, fake_clock: SetClock) -> None:
    fake_clock("2026-11-20T08:00:00")
    hand_written()
    tick()
    Schedule.objects.update(expression="0 10 * * *")
    tick()
    task = PeriodicTask.objects.select_related("crontab").get()
    assert (task.task, task.crontab.hour) == ("tests.add", "10")


def test_a_row_that_cannot_even_be_loaded_is_shown_broken(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    bad, _ = create(name="Bad"), create(name="Sound")
    tick()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_celery_beat_crontabschedule SET timezone = 'Mars/Base' WHERE id = %s",
            [bad.periodic_task.crontab_id],
        )
    clock.value += timedelta(minutes=1)
    tick()
    bad.refresh_from_db()
    assert "cannot be read" in bad.broken_reason and not OutsideEdit.objects.exists()
    assert Run.objects.filter(schedule_name="Sound").count() == 1


def test_a_broken_one_is_not_revived_by_a_pause(add_task: Any, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T08:00:00")
    hand_written()
    tick()
    PeriodicTask.objects.update(task="nope.nope")
    tick()
    schedule = Schedule.objects.get()
    assert "nope.nope" in schedule.broken_reason
    clock.value += timedelta(days=7)
    services.pause_schedule(None, schedule.pk, reason="x")
    schedule.refresh_from_db()
    assert "nope.nope" in schedule.broken_reason and not Run.objects.exists()


def test_what_is_caught_up_goes_one_after_another_even_where_runs_may_overlap(
    create: MakeSchedule, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-20T08:00:00")
    create(expression="0 * * * *", overlap="allow", missed="all")
    clock.value = at(20, 12, 30)
    planner.plan_due()
    runs = list(Run.objects.filter(state=State.PLANNED).order_by("due_at"))
    assert len(runs) == 4
    assert ledger.claim(runs[0].pk, "a") is not None and ledger.claim(runs[1].pk, "b") is None


def test_a_one_off_in_the_past_is_refused_not_lost(create: MakeSchedule, fake_clock: SetClock) -> None:
    fake_clock("2026-11-20T18:00:30")
    with pytest.raises(ValidationError, match="has passed"):
        create(mode="once", expression="", once_at=at(20, 18))


def test_a_calendar_without_a_working_day_breaks_its_schedule_alone(
    create: MakeSchedule, fake_clock: SetClock, client: Client
) -> None:
    clock = fake_clock("2026-11-20T08:00:00")
    client.force_login(User.objects.create_superuser("boss"))
    days = "\n".join(f"2027-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, 29))
    days += "\n2027-01-29\n2027-01-30\n2027-01-31\n2027-03-29\n2027-03-30\n2027-03-31"
    calendar = HolidayCalendar.objects.create(name="School", own_days=days)
    schedule = create(expression="0 9 * * *")
    Schedule.objects.update(calendar=calendar, calendar_rule="move")
    create(name="Sound", expression="0 9 * * *")
    clock.value = datetime(2027, 1, 10, 10, tzinfo=UTC)
    tick()
    schedule.refresh_from_db()
    assert "no working day" in schedule.broken_reason
    assert Run.objects.filter(schedule_name="Sound").exists()
    for path in ("schedule/", f"schedule/{schedule.pk}/", "holidaycalendar/"):
        assert client.get(f"/admin/schedules/{path}").status_code == 200
    HolidayCalendar.objects.update(own_days="tomorrow", country="ZZ")
    assert client.get("/admin/schedules/holidaycalendar/").status_code == 200


@pytest.mark.parametrize("mode", ["interval", "once"])
def test_an_unknown_zone_is_shown_broken_in_every_mode(
    create: MakeSchedule, fake_clock: SetClock, client: Client, mode: str
) -> None:
    fake_clock("2026-11-20T08:00:00")
    client.force_login(User.objects.create_superuser("boss"))
    values = {"every_seconds": 3600} if mode == "interval" else {"once_at": at(25, 9)}
    schedule = create(mode=mode, expression="", **values)
    Schedule.objects.update(time_zone="Mars/Base")
    tick()
    assert "not a time zone" in Schedule.objects.get().broken_reason
    for path in ("schedule/", f"schedule/{schedule.pk}/"):
        assert client.get(f"/admin/schedules/{path}").status_code == 200


def test_skip_next_skips_a_run_and_not_a_holiday(create: MakeSchedule, fake_clock: SetClock) -> None:
    fake_clock("2026-12-24T10:00:00")
    calendar = HolidayCalendar.objects.create(name="Germany", country="DE")
    schedule = create(expression="0 9 * * *", calendar_id=calendar.pk)
    assert services.skip_next(None, schedule.pk) == datetime(2026, 12, 27, 9, tzinfo=UTC)


def test_a_run_withdrawn_by_the_pause_is_offered_on_resume(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    schedule = create(expression="0 9 * * *")
    clock.value += timedelta(minutes=1)
    planner.plan_due()
    services.pause_schedule(None, schedule.pk, reason="x")
    assert backfill.left_out_by_pause(Schedule.objects.get()) == [at(23, 9)]
    services.resume_schedule(None, schedule.pk, run="latest")
    assert Run.objects.filter(trigger=Trigger.BACKFILL).count() == 1


def test_words_that_no_database_takes_do_not_fail_a_run(create: MakeSchedule) -> None:
    schedule = create()
    for text in ("mail\udcff", "a\x00b"):
        done = ledger.claim(services.run_now(None, schedule.pk).pk, "w")
        assert done is not None
        ledger.log(done.run.pk, text)
        ledger.finish(done, text)
        failed = ledger.claim(services.run_now(None, schedule.pk).pk, "w")
        assert failed is not None
        assert ledger.fail(failed, text, traceback=text) == State.FAILED


def test_many_are_never_deleted_past_the_service(create: MakeSchedule, client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    schedule = create()
    chosen = {"action": "delete_selected", "_selected_action": [schedule.pk], "post": "yes"}
    client.post("/admin/schedules/schedule/", chosen)
    assert Schedule.objects.exists() and PeriodicTask.objects.exists()


def test_numbers_out_of_range_in_a_row_stop_nobody(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    create(name="Odd")
    create(name="Sound")
    Schedule.objects.filter(periodic_task__name="Odd").update(retries=2_147_483_647)
    clock.value += timedelta(minutes=1)
    planner.plan_due()
    assert Run.objects.count() == 2


def test_deciding_a_long_backlog_takes_no_longer_per_time(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T08:00:30")
    create(expression="* * * * *", missed="all", missed_cap=100, overlap="allow")
    clock.value += timedelta(days=20)
    while planner.plan_due():
        pass
    assert occurrences() == 20 * 1440
    assert previews.preview_schedule(Schedule.objects.get(), clock.value).times


def test_running_again_takes_the_permission_of_the_kind(create: MakeSchedule) -> None:
    from django.contrib.auth.models import Permission
    from django.core.exceptions import PermissionDenied

    from runs import services as run_services

    run = services.run_now(None, create().pk)
    claimed = ledger.claim(run.pk, "w")
    assert claimed is not None
    ledger.fail(claimed, "x")
    Run.objects.update(kind="newsletter")
    anna = User.objects.create_user("anna")
    anna.user_permissions.add(Permission.objects.get(codename="retry_run"))
    with pytest.raises(PermissionDenied):
        run_services.retry_run(anna, run.pk)
    anna.user_permissions.add(Permission.objects.get(codename="send_newsletter"))
    assert run_services.retry_run(User.objects.get(pk=anna.pk), run.pk).retry_of_id == run.pk


def test_a_second_resume_promises_nothing(create: MakeSchedule, client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    answer = client.post(f"/admin/schedules/schedule/{create().pk}/resume/", {"run": "latest"}, follow=True)
    assert "is active already" in answer.content.decode() and not Run.objects.exists()


def test_the_latest_that_may_run_is_found_behind_any_number_of_holidays(
    create: MakeSchedule, fake_clock: SetClock
) -> None:
    """More than a thousand late due times, and all that follow the last working day are days off."""
    clock = fake_clock("2026-11-18T22:00:00")
    calendar = HolidayCalendar.objects.create(name="Closed", own_days="2026-11-19\n2026-11-20\n2026-11-21")
    create(expression="* * * * *", calendar_id=calendar.pk)
    clock.value = at(21, 23)
    while planner.plan_due():
        pass
    planned = Run.objects.get(state=State.PLANNED)
    assert planned.due_at == at(18, 23, 59), "the last minute before the holidays is the latest that may run"
    assert occurrences() == 73 * 60


def test_a_one_off_far_ahead_with_a_calendar_is_previewed(draft: MakeDraft, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T08:00:00")
    calendar = HolidayCalendar.objects.create(name="Own", own_days="12-24")
    far = datetime(2028, 12, 22, 9, tzinfo=UTC)
    moving = draft(mode="once", expression="", once_at=far, calendar_id=calendar.pk, calendar_rule="move")
    assert previews.preview_draft(moving, clock.value).times == [far]


def test_a_calendar_with_many_followers_is_saved_in_few_queries(
    create: MakeSchedule, fake_clock: SetClock, django_assert_max_num_queries: Any
) -> None:
    clock = fake_clock("2026-11-23T08:00:00")
    calendar = HolidayCalendar.objects.create(name="Own", own_days="12-24")
    for number in range(30):
        create(name=f"Follower {number}", expression="0 9 * * *", calendar_id=calendar.pk, calendar_rule="move")
    clock.value = at(23, 9)
    with django_assert_max_num_queries(25):
        calendars.save_calendar(None, calendar, name="Own", own_days="2026-11-24")
    assert Run.objects.filter(state=State.PLANNED, due_at=at(23, 9)).count() == 30
    assert set(Schedule.objects.values_list("next_due_at", flat=True)) == {at(24, 9)}
    assert not any(schedule.is_timed_anew for schedule in Schedule.objects.all())


def test_a_withdrawn_run_does_not_count_towards_the_number_of_runs(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:00")
    schedule = create(expression="0 9 * * *", max_runs=1)
    clock.value = at(23, 9)
    planner.plan_due()
    assert Schedule.objects.get().next_due_at is None
    services.pause_schedule(None, schedule.pk, reason="x")
    services.resume_schedule(None, schedule.pk)
    assert Schedule.objects.get().next_due_at == at(24, 9), "the only run was taken back before it began"


def test_the_same_form_sent_twice_starts_and_records_one_run(create: MakeSchedule) -> None:
    schedule = create()
    assert services.run_now(None, schedule.pk, idempotency_key="k") == services.run_now(
        None, schedule.pk, idempotency_key="k"
    )
    assert AuditEntry.objects.filter(action="started the schedule now").count() == 1


def test_what_somebody_else_just_deleted_is_said_in_words(create: MakeSchedule) -> None:
    schedule = create()
    number = schedule.pk
    services.delete_schedule(None, number)
    with pytest.raises(ValidationError, match="Somebody deleted this schedule"):
        services.pause_schedule(None, number, reason="x")


def test_a_name_that_somebody_else_takes_meanwhile_is_said_at_the_field(
    create: MakeSchedule, draft: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(name="Taken")
    monkeypatch.setattr(services, "validate", lambda *_: None)  # as if it had looked a moment earlier
    with pytest.raises(ValidationError) as caught:
        services.create_schedule(None, draft(name="Taken"))
    assert "already called" in caught.value.message_dict["name"][0]


def test_exclusive_runs_that_wait_for_each_other_ask_seldom_and_are_woken(create: MakeSchedule) -> None:
    schedule = create()
    now = clock_module.now()
    runs = [
        ledger.plan(
            ledger.NewRun("test", None, "T", Trigger.BACKFILL, due_at=now - timedelta(hours=n), schedule_id=schedule.pk)
        )
        for n in range(40, 0, -1)
    ]
    first = ledger.claim(runs[0].pk, "w")
    assert first is not None
    for run in runs[1:]:
        assert ledger.claim(run.pk, "w") is None
    waits = [at - now for at in Run.objects.filter(state=State.PLANNED).values_list("next_publish_at", flat=True) if at]
    assert min(waits) > timedelta(seconds=55), "forty of them do not ask every two seconds"
    ledger.finish(first, "Done.")
    woken = Run.objects.filter(next_publish_at__lte=clock_module.now())
    assert [run.pk for run in woken] == [runs[1].pk], "the oldest that waits goes next, at once"
