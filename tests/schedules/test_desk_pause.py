"""Pausing everything: nothing runs, everything is explained, and what was due before or after is not touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError

from runs.models import AuditEntry, Run
from runs.states import Reason, State
from schedules import desk_pause, planner, services
from schedules.models import DeskPause, Schedule

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]
SetClock = Callable[[str], Any]


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 23, hour, minute, tzinfo=UTC)


def test_each_due_time_of_the_pause_says_why_and_the_others_run(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:30:00")
    create(expression="0 * * * *", missed="all", missed_cap=10, overlap="allow")
    clock.value = at(9, 30)
    desk_pause.pause_everything(None, reason="the mail server moves")
    clock.value = at(11, 30)
    desk_pause.resume_everything(None)
    clock.value = at(12, 0)
    planner.plan_due()  # the first tick since the morning: what was decided does not depend on when
    found = {run.due_at.hour: (run.state, run.reason_text) for run in Run.objects.all()}
    words = "paused: everything is paused: the mail server moves"
    assert found == {
        9: (State.PLANNED, ""), 10: (State.SKIPPED, words), 11: (State.SKIPPED, words), 12: (State.PLANNED, "")
    }  # fmt: skip


def test_what_waits_is_taken_back_and_what_staff_start_runs(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-23T08:30:00")
    schedule = create(expression="0 9 * * *", max_runs=1)
    clock.value = at(9)
    planner.plan_due()
    manual = services.run_now(None, schedule.pk)
    pause = desk_pause.pause_everything(None, reason="x")
    scheduled = Run.objects.exclude(pk=manual.pk).get()
    assert (scheduled.state, scheduled.reason) == (State.SKIPPED, Reason.PAUSED)
    manual.refresh_from_db()
    assert manual.state == State.PLANNED
    assert AuditEntry.objects.get(action="paused everything").after == {"withdrawn_runs": 1}
    schedule.refresh_from_db()
    assert schedule.next_due_at is not None, "the run that was taken back does not count as its only one"
    assert desk_pause.current() == pause


def test_there_is_one_at_a_time_with_a_reason_and_a_permission(create: MakeSchedule) -> None:
    nobody = User.objects.create_user("nobody", is_staff=True)
    with pytest.raises(PermissionDenied):
        desk_pause.pause_everything(nobody, reason="x")
    with pytest.raises(ValidationError, match="Say why"):
        desk_pause.pause_everything(None, reason=" ")
    assert desk_pause.resume_everything(None) is None
    desk_pause.pause_everything(None, reason="x")
    with pytest.raises(ValidationError, match="already"):
        desk_pause.pause_everything(None, reason="y")
    with pytest.raises(PermissionDenied):
        desk_pause.resume_everything(nobody)
    assert desk_pause.resume_everything(None) is not None
    desk_pause.pause_everything(None, reason="again")
    assert DeskPause.objects.count() == 2
    assert AuditEntry.objects.filter(was_refused=True).count() == 2
