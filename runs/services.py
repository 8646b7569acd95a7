"""What people may do with runs: cancel one, run one again, acknowledge failures. A second click changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import models, transaction

from runs import audit, clock, ledger
from runs.audit import Actor
from runs.models import Run
from runs.states import OPEN, State, Trigger

MOST_ACKNOWLEDGED = 500
"""Runs that one click acknowledges at most."""

_needed: dict[str, str] = {}
"""Per kind of job, the permission that starting it takes; said by whoever registers kinds."""


def require_for_kind(kind: str, permission: str) -> None:
    """From now on, running a run of this kind again takes this permission as well."""
    _needed[kind] = permission


def may_run_again(actor: Actor, run: Run) -> bool:
    """Whether :func:`retry_run` would let this person start it again; for showing the button, it decides itself."""
    if actor is None:
        return True
    needed = ["runs.retry_run", *filter(None, [_needed.get(run.kind)])]
    return isinstance(actor, models.Model) and all(actor.has_perm(one) for one in needed)  # type: ignore[attr-defined]


def cancel_run(actor: Actor, run_id: int) -> State:
    """Stops a waiting run at once and a running one at its next safe point; returns the state it is in."""
    run = Run.objects.get(pk=run_id)
    audit.require(actor, "runs.cancel_run", "cancel the run", run)
    if run.state == State.CANCELLED or (run.is_open and run.cancel_requested_at is not None):
        return State(run.state)
    if not run.is_open:
        raise ValidationError("This run has already ended; there is nothing left to cancel.")
    with transaction.atomic():
        state = ledger.request_cancel(run)
        audit.record(actor, "cancelled the run", run, before={"state": run.state}, after={"state": state})
    return state


def retry_run(actor: Actor, run_id: int, *, idempotency_key: str | None = None) -> Run:
    """Runs a failed, missed, skipped or cancelled occurrence again, for the same due time.

    What the first run finished is not done twice: a newsletter goes only to those who have not had it. While it is
    being run again already, that run is returned.
    """
    run = Run.objects.get(pk=run_id)
    audit.require(actor, "runs.retry_run", "run it again", run)
    if needed := _needed.get(run.kind):
        audit.require(actor, needed, "run it again", run)
    if run.is_open or run.state == State.SUCCEEDED:
        raise ValidationError("Only a run that ended without success can be run again.")
    key = idempotency_key or f"retry-{run.pk}-{run.retries.count()}"
    under_way = Run.objects.filter(retry_of_id=run.pk, state__in=OPEN) | Run.objects.filter(idempotency_key=key)
    if already := under_way.order_by("-id").first():
        return already
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
                idempotency_key=key,
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
        if Run.objects.filter(pk=run.pk, acknowledged_at=None).update(acknowledged_at=clock.now()):
            audit.record(actor, "acknowledged the run", run)
    run.refresh_from_db()
    return run


def acknowledge_runs(actor: Actor, run_ids: Sequence[int]) -> int:
    """Notes several failed or missed runs, all of them or none; returns how many had not been noted yet.

    Raises:
        ValidationError: nothing is chosen, or more than 500.
        PermissionDenied: the actor may not.
    """
    audit.require(actor, "runs.retry_run", "acknowledge runs")
    if not run_ids:
        raise ValidationError("Choose the runs to acknowledge first.")
    if len(set(run_ids)) > MOST_ACKNOWLEDGED:
        raise ValidationError(f"At most {MOST_ACKNOWLEDGED} runs can be acknowledged at once.")
    unnoted = Run.objects.filter(pk__in=set(run_ids), state__in=(State.FAILED, State.MISSED), acknowledged_at=None)
    with transaction.atomic():
        runs = list(unnoted.order_by("pk").only("schedule_name", "target_label", "kind"))
        Run.objects.filter(pk__in=[run.pk for run in runs]).update(acknowledged_at=clock.now())
        for run in runs:
            audit.record(actor, "acknowledged the run", run)
    return len(runs)
