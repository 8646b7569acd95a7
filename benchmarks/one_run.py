"""One run of a job: planned, then performed in this process or by a real worker."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any


def plan(kind: str, target: Any, queue: str) -> Any:
    """A run that nobody has performed yet, due now; ``target`` is what it is about, such as a policy."""
    from runs import ledger
    from runs.states import Trigger

    return ledger.plan(
        ledger.NewRun(
            kind=kind, target_id=target.pk, target_label=target.name, trigger=Trigger.MANUAL, due_at=datetime.now(UTC),
            queue=queue, time_limit_seconds=7200,
        )
    )  # fmt: skip


def perform(run: Any) -> None:
    """Performs it in this process."""
    from schedules.tasks import run_job

    run_job(run.pk)
    run.refresh_from_db()
    assert run.state == "succeeded", run.error


def wait_for(run: Any, look_seconds: float = 0.1) -> None:
    """Lets a worker that is there perform it, and looks so often whether it has."""
    hand_to_broker()
    while run.finished_at is None:
        time.sleep(look_seconds)
        run.refresh_from_db()
    assert run.state == "succeeded", run.error


def hand_to_broker() -> None:
    """Sends every run that is due."""
    from scheduler_site.celery import app
    from schedules import publisher

    with app.producer_or_acquire() as producer:
        publisher.publish_due(app, producer)
