"""Runs whose worker went silent: their lease is over and nobody renewed it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from runs import ledger, outcomes
from runs.models import Run, RunEvent
from runs.states import FINAL, Reason, State


def rescue(now: datetime) -> list[int]:
    """Decides runs whose worker went silent: another attempt, or failed. Returns the runs touched."""
    touched = []
    expired = Run.objects.filter(state=State.RUNNING, lease_until__lt=now).only("pk", "attempt", "max_attempts")
    for run in expired.order_by()[:500]:
        is_cancelled = Run.objects.filter(pk=run.pk).exclude(cancel_requested_at=None).exists()
        tries_left = run.attempt < max(run.max_attempts, ledger.LOST_WORKER_ATTEMPTS)
        silent = Run.objects.filter(pk=run.pk, state=State.RUNNING, attempt=run.attempt, lease_until__lt=now)
        if is_cancelled:
            values: dict[str, Any] = {
                "state": State.CANCELLED, "reason": Reason.CANCELLED_BY_STAFF, "finished_at": now,
                "reason_text": "cancelled; its worker had stopped before it could answer",
            }  # fmt: skip
        elif tries_left:
            values = {
                "state": State.PLANNED, "next_publish_at": now, "publish_count": 0, "reason": Reason.WORKER_LOST,
                "reason_text": "the worker stopped in the middle; starting again",
            }  # fmt: skip
        else:
            values = {
                "state": State.FAILED, "reason": Reason.WORKER_LOST, "reason_text": Reason.WORKER_LOST.label,
                "error": f"The worker stopped in the middle {run.attempt} times.", "finished_at": now,
            }  # fmt: skip
        with transaction.atomic():
            if silent.update(lease_until=None, **values):
                ledger.log(run.pk, "The worker went silent.", level=RunEvent.Level.WARNING, attempt=run.attempt)
                touched.append(run.pk)
                if values["state"] in FINAL:
                    outcomes.tell([run.pk])
                else:
                    ledger.cancel_if_asked(run.pk)  # asked for between our look and our write
    return touched
