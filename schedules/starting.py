"""Starting a thing once, now, without any schedule: for who wants last week's report at once."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from runs import audit, ledger
from runs.audit import Actor
from runs.models import Run
from runs.states import Trigger
from schedules import kinds, services, targets


def run_once(
    actor: Actor,
    kind_key: str,
    target_id: int,
    *,
    idempotency_key: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> Run:
    """Starts a newsletter, a report or whatever else schedules run once, now, without any schedule, by the kind's own rules.

    The same ``idempotency_key`` (one per rendered form) gives the same run.

    Raises:
        ValidationError: it does not exist any more.
        PermissionDenied: the actor may not start things, or not of this kind.
    """
    audit.require(actor, "schedules.run_schedule", "run something now")
    services.require_kind(actor, kind_key)
    kind = kinds.get(kind_key)
    target = kind.target(target_id)
    if target is None or not kind.is_offered:
        raise ValidationError(targets.missing(kind_key, target_id) or "This cannot be started by hand.")
    key = f"once-{kind_key[:16]}-{target_id}-{idempotency_key}"[:64] if idempotency_key else None
    with transaction.atomic():
        if key is not None and (earlier := Run.objects.filter(idempotency_key=key).first()):
            return earlier
        run = ledger.plan(
            ledger.NewRun(
                kind=kind.key, target_id=target_id, target_label=str(target)[:200], trigger=Trigger.MANUAL,
                parameters=parameters or {}, time_zone=settings.TIME_ZONE, queue=kind.queue,
                time_limit_seconds=kind.defaults.time_limit_seconds, max_attempts=min(kind.defaults.retries, 100) + 1,
                requested_by=actor, idempotency_key=key,
            )
        )  # fmt: skip
        audit.record(actor, f"started the {kind.label.lower()} now", target, after={"run": run.pk})
    return run
