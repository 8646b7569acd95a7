"""Changes made outside the services (a shell, the stock API, ``queryset.update``, fixtures): noticed and reconciled.

Triggers note what changed (:mod:`schedules.triggers`); each tick of a beat works the notes off before it plans. The
rules are those of every door: nothing fires retroactively, a pause withdraws what waits, what cannot be read is shown
broken, and the audit trail says what was found.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, transaction
from django_celery_beat.models import PeriodicTask

from runs import audit, clock, occurrences
from runs.locking import locked, skip_locked
from runs.states import Reason
from schedules import cron, plain_tasks, planner, storage
from schedules.drafts import ScheduleDraft
from schedules.models import YEAR_SECONDS, OutsideEdit, Schedule
from schedules.tasks import TASK

logger = logging.getLogger(__name__)

BATCH = 1000
SWITCHED_OFF = "switched off outside this desk"


class Unusable(Exception):
    """The rows cannot be a schedule; the message says why, in words."""


def reconcile() -> int:
    """Works off one batch of notes; returns how many. Costs one index probe when there are none."""
    if not OutsideEdit.objects.exists():
        return 0
    with transaction.atomic():
        notes = list(skip_locked(OutsideEdit.objects.order_by("id"))[:BATCH])
        now = clock.now()
        OutsideEdit.objects.filter(pk__in=[note.pk for note in notes]).delete()
        schedule_ids = {note.schedule_id for note in notes if note.schedule_id is not None}
        task_ids = {note.periodic_task_id for note in notes if note.periodic_task_id is not None}
        known = dict(Schedule.objects.filter(pk__in=schedule_ids).values_list("pk", "periodic_task_id"))
        for gone in schedule_ids - known.keys():
            occurrences.withdraw(gone, Reason.ENDED, "the schedule was deleted")
        # Always in the same order, so that two who lock several schedules never wait for each other.
        for task_id in sorted(task_ids | set(known.values())):
            _guarded(task_id, now, schedule_ids)
    return len(notes)


def _guarded(task_id: int, now: datetime, changed: set[int]) -> None:
    """One row that cannot be reconciled is shown broken and must not hold up the others."""
    try:
        with transaction.atomic():
            # First the lock, then the rows: what somebody else changed until then is seen as it is now.
            schedule = locked(Schedule.objects.filter(periodic_task_id=task_id)).first()
            rows = PeriodicTask.objects.select_related("crontab", "interval", "clocked", "solar")
            task = rows.filter(pk=task_id).first()
            if task is not None and schedule is not None:
                schedule.periodic_task = task
                _follow(task, schedule, now, is_ours=schedule.pk in changed)
            elif task is not None:
                _adopt(task, now)
    except OperationalError:  # a deadlock, a timeout: the whole batch is tried again, with its notes
        raise
    except Exception as error:
        logger.exception("the change to the task %s cannot be reconciled", task_id)
        Schedule.objects.filter(periodic_task_id=task_id).update(
            broken_reason=f"A change made outside this desk cannot be read: {error}"[:300], next_due_at=None
        )


def _adopt(task: PeriodicTask, now: datetime) -> None:
    """A PeriodicTask written by hand becomes a schedule; its first run is its first due time after now."""
    schedule = Schedule(
        periodic_task=task, kind=plain_tasks.KIND, target_id=task.pk, cursor_at=now, anchor_at=now, overlap="allow"
    )
    try:
        _take_timing(schedule, task, now)
    except Unusable as error:
        schedule.broken_reason = str(error)[:300]
    if not task.enabled:
        schedule.paused_at, schedule.pause_reason = now, SWITCHED_OFF
    if task.start_time is not None and task.start_time > now:
        schedule.cursor_at = task.start_time - timedelta(microseconds=1)
    _aim(schedule, schedule.cursor_at)
    schedule.save()
    audit.record(None, "took over a schedule written outside this desk", schedule, after=_facts(schedule))


def _follow(task: PeriodicTask, schedule: Schedule, now: datetime, *, is_ours: bool) -> None:
    before = _facts(schedule)
    is_switched = schedule.is_paused == task.enabled
    if is_switched and not is_ours and not task.enabled:
        schedule.paused_at, schedule.pause_reason = schedule.cursor_at, SWITCHED_OFF
    # What fell due until now is decided by the timing and the pause that held, as before every change.
    if not schedule.is_timed_anew:
        planner.settle_fully([schedule], now)
    try:
        if schedule.is_timed_anew:
            _write_in_step(schedule, task, now)
        elif _differs(schedule, task):
            _take_timing(schedule, task, now)
            _start_anew(schedule, now)
        elif schedule.broken_reason and schedule.next_due_at is None:
            _start_anew(schedule, now)  # look again: it may have been put right
        elif task.expires is not None and task.expires != schedule.ends_at:
            schedule.ends_at = task.expires
            _start_anew(schedule, now)
        elif schedule.kind == plain_tasks.KIND and (wrong := plain_tasks.problem(task)):
            raise Unusable(wrong)
        elif not schedule.settled_timing:  # written as a whole, not by the services: taken as it is
            Schedule.objects.filter(pk=schedule.pk).update(settled_timing=schedule.timing_text)
    except Unusable as error:
        schedule.broken_reason, schedule.next_due_at = str(error)[:300], None
    if is_switched:
        _follow_switch(task, schedule, is_ours=is_ours)
    if is_switched or _facts(schedule) != before:
        schedule.save()
        audit.record(None, "was changed outside this desk", schedule, before=before, after=_facts(schedule))


def _follow_switch(task: PeriodicTask, schedule: Schedule, *, is_ours: bool) -> None:
    """Brings the stock switch and our pause into step; ``is_ours`` says that our row is the one that was changed."""
    if is_ours:
        PeriodicTask.objects.filter(pk=task.pk).update(enabled=not schedule.is_paused)
    elif task.enabled:
        schedule.paused_at = None
    if schedule.is_paused:
        schedule.pause_reason = schedule.pause_reason or SWITCHED_OFF
        planner.withdraw_paused(schedule)
    else:
        schedule.paused_until, schedule.paused_by, schedule.pause_reason = None, None, ""


def _write_in_step(schedule: Schedule, task: PeriodicTask, now: datetime) -> None:
    """Our own row was changed: the stock rows follow it."""
    _start_anew(schedule, now)
    if not schedule.broken_reason:
        storage.write_periodic_task(ScheduleDraft.of(schedule), task, enabled=task.enabled)


def _start_anew(schedule: Schedule, now: datetime) -> None:
    """From now on the new timing holds; what lies before now is not made up for."""
    schedule.cursor_at = max(now, schedule.cursor_at)
    schedule.spec_version += 1
    schedule.skip_at = None
    schedule.broken_reason = ""
    _aim(schedule, schedule.cursor_at)


def _aim(schedule: Schedule, after: datetime) -> None:
    try:
        planner.aim(schedule, after)
    except cron.CronError as error:
        schedule.broken_reason = schedule.broken_reason or f"It cannot be read: {error}"[:300]
    if schedule.broken_reason:
        schedule.next_due_at, schedule.settled_timing = None, schedule.timing_text


def _differs(schedule: Schedule, task: PeriodicTask) -> bool:
    """Whether the stock rows say something else than our own row; what cannot be read differs from everything."""
    try:
        return storage.says(task) != storage.expected(ScheduleDraft.of(schedule))
    except cron.CronError:
        return True


def _take_timing(schedule: Schedule, task: PeriodicTask, now: datetime) -> None:
    """Reads the stock rows into our own. Raises Unusable."""
    if task.task != TASK and (wrong := plain_tasks.problem(task)):
        raise Unusable(wrong)
    if task.task == TASK and schedule.kind == plain_tasks.KIND:
        raise Unusable("It says nothing about what to run. Delete it, and add it here.")
    if task.crontab is not None:
        schedule.mode, schedule.time_zone = Schedule.Mode.CRON, str(task.crontab.timezone)
        schedule.expression = storage.pattern_of(task.crontab)
    elif task.interval is not None:
        seconds = storage.seconds_of(task.interval)
        if seconds < 1 or seconds != int(seconds):
            raise Unusable("It would run more often than once a second. Choose whole seconds.")
        if (schedule.mode, schedule.every_seconds) != (Schedule.Mode.INTERVAL, int(seconds)):
            schedule.anchor_at = now
        schedule.mode, schedule.every_seconds = Schedule.Mode.INTERVAL, int(seconds)
        if seconds > YEAR_SECONDS:
            raise Unusable("It would run less often than once a year. Choose a shorter interval.")
    elif task.clocked is not None:
        schedule.mode, schedule.once_at = Schedule.Mode.ONCE, task.clocked.clocked_time
    elif task.solar is not None:
        raise Unusable("Sunrise and sunset are not supported. Choose a time of day.")
    else:
        raise Unusable("It has no schedule. Edit it and say when it should run.")
    if task.expires is not None:
        schedule.ends_at = task.expires
    if task.one_off and schedule.mode != Schedule.Mode.ONCE and schedule._state.adding:
        schedule.max_runs = 1


def _facts(schedule: Schedule) -> dict[str, Any]:
    return {
        **ScheduleDraft.of(schedule).schedule_values(),
        "next_due_at": schedule.next_due_at,
        "timing": schedule.settled_timing,
        "paused_at": schedule.paused_at,
        "pause_reason": schedule.pause_reason,
        "broken_reason": schedule.broken_reason,
    }
