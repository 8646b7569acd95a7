"""Says that runs have ended, for whoever keeps count: the app above connects here, so that runs knows no other app."""

from __future__ import annotations

from collections.abc import Sequence

from django.dispatch import Signal

from runs.models import Run

run_ended = Signal()
"""Sent with ``run``, in the transaction that ended it. A receiver that writes opens a savepoint of its own; what it
raises is logged and changes nothing about the run."""

occurrence_missed = Signal()
"""Sent with ``schedule_id``, ``name`` and ``why`` when an occurrence was found too late to run."""

_FACTS = (
    "schedule_id", "schedule_name", "kind", "target_label", "trigger", "state", "reason", "reason_text", "error", "due_at",
)  # fmt: skip


def tell(run_ids: Sequence[int]) -> None:
    """Tells the receivers of each of these ended runs."""
    for run in Run.objects.filter(pk__in=run_ids).only(*_FACTS):
        run_ended.send_robust(Run, run=run)
