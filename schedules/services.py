"""Everything that changes a schedule, for every door: admin, command line, fixtures, code.

Each function checks the permission, works in one transaction, and writes an audit entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from runs import audit, clock, ledger, locking, names, occurrences
from runs.audit import Actor
from runs.models import Run
from runs.states import Reason, Trigger
from schedules import backfill, kinds, planner, storage, targets
from schedules.drafts import ScheduleDraft, validate
from schedules.models import Schedule
from schedules.policies import RESUME_CHOICES


def create_schedule(actor: Actor, draft: ScheduleDraft) -> Schedule:
    """Adds a schedule whose first run is its first due time after now.

    Raises:
        ValidationError: a message per field.
        PermissionDenied: the actor may not add schedules, or not of this kind.
    """
    audit.require(actor, "schedules.add_schedule", "create a schedule")
    require_kind(actor, draft.kind)
    validate(draft)
    with _own_name(draft):
        targets.hold(draft.kind, draft.target_id)
        now = clock.now()
        task = storage.write_periodic_task(draft, None, enabled=True)
        schedule = Schedule(periodic_task=task, cursor_at=now, anchor_at=now, **draft.schedule_values())
        schedule.owner_id = actor.pk if actor is not None else None
        planner.aim(schedule, now)
        schedule.save()
        audit.record(actor, "created the schedule", schedule, after=_facts(schedule))
    return schedule


def edit_schedule(
    actor: Actor, schedule_id: int, draft: ScheduleDraft, *, reason: str = "", seen_version: datetime | None = None
) -> Schedule:
    """Changes a schedule. Never fires retroactively: only due times after now follow the new values.

    ``seen_version`` is the ``changed_at`` that the editor saw; a later change by somebody else is refused.

    Raises:
        ValidationError: a message per field, or that somebody else changed it meanwhile.
        PermissionDenied: the actor may not.
    """
    schedule = _permitted(actor, schedule_id, "schedules.change_schedule", "change the schedule")
    require_kind(actor, draft.kind)
    validate(draft, schedule)
    with _own_name(draft):
        targets.hold(draft.kind, draft.target_id)
        schedule = _settled(schedule_id)
        if seen_version is not None and schedule.changed_at != seen_version:
            raise ValidationError(
                "Somebody else changed this schedule while you were editing. Open it again to see their change."
            )
        before = _facts(schedule)
        is_new_timing = ScheduleDraft.of(schedule).timing_values != draft.timing_values
        storage.write_periodic_task(draft, schedule.periodic_task, enabled=not schedule.is_paused)
        for name, value in draft.schedule_values().items():
            setattr(schedule, name, value)
        schedule.broken_reason = ""
        if is_new_timing:
            schedule.spec_version += 1
            schedule.skip_at = None
        planner.aim(schedule, schedule.cursor_at)
        schedule.save()
        audit.record(actor, "changed the schedule", schedule, before=before, after=_facts(schedule), reason=reason)
    return schedule


def pause_schedule(
    actor: Actor, schedule_id: int, *, reason: str, until: datetime | None = None, replace: bool = False
) -> Schedule:
    """Stops it from running. Every occurrence in the pause is recorded as skipped, with the reason.

    Runs that still wait for a worker are withdrawn; one that is running goes on. A pause that somebody made before
    stands as it is, unless ``replace`` says that its reason and end are to be written anew.

    Raises:
        ValidationError: no reason, an end that has passed, or it is paused already.
        PermissionDenied: the actor may not.
    """
    schedule = _permitted(actor, schedule_id, "schedules.pause_schedule", "pause the schedule")
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": "Say why it is paused, so that others understand."})
    if len(reason) > 200:
        raise ValidationError({"reason": "The reason is longer than 200 characters."})
    if until is not None and until <= clock.now():
        raise ValidationError({"until": "That time has passed. Choose a later one, or leave it empty."})
    with transaction.atomic():
        schedule = _settled(schedule_id)
        if schedule.is_paused and not replace:
            raise ValidationError(f"It is paused already: {schedule.pause_reason}. To change that, resume it first.")
        before = _facts(schedule)
        schedule.paused_at = schedule.paused_at or schedule.cursor_at
        schedule.paused_until, schedule.pause_reason = until, reason
        schedule.paused_by_id = actor.pk if actor is not None else None
        planner.withdraw_paused(schedule)
        schedule.save()
        _enable(schedule, False)
        audit.record(actor, "paused the schedule", schedule, before=before, after=_facts(schedule), reason=reason)
    return schedule


def resume_schedule(actor: Actor, schedule_id: int, *, run: str = "none") -> Schedule:
    """Lets it run again from its next due time on.

    ``run`` says what becomes of the occurrences that the pause left out: none of them, the latest or all of
    them (at most :data:`schedules.backfill.MOST`, the latest ones) are run now, one after another.

    Raises:
        ValidationError: ``run`` is none of these, or what it should run no longer exists.
        PermissionDenied: the actor may not resume it, or not run it.
    """
    schedule = _permitted(actor, schedule_id, "schedules.pause_schedule", "resume the schedule")
    if run not in dict(RESUME_CHOICES):
        raise ValidationError({"run": "Choose whether to run none, the latest or all of what was left out."})
    if run != "none":
        audit.require(actor, "schedules.run_schedule", "run what the pause left out", schedule)
        require_kind(actor, schedule.kind)
    with transaction.atomic():
        schedule = _settled(schedule_id)
        if not schedule.is_paused:
            return schedule
        before = _facts(schedule)
        left_out = [] if run == "none" else backfill.left_out_by_pause(schedule)
        schedule.paused_at = schedule.paused_until = schedule.paused_by = None
        schedule.pause_reason = ""
        schedule.consecutive_failures = 0
        schedule.save()
        _enable(schedule, True)
        runs = backfill.plan(actor, schedule, left_out[-1:] if run == "latest" else left_out, "resume")
        after = _facts(schedule) | ({"runs": [planned.pk for planned in runs]} if runs else {})
        audit.record(actor, "resumed the schedule", schedule, before=before, after=after)
    return schedule


def backfill_schedule(
    actor: Actor, schedule_id: int, start: datetime, end: datetime, *, reason: str = "", key: str = ""
) -> list[Run]:
    """Runs what was due from ``start`` to ``end`` (both included) and has not succeeded, one after another.

    :func:`schedules.backfill.due_times` shows the same list beforehand. The same ``key`` runs it once.

    Raises:
        ValidationError: the stretch lies in the future, is empty, or holds too many due times.
        PermissionDenied: the actor may not run the schedule.
    """
    schedule = _permitted(actor, schedule_id, "schedules.run_schedule", "run past due times")
    require_kind(actor, schedule.kind)
    with transaction.atomic():
        schedule = _settled(schedule_id)
        wanted = backfill.due_times(schedule, start, end, clock.now())
        if not wanted:
            raise ValidationError("Nothing in this stretch of time is left to run.")
        runs = backfill.plan(actor, schedule, wanted, f"backfill-{key}" if key else "")
        facts = {"from": start, "to": end, "runs": [run.pk for run in runs]}
        audit.record(actor, "ran past due times", schedule, after=facts, reason=reason)
    return runs


def skip_next(actor: Actor, schedule_id: int) -> datetime:
    """Leaves out the next due time only; returns it. :func:`unskip_next` takes it back."""
    schedule = _permitted(actor, schedule_id, "schedules.pause_schedule", "skip the next run")
    with transaction.atomic():
        # "Next" is decided inside the write, so a run that starts this moment cannot be confused with it.
        schedule = _settled(schedule_id)
        upcoming = schedule.timing.upcoming(schedule.cursor_at, 20) if schedule.next_due_at is not None else []
        next_run = next((due for due in upcoming if not schedule.why_day_off(due)), None)
        if next_run is None or (schedule.ends_at is not None and next_run > schedule.ends_at):
            raise ValidationError("It has no next run to skip.")
        schedule.skip_at = next_run
        schedule.save()
        audit.record(actor, "chose to skip the next run", schedule, after={"skip_at": schedule.skip_at})
    return schedule.skip_at


def unskip_next(actor: Actor, schedule_id: int) -> Schedule:
    """Takes back :func:`skip_next`, as long as the skipped time has not come."""
    schedule = _permitted(actor, schedule_id, "schedules.pause_schedule", "undo the skip")
    with transaction.atomic():
        schedule = _settled(schedule_id)
        schedule.skip_at = None
        schedule.save()
        audit.record(actor, "took back the skip", schedule)
    return schedule


def run_now(
    actor: Actor, schedule_id: int, *, idempotency_key: str | None = None, parameters: dict[str, Any] | None = None
) -> Run:
    """Starts it once, now, also while it is paused; its clock is not touched.

    The same ``idempotency_key`` (one per rendered form) gives the same run, so a double click runs once.
    """
    schedule = _permitted(actor, schedule_id, "schedules.run_schedule", "run the schedule now")
    require_kind(actor, schedule.kind)
    target = schedule.target()
    if target is None:
        raise ValidationError(targets.CHOOSE_ANOTHER)
    key = f"now-{schedule.pk}-{idempotency_key}"[:64] if idempotency_key else None
    with transaction.atomic():
        if key is not None and (earlier := Run.objects.filter(idempotency_key=key).first()):
            return earlier
        run = ledger.plan(
            ledger.NewRun(
                **schedule.run_values(),
                target_label=str(target)[:200],
                trigger=Trigger.MANUAL,
                requested_by=actor,
                idempotency_key=key,
                parameters=parameters or {},
            )
        )
        audit.record(actor, "started the schedule now", schedule, after={"run": run.pk})
    return run


def delete_schedule(actor: Actor, schedule_id: int) -> None:
    """Removes the schedule; its runs stay in the ledger. Runs that still wait for a worker are withdrawn."""
    schedule = _permitted(actor, schedule_id, "schedules.delete_schedule", "delete the schedule")
    with transaction.atomic():
        schedule = _settled(schedule_id)
        audit.record(actor, "deleted the schedule", schedule, before=_facts(schedule))
        occurrences.withdraw(schedule.pk, Reason.ENDED, "the schedule was deleted")
        task = schedule.periodic_task
        rows = storage.timing_rows(task)
        task.delete()
        storage.delete_unused(rows)


def _permitted(actor: Actor, schedule_id: int, permission: str, action: str) -> Schedule:
    """The schedule, if the actor may do this with it. Raises PermissionDenied, which is recorded."""
    schedule = _existing(Schedule.objects.select_related("periodic_task"), schedule_id)
    audit.require(actor, permission, action, schedule)
    return schedule


def _existing(schedules: QuerySet[Schedule], schedule_id: int) -> Schedule:
    schedule = schedules.filter(pk=schedule_id).first()
    if schedule is None:
        raise ValidationError("Somebody deleted this schedule a moment ago. Its runs are still in the ledger.")
    return schedule


def _settled(schedule_id: int) -> Schedule:
    """The schedule, locked, with every due time up to now decided under the rules that still hold."""
    schedule = _existing(locking.locked(Schedule.objects.select_related("periodic_task")), schedule_id)
    planner.settle_fully([schedule], clock.now())
    return Schedule.objects.select_related("periodic_task").get(pk=schedule_id)


@contextmanager
def _own_name(draft: ScheduleDraft) -> Iterator[None]:
    """A transaction in which somebody else may take the same name between our look and our write."""
    try:
        with transaction.atomic():
            yield
    except (IntegrityError, ValidationError) as error:  # the stock row looks for its name once more
        is_about_names = isinstance(error, IntegrityError) or "name" in getattr(error, "error_dict", {})
        if not is_about_names or not PeriodicTask.objects.filter(name=draft.name).exists():
            raise
        raise ValidationError({"name": names.taken(draft.name, "schedule")}) from None


def _enable(schedule: Schedule, enabled: bool) -> None:
    """Keeps the stock flag in step, by its own column only, and tells stock tools that something changed."""
    PeriodicTask.objects.filter(pk=schedule.periodic_task_id).update(enabled=enabled)
    PeriodicTasks.update_changed()


def require_kind(actor: Actor, kind_key: str) -> None:
    """Refuses whoever may not start this kind of job.

    Raises:
        ValidationError: nobody knows the kind.
        PermissionDenied: it takes a permission that the actor lacks; recorded.
    """
    kind = kinds.find(kind_key)
    if kind is None:
        raise ValidationError({"target_id": "Choose what to run."})
    if kind.admin_permission:
        audit.require(actor, kind.admin_permission, f"schedule or start a {kind.label.lower()}")


def _facts(schedule: Schedule) -> dict[str, Any]:
    """The values that the audit trail keeps."""
    facts = ScheduleDraft.of(schedule)
    values: dict[str, Any] = {"name": facts.name, **facts.schedule_values()}
    return values | {
        "paused_at": schedule.paused_at,
        "paused_until": schedule.paused_until,
        "pause_reason": schedule.pause_reason,
        "next_due_at": schedule.next_due_at,
    }
