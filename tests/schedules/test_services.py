"""What staff do to schedules, and that none of it fires anything by surprise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied, ValidationError
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from runs import ledger
from runs.models import AuditEntry, Run
from runs.states import Reason, State, Trigger
from schedules import planner, services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

pytestmark = pytest.mark.django_db

MakeSchedule = Callable[..., Schedule]
MakeDraft = Callable[..., ScheduleDraft]
SetClock = Callable[[str], Any]


def states() -> list[tuple[str, str, str]]:
    return [(f"{run.due_at:%a %H:%M}", run.state, run.reason) for run in Run.objects.order_by("due_at")]


def test_it_writes_the_stock_row_with_a_timing_row_of_its_own(create: MakeSchedule) -> None:
    first, second = create(name="A"), create(name="B")
    assert CrontabSchedule.objects.count() == 2
    task = first.periodic_task
    assert (task.task, task.enabled, task.args, task.queue) == ("schedules.run_job", True, "[]", None)
    assert first.next_due_at is not None and first.next_due_at.weekday() == 0
    assert second.periodic_task.crontab_id != task.crontab_id


def test_nothing_fires_when_a_schedule_is_created_after_its_time_today(
    create: MakeSchedule, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-23T09:30:00")  # a Monday
    schedule = create()
    clock.value += timedelta(minutes=1)
    assert planner.plan_due() == 0
    assert schedule.next_due_at == datetime(2026, 11, 30, 9, tzinfo=UTC)


def test_nothing_fires_when_an_edit_moves_the_time_to_earlier_today(
    create: MakeSchedule, draft: MakeDraft, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-23T09:30:00")
    schedule = create(expression="0 18 * * *")
    services.edit_schedule(None, schedule.pk, draft(expression="0 9 * * *"))
    clock.value += timedelta(minutes=1)
    assert planner.plan_due() == 0
    schedule.refresh_from_db()
    assert schedule.next_due_at == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert schedule.spec_version == 2 and CrontabSchedule.objects.count() == 1


def test_an_edit_of_the_name_moves_nothing(create: MakeSchedule, draft: MakeDraft, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T09:30:00")
    schedule = create(mode="interval", expression="", every_seconds=7 * 86400)
    clock.value += timedelta(days=5)
    services.edit_schedule(
        None, schedule.pk, draft(name="Other", mode="interval", expression="", every_seconds=7 * 86400)
    )
    schedule.refresh_from_db()
    assert schedule.next_due_at == datetime(2026, 11, 30, 9, 30, tzinfo=UTC)


def test_an_occurrence_due_before_an_edit_is_decided_under_the_old_values(
    create: MakeSchedule, draft: MakeDraft, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-23T08:59:00")
    schedule = create()
    clock.value += timedelta(minutes=1, seconds=5)
    services.edit_schedule(None, schedule.pk, draft(expression="0 12 * * 1"))
    assert states() == [("Mon 09:00", State.PLANNED, "")]
    assert Run.objects.get().spec_version == 1


def test_a_pause_records_each_occurrence_as_skipped_and_resume_fires_nothing(
    create: MakeSchedule, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="0 9 * * *")
    services.pause_schedule(None, schedule.pk, reason="Waiting for the new logo")
    clock.value = datetime(2026, 11, 22, 8, tzinfo=UTC)
    planner.plan_due()
    clock.value = datetime(2026, 11, 23, 12, tzinfo=UTC)  # one more falls due before the tick, then staff resume
    services.resume_schedule(None, schedule.pk)
    planner.plan_due()
    assert states() == [
        ("Sat 09:00", State.SKIPPED, Reason.PAUSED),
        ("Sun 09:00", State.SKIPPED, Reason.PAUSED),
        ("Mon 09:00", State.SKIPPED, Reason.PAUSED),
    ]
    assert Run.objects.first().reason_text == "paused: Waiting for the new logo"  # type: ignore[union-attr]
    schedule.refresh_from_db()
    assert schedule.next_due_at == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert PeriodicTask.objects.get().enabled is True


def test_a_pause_ends_by_itself(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="0 9 * * *")
    services.pause_schedule(None, schedule.pk, reason="Holiday", until=datetime(2026, 11, 22, 0, tzinfo=UTC))
    clock.value = datetime(2026, 11, 22, 9, 0, 1, tzinfo=UTC)
    planner.plan_due()
    planner.end_pauses()
    assert states() == [("Sat 09:00", State.SKIPPED, Reason.PAUSED), ("Sun 09:00", State.PLANNED, "")]
    schedule.refresh_from_db()
    assert not schedule.is_paused


def test_a_pause_withdraws_what_waits_and_leaves_what_runs(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:59")
    schedule = create(overlap="allow", expression="* * * * *")
    clock.value += timedelta(seconds=61)
    planner.plan_due()
    first, second = Run.objects.order_by("due_at")
    assert ledger.claim(first.pk, "w") is not None
    services.pause_schedule(None, schedule.pk, reason="Stop")
    assert [run.state for run in Run.objects.order_by("due_at")] == [State.RUNNING, State.SKIPPED]
    assert ledger.claim(second.pk, "w") is None


def test_skip_next_leaves_out_one_and_can_be_taken_back(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:00")
    schedule = create(expression="0 9 * * *")
    assert services.skip_next(None, schedule.pk) == datetime(2026, 11, 23, 9, tzinfo=UTC)
    clock.value = datetime(2026, 11, 24, 8, tzinfo=UTC)
    planner.plan_due()
    services.skip_next(None, schedule.pk)
    services.unskip_next(None, schedule.pk)
    clock.value = datetime(2026, 11, 24, 9, 0, 1, tzinfo=UTC)
    planner.plan_due()
    assert states() == [("Mon 09:00", State.SKIPPED, Reason.STAFF_SKIPPED), ("Tue 09:00", State.PLANNED, "")]


def test_run_now_is_one_run_per_form_and_works_while_paused(create: MakeSchedule) -> None:
    schedule = create()
    services.pause_schedule(None, schedule.pk, reason="Stop")
    first = services.run_now(None, schedule.pk, idempotency_key="k")
    again = services.run_now(None, schedule.pk, idempotency_key="k")
    assert first.pk == again.pk and first.trigger == Trigger.MANUAL and first.state == State.PLANNED


def test_run_now_says_when_its_target_is_gone(create: MakeSchedule, target: Group) -> None:
    schedule = create()
    target.delete()
    with pytest.raises(ValidationError, match="no longer exists"):
        services.run_now(None, schedule.pk)


def test_deleting_keeps_the_history(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:59:59")
    schedule = create()
    clock.value += timedelta(seconds=2)
    planner.plan_due()
    services.delete_schedule(None, schedule.pk)
    run = Run.objects.get()
    assert (run.schedule_name, run.state, run.reason) == ("Weekly", State.SKIPPED, Reason.ENDED)
    assert not PeriodicTask.objects.exists() and not CrontabSchedule.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "  "}, "name"),
        ({"expression": "0 25 * * 1"}, "expression"),
        ({"expression": "0 0 30 2 *"}, "expression"),
        ({"expression": "nonsense"}, "expression"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"time_zone": ""}, "time_zone"),
        ({"kind": "nobody"}, "target_id"),
        ({"target_id": 999999}, "target_id"),
        ({"mode": "interval", "every_seconds": 5}, "every_seconds"),
        ({"mode": "once"}, "once_at"),
        ({"mode": "once", "once_at": datetime(2020, 1, 1, tzinfo=UTC)}, "once_at"),
        ({"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "ends_at"),
        ({"retries": 11}, "retries"),
        ({"missed": "perhaps"}, "missed"),
    ],
)
def test_it_refuses_at_the_field_and_changes_nothing(draft: MakeDraft, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        services.create_schedule(None, draft(**changes))
    assert list(refusal.value.message_dict) == [field]
    assert not Schedule.objects.exists() and not PeriodicTask.objects.exists()


def test_two_schedules_cannot_share_a_name(create: MakeSchedule, draft: MakeDraft) -> None:
    create()
    with pytest.raises(ValidationError, match="already called"):
        services.create_schedule(None, draft())


def test_a_pause_needs_a_reason(create: MakeSchedule) -> None:
    schedule = create()
    with pytest.raises(ValidationError, match="Say why"):
        services.pause_schedule(None, schedule.pk, reason="  ")


def test_the_second_of_two_editors_is_told(create: MakeSchedule, draft: MakeDraft) -> None:
    schedule = create()
    seen = schedule.changed_at
    services.edit_schedule(None, schedule.pk, draft(name="First"), seen_version=seen)
    with pytest.raises(ValidationError, match="Somebody else changed"):
        services.edit_schedule(None, schedule.pk, draft(name="Second"), seen_version=seen)
    assert Schedule.objects.get().name == "First"


def user_with(*codenames: str) -> User:
    user = User.objects.create_user("anna")
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return User.objects.get(pk=user.pk)


def test_every_change_needs_its_permission_and_refusals_are_recorded(create: MakeSchedule, draft: MakeDraft) -> None:
    schedule = create()
    anna = user_with("view_schedule")
    attempts: list[Callable[[], object]] = [
        lambda: services.create_schedule(anna, draft(name="New")),
        lambda: services.edit_schedule(anna, schedule.pk, draft()),
        lambda: services.pause_schedule(anna, schedule.pk, reason="x"),
        lambda: services.resume_schedule(anna, schedule.pk),
        lambda: services.skip_next(anna, schedule.pk),
        lambda: services.unskip_next(anna, schedule.pk),
        lambda: services.run_now(anna, schedule.pk),
        lambda: services.delete_schedule(anna, schedule.pk),
    ]
    for attempt in attempts:
        with pytest.raises(PermissionDenied):
            attempt()
    assert AuditEntry.objects.filter(was_refused=True, actor_name="anna").count() == len(attempts)
    assert not Run.objects.exists() and Schedule.objects.count() == 1


def test_every_change_leaves_an_entry_with_before_and_after(create: MakeSchedule, draft: MakeDraft) -> None:
    schedule = create()
    anna = user_with("pause_schedule", "change_schedule")
    services.pause_schedule(anna, schedule.pk, reason="New logo")
    services.edit_schedule(anna, schedule.pk, draft(name="Renamed"))
    paused, edited = AuditEntry.objects.filter(actor=anna).order_by("id")
    assert (paused.reason, paused.before["pause_reason"], paused.after["pause_reason"]) == ("New logo", "", "New logo")
    assert (edited.before["name"], edited.after["name"]) == ("Weekly", "Renamed")
