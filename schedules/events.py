"""Starts a job because something happened (an upload, a sign-up), through the same ledger as schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models

from runs import ledger
from runs.audit import Actor
from runs.models import Run
from runs.states import Trigger
from schedules import kinds


def start(
    kind_key: str,
    target: models.Model,
    *,
    requested_by: Actor = None,
    parameters: dict[str, Any] | None = None,
    idempotency_key: str | None = None,
    max_attempts: int = 5,
    not_before_at: datetime | None = None,
) -> Run:
    """Plans a run of the kind for the target; a beat hands it to a worker within about a second, or at ``not_before_at``.

    Call it inside the transaction that saves the target: the run exists exactly when the target does,
    and the page that asked never waits for the broker.
    """
    kind = kinds.get(kind_key)
    return ledger.plan(
        ledger.NewRun(
            kind=kind.key,
            target_id=target.pk,
            target_label=str(target)[:200],
            trigger=Trigger.EVENT,
            parameters=parameters or {},
            queue=kind.queue,
            exclusive=False,
            time_limit_seconds=kind.defaults.time_limit_seconds,
            max_attempts=max_attempts,
            retry_delay_seconds=10,
            requested_by=requested_by,
            idempotency_key=idempotency_key,
            due_at=not_before_at,
            not_before_at=not_before_at,
        )
    )
