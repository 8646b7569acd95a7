"""The one Celery task that does work: perform the run whose id the message carries."""

from __future__ import annotations

from celery import shared_task

from runs import canaries  # noqa: F401 - its task must be known wherever this one is
from runs.tasks import JobFailed, LedgerTask, RunContext
from schedules import kinds

TASK = "schedules.run_job"
"""The one task name: in messages, and in the PeriodicTask rows that stock tools show."""


@shared_task(base=LedgerTask, name=TASK)
def run_job(run: RunContext) -> str:
    """Looks up the run's kind and performs it; returns the result in one line of words."""
    try:
        kind = kinds.get(run.kind)
    except kinds.UnknownKind as error:
        raise JobFailed(f"No part of this installation knows the kind of job “{run.kind}”.", may_retry=False) from error
    return kind.perform(run)
