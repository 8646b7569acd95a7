"""What people may do with a run: cancel it, run it again, acknowledge its failure."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from runs import audit, clock, ledger
from runs.audit import Actor
from runs.models import Run
from runs.states import State, Trigger

_needed: dict[str, str] = {}
"""Per kind of job, the permission that starting it takes; said by whoever registers kinds."""


def require_for_kind(kind: str, permission: str) -> None:
    """From now on, running a run of this kind again takes this permission as well."""
    _needed[kind] = permission


def cancel_run(actor: Actor, run_id: int) -> State:
    """Stops a waiting run at once and a running one at its next safe point; returns the state it is in."""
    run = Run.objects.get(pk=run_id)
    audit.require(actor, "runs.cancel_run", "cancel the run", run)
    if not run.is_open:
        raise ValidationError("This run has already ended.")
    with transaction.atomic():
        state = ledger.request_cancel(run)
        audit.record(actor, "cancelled the run", run, before={"state": run.state}, after={"state": state})
    return state


def retry_run(actor: Actor, run_id: int, *, idempotency_key: str | None = None) -> Run:
    """Runs a failed, missed, skipped or cancelled occurrence again, for the same due time.

    What the first run finished is not done twice: a newsletter goes only to those who have not had it.
    """
    run = Run.objects.get(pk=run_id)
    audit.require(actor, "runs.retry_run", "run it again", run)
    if needed := _needed.get(run.kind):
        audit.require(actor, needed, "run it again", run)
    if run.is_open or run.state == State.SUCCEEDED:
        raise ValidationError("Only a run that ended without success can be run again.")
    with transaction.atomic():
        again = ledger.plan(
            ledger.NewRun(
                kind=run.kind,
                target_id=run.target_id,
                target_label=run.target_label,
                trigger=Trigger.RETRY,
                due_at=run.due_at,
                schedule_id=run.schedule_id,
                schedule_name=run.schedule_name,
                parameters=run.parameters,
                time_zone=run.time_zone,
                queue=run.queue,
                exclusive=run.exclusive,
                time_limit_seconds=run.time_limit_seconds,
                max_attempts=run.max_attempts,
                retry_delay_seconds=run.retry_delay_seconds,
                requested_by=actor,
                idempotency_key=idempotency_key or f"retry-{run.pk}-{run.retries.count()}",
                retry_of_id=run.pk,
            )
        )
        audit.record(actor, "ran it again", run, after={"run": again.pk})
    return again


def acknowledge_run(actor: Actor, run_id: int) -> Run:
    """Notes that somebody has seen a failed or missed run, so that it no longer asks for attention."""
    run = Run.objects.get(pk=run_id)
    audit.require(actor, "runs.retry_run", "acknowledge the run", run)
    with transaction.atomic():
        Run.objects.filter(pk=run.pk, acknowledged_at=None).update(acknowledged_at=clock.now())
        audit.record(actor, "acknowledged the run", run)
    run.refresh_from_db()
    return run
