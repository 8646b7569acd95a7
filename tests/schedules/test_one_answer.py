"""The preview, the planner and the ledger give one answer: what was shown before saving is what the rows say after."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django_celery_beat.models import PeriodicTask
from hypothesis import given, settings
from hypothesis import strategies as st

from runs import clock
from runs.models import Run
from runs.states import State
from schedules import cron, outside, planner, previews, services
from schedules.drafts import ScheduleDraft
from schedules.models import HolidayCalendar, Schedule
from tests.schedules.test_cron_oracle import AROUND, FAST, TRICKY, Pattern, changes, patterns

pytestmark = pytest.mark.django_db
EXAMPLES = max(60, int(os.environ.get("CRON_EXAMPLES", "0")) // 100)


@settings(FAST, max_examples=EXAMPLES)
@given(
    pattern=patterns(), zone=st.sampled_from(TRICKY), which=st.integers(0, 50), rule=st.sampled_from(["", "skip", "move"]),
    ticks=st.integers(1, 4),
)  # fmt: skip
def test_what_the_form_shows_is_what_the_ledger_says(
    pattern: Pattern, zone: str, which: int, rule: str, ticks: int
) -> None:
    near = changes(zone)
    now = near[which % len(near)] - AROUND
    try:
        cron.parse(pattern.text, zone)
    except cron.CronError:
        return
    PeriodicTask.objects.all().delete()
    Run.objects.all().delete()
    fake = [now]
    real, clock.now = clock.now, lambda: fake[0]
    try:
        target, _ = Group.objects.get_or_create(name="Target")
        calendar, _ = HolidayCalendar.objects.get_or_create(
            name="Odd", own_days="03-29\n03-30\n10-25\n04-05", country="DE"
        )
        values: dict[str, Any] = {"calendar_id": calendar.pk, "calendar_rule": rule} if rule else {}
        draft = ScheduleDraft(
            name="One answer", kind="test", target_id=target.pk, expression=pattern.text, time_zone=zone, missed="all",
            missed_cap=100, overlap="allow", **values,
        )  # fmt: skip
        shown = previews.preview_draft(draft, now)
        schedule = services.create_schedule(None, draft)
        last = shown.times[-1]
        for tick in range(1, ticks + 1):  # one long outage, or several looks in between
            fake[0] = now + (last - now) * tick / ticks
            outside.reconcile()
            while planner.plan_due():
                pass
        rows = list(Run.objects.order_by("due_at"))
        assert [row.due_at for row in rows] == [moment.astimezone(UTC) for moment in shown.times]
        left_out = {row.due_at: f"Day off: {row.reason_text}" for row in rows if row.state == State.SKIPPED}
        assert left_out == {moment.astimezone(UTC): why for moment, why in shown.notes.items()}
        schedule.refresh_from_db()
        assert schedule.next_due_at == schedule.timing.upcoming(last, 1)[0]
    finally:
        clock.now = real


def test_intervals_keep_their_anchor_through_edits_pauses_and_outages(
    create: Callable[..., Schedule], draft: Callable[..., ScheduleDraft], fake_clock: Callable[[str], Any]
) -> None:
    time = fake_clock("2026-11-20T17:55:10")
    values = {"mode": "interval", "expression": "", "every_seconds": 7 * 86400, "overlap": "allow"}
    schedule = create(**values)
    anchor = time.value
    time.value += timedelta(days=5)
    services.edit_schedule(None, schedule.pk, draft(**values, name="Another name"))
    services.pause_schedule(None, schedule.pk, reason="x")
    services.resume_schedule(None, schedule.pk)
    assert Schedule.objects.get().next_due_at == anchor + timedelta(days=7)
    time.value += timedelta(days=20)  # an outage, with a restart at an odd time
    planner.plan_due()
    assert [run.due_at for run in Run.objects.order_by("due_at")] == [anchor + timedelta(days=7 * n) for n in (1, 2, 3)]
    assert Schedule.objects.get().next_due_at == anchor + timedelta(days=28)


def test_a_one_off_runs_once_and_its_row_says_so(
    create: Callable[..., Schedule], fake_clock: Callable[[str], Any]
) -> None:
    time = fake_clock("2026-11-20T17:55:10")
    at = datetime(2026, 11, 21, 9, tzinfo=UTC)
    schedule = create(mode="once", expression="", once_at=at)
    time.value = at + timedelta(seconds=1)
    planner.plan_due()
    Run.objects.update(state=State.SUCCEEDED, finished_at=time.value)
    for _ in range(2):
        services.pause_schedule(None, schedule.pk, reason="x")
        services.resume_schedule(None, schedule.pk, run="all")
        time.value += timedelta(days=1)
        planner.plan_due()
    assert [run.due_at for run in Run.objects.all()] == [at]
    assert Schedule.objects.get().next_due_at is None
