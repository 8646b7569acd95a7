"""Old runs go; what the desk still asks them for stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from cleanup.models import CleanupRun
from reports.models import Artefact, ReportRun
from runs import clock, retired
from runs.models import Run, RunEvent, RunLink
from schedules import backfill, expectations, planner, services, status
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule
from tests.cleanup import targets
from tests.cleanup.targets import ago

pytestmark = pytest.mark.django_db


def a_run(days: float, state: str = "succeeded", **values: Any) -> Run:
    due = ago(days)
    is_open = state in ("planned", "published", "running")
    values = {"kind": "cleanup", "due_at": due, "finished_at": None if is_open else due, "trigger": "manual", **values}
    return Run.objects.create(state=state, **values)


@pytest.fixture
def schedule(policy: Any) -> Schedule:
    draft = ScheduleDraft.for_kind("cleanup", name="Nightly", target_id=policy.pk, expression="30 3 * * *")
    made = services.create_schedule(None, draft)
    Schedule.objects.filter(pk=made.pk).update(created_at=ago(1000), changed_at=ago(1000))
    return Schedule.objects.get(pk=made.pk)


def test_old_runs_go_with_their_logs_and_links(schedule: Schedule) -> None:
    old = a_run(120)
    RunEvent.objects.create(run=old, message="Began")
    RunLink.objects.create(run=old, label="The issue", url="/x/")
    again = a_run(10, retry_of=old)
    kept_line = RunEvent.objects.create(run=again, message="Began")
    open_ones = [a_run(200, state) for state in ("planned", "published", "running")]
    gone = [a_run(300 + n, state) for n, state in enumerate(("failed", "skipped", "missed", "cancelled"))]
    late = a_run(120, finished_at=ago(2))  # made up for a few days ago
    targets.check("runs", days=90, takes=[old, *gone], leaves=[*open_ones, late, kept_line])
    again.refresh_from_db()
    assert again.retry_of is None and set(RunEvent.objects.values_list("run", flat=True)) >= {again.pk}
    assert not RunLink.objects.exists()


def of(schedule: Schedule, days: float, state: str = "succeeded", **values: Any) -> Run:
    return a_run(days, state, schedule_id=schedule.pk, schedule_name="Nightly", **{"trigger": "schedule", **values})


def test_how_a_schedule_stands_is_still_known(schedule: Schedule) -> None:
    old = [of(schedule, 400), of(schedule, 399, "skipped")]
    last_ended = of(schedule, 300, "failed")
    skipped = [of(schedule, 299 - n, "skipped") for n in range(3)]
    last = of(schedule, 100, "skipped")
    before = list(status.failing(Schedule.objects.all()))
    assert before == [schedule]
    targets.check("runs", days=90, takes=[*old, *skipped], leaves=[last_ended, last])
    assert list(status.failing(Schedule.objects.all())) == before


def test_a_schedule_that_is_gone_keeps_nothing() -> None:
    targets.check(
        "runs", days=90, takes=[a_run(100, schedule_id=4711), a_run(99, "failed", schedule_id=4711)], leaves=[]
    )


def test_what_a_pause_left_out_is_still_offered(schedule: Schedule) -> None:
    before = of(schedule, 150)
    Schedule.objects.filter(pk=schedule.pk).update(paused_at=ago(140), pause_reason="Holidays")
    left_out = [of(schedule, 130 - n, "skipped", reason="paused") for n in range(3)]
    ended = of(schedule, 5)
    schedule.refresh_from_db()
    offered = backfill.left_out_by_pause(schedule)
    assert len(offered) == 3
    targets.check("runs", days=90, takes=[before], leaves=[*left_out, ended])
    assert backfill.left_out_by_pause(schedule) == offered


def test_nothing_that_ran_is_run_again(schedule: Schedule) -> None:
    """Without its row, a due time looks as if it had never run."""
    days = {n: schedule.timing.between(ago(n + 1), ago(n), 1)[0] for n in (95, 200, 10)}
    for due in days.values():
        Run.objects.create(
            kind="cleanup", schedule_id=schedule.pk, due_at=due, finished_at=due, state="succeeded", trigger="schedule"
        )
    now = clock.now()
    window = (days[200] - timedelta(hours=1), days[200] + timedelta(hours=1))
    assert backfill.due_times(schedule, *window, now) == []
    assert retired.before() is None
    targets.clean("runs", 90)
    gone = retired.before()
    assert gone is not None and abs(gone - ago(90)) < timedelta(minutes=5)
    with pytest.raises(ValidationError, match="were cleaned up, so nobody knows"):
        backfill.due_times(schedule, *window, now)
    assert backfill.due_times(schedule, days[10] - timedelta(hours=1), days[10] + timedelta(hours=1), now) == []
    # The record that says so is not cleaned itself, however old it is.
    CleanupRun.objects.update(started_at=ago(1000), finished_at=ago(1000), policy=None)
    CleanupRun.objects.bulk_create(
        CleanupRun(policy_name="x", run_id=10_000 + n, started_at=ago(900), finished_at=ago(900), state="done")
        for n in range(25)
    )
    targets.clean("cleanings", 365)
    assert retired.before() == gone and CleanupRun.objects.filter(started_at__lt=ago(800)).count() <= 21


def test_the_clock_and_the_watchdog_do_not_miss_them(schedule: Schedule) -> None:
    """Neither plans a removed occurrence again, nor takes it for missing; the number of runs after which it ends stands."""
    Schedule.objects.filter(pk=schedule.pk).update(planned_count=40, max_runs=41)
    for n in range(100, 140):
        of(schedule, n)
    of(schedule, 1)
    planner.settle_fully([Schedule.objects.get(pk=schedule.pk)], clock.now())
    rows = Run.objects.filter(schedule_id=schedule.pk)
    before = rows.count()
    targets.clean("runs", 90)
    left = rows.count()
    assert left == before - 40
    planner.settle_fully([Schedule.objects.get(pk=schedule.pk)], clock.now())
    assert rows.count() == left
    assert Schedule.objects.get(pk=schedule.pk).planned_count == 40
    findings, _ = expectations.compare(clock.now(), expectations.Position())
    assert findings == []


def test_a_report_says_who_asked_for_it_while_its_files_are_there() -> None:
    runs = [a_run(100 + n, kind="report") for n in range(3)]
    for run, deleted_at in zip(runs, (None, ago(5), None), strict=True):
        window: datetime = run.due_at
        made = ReportRun.objects.create(
            name="Numbers", run_id=run.pk, scheduled_for=window, period="x", window_start=window, window_end=window,
            state="succeeded",
        )  # fmt: skip
        Artefact.objects.create(
            report_run=made,
            file_name="x.csv",
            byte_count=1,
            row_count=1,
            sha256="x",
            expires_at=ago(50),
            deleted_at=deleted_at,
        )
    targets.check("runs", days=90, takes=[runs[1]], leaves=[runs[0], runs[2]])


def test_the_last_so_many_of_each_schedule_are_kept(schedule: Schedule) -> None:
    mine = [of(schedule, 200 + n) for n in range(10)]
    others = [a_run(200 + n) for n in range(5)]
    targets.clean("runs", 90, keep_last=4)
    assert set(Run.objects.filter(pk__in=[run.pk for run in mine])) == set(mine[:4])
    assert Run.objects.filter(pk__in=[run.pk for run in others]).count() == 4
