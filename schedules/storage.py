"""Keeps django-celery-beat's rows in step with a Schedule, so that stock tools show the same."""

from __future__ import annotations

from typing import Any

from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from schedules import cron
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule
from schedules.tasks import TASK

PLAIN_TASK = "task"
"""The kind of a schedule that runs whatever its PeriodicTask says (:mod:`schedules.plain_tasks`)."""
_SECONDS = {
    IntervalSchedule.DAYS: 86400.0,
    IntervalSchedule.HOURS: 3600.0,
    IntervalSchedule.MINUTES: 60.0,
    IntervalSchedule.SECONDS: 1.0,
    IntervalSchedule.MICROSECONDS: 0.000001,
}
_KINDS_OF_ROW = ("crontab", "interval", "clocked")


def write_periodic_task(draft: ScheduleDraft, task: PeriodicTask | None, *, enabled: bool) -> PeriodicTask:
    """Creates or updates the PeriodicTask and its own timing row, which no other task shares."""
    task = task or PeriodicTask(task=TASK, args="[]", kwargs="{}")
    old_rows = timing_rows(task)
    task.crontab = task.interval = task.clocked = None
    if draft.mode == Schedule.Mode.CRON:
        task.crontab = _crontab(draft)
    elif draft.mode == Schedule.Mode.INTERVAL:
        task.interval = IntervalSchedule.objects.create(every=draft.every_seconds, period=IntervalSchedule.SECONDS)
    else:
        task.clocked = ClockedSchedule.objects.create(clocked_time=draft.once_at)
    task.name = draft.name
    if draft.kind != PLAIN_TASK:  # what somebody wrote by hand stays what it runs
        task.task = TASK
        task.one_off = draft.mode == Schedule.Mode.ONCE
    task.expires = draft.ends_at
    if draft.ends_at is not None:
        task.expire_seconds = None  # the stock row takes one of the two
    task.enabled = enabled
    task.save()
    delete_unused(old_rows)
    return task


def pattern_of(row: CrontabSchedule) -> str:
    """A stock row's five parts as one pattern; an empty part means every value."""
    parts = (row.minute, row.hour, row.day_of_month, row.month_of_year, row.day_of_week)
    return " ".join("".join(str(part).split()) or "*" for part in parts)


def seconds_of(row: IntervalSchedule) -> float:
    """The length of a stock interval."""
    return float(row.every * _SECONDS[row.period])


def says(task: PeriodicTask) -> tuple[Any, ...]:
    """What the task's own timing rows say, in the form of :func:`expected`."""
    if task.crontab is not None:
        return _crontab_values(pattern_of(task.crontab), str(task.crontab.timezone))
    if task.interval is not None:
        return ("interval", seconds_of(task.interval))
    if task.clocked is not None:
        return ("once", task.clocked.clocked_time)
    return ()


def expected(draft: ScheduleDraft) -> tuple[Any, ...]:
    """What the timing rows of a schedule with these values say. Raises CronError when they cannot be read."""
    if draft.mode == Schedule.Mode.CRON:
        return _crontab_values(draft.expression, draft.time_zone)
    if draft.mode == Schedule.Mode.INTERVAL:
        return ("interval", draft.every_seconds)
    return ("once", draft.once_at)


def _crontab_values(expression: str, zone: str) -> tuple[Any, ...]:
    """What celery's own crontab can say of it, in one spelling: 1-5 and 1,2,3,4,5 are the same."""
    values, _is_exact = cron.parse(expression, zone).celery_fields()
    return ("cron", zone, *values.values())


def timing_rows(task: PeriodicTask) -> list[CrontabSchedule | IntervalSchedule | ClockedSchedule]:
    """The timing rows that the task points at."""
    return [getattr(task, field) for field in _KINDS_OF_ROW if getattr(task, f"{field}_id") is not None]


def delete_unused(rows: list[CrontabSchedule | IntervalSchedule | ClockedSchedule]) -> None:
    """Removes timing rows that no task uses any more (deleting a used one would delete its tasks)."""
    for row in rows:
        if not row.periodictask_set.exists():
            row.delete()


def _crontab(draft: ScheduleDraft) -> CrontabSchedule:
    """The nearest row that celery's own crontab can say; only our evaluator decides when it is due."""
    values, _is_exact = cron.parse(draft.expression, draft.time_zone).celery_fields()
    return CrontabSchedule.objects.create(timezone=draft.time_zone, **values)
