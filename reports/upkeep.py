"""What is looked after between reports: files whose time is over, and reports whose worker never came back."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from django.db import transaction

from reports import retention
from reports.models import ReportRun
from runs import clock, ledger, outcomes
from runs.models import Run
from runs.states import State, Trigger
from runs.tasks import RunContext

SWEEP_KIND = "report_files"
LOOK_SECONDS = 60
SLOT_SECONDS = 300
"""At most one sweep is asked for in so long a time, however many processes look."""

_OPEN = (ReportRun.State.QUEUED, ReportRun.State.RUNNING)
_look_at = 0.0


def look_after(now: datetime) -> None:
    """Called with every check of the watchdog; looks once a minute and leaves the work itself to a worker."""
    global _look_at
    if time.monotonic() < _look_at:
        return
    _look_at = time.monotonic() + LOOK_SECONDS
    if retention.is_anything_due(now):
        ask_for_sweep(now)


def ask_for_sweep(now: datetime) -> Run:
    """Plans a run that removes files whose time is over; the same run for whoever asks within five minutes."""
    slot = int(now.timestamp()) // SLOT_SECONDS
    return ledger.plan(
        ledger.NewRun(
            kind=SWEEP_KIND, target_id=None, target_label="Report files whose time is over", trigger=Trigger.EVENT,
            queue="reports", exclusive=False, max_attempts=3, idempotency_key=f"report-files-{slot}",
        )
    )  # fmt: skip


def perform_sweep(run: RunContext) -> str:
    """Removes what is due; a worker may be killed anywhere and another begins anew."""
    swept = retention.sweep(clock.now())
    leftovers = retention.remove_leftovers()
    if leftovers:
        run.log(f"{leftovers:,} half-written files of killed runs removed as well.")
    return retention.in_words(swept)


def connect() -> None:
    """Called once the apps are loaded."""
    outcomes.run_ended.connect(close_abandoned, dispatch_uid="reports.upkeep")


def close_abandoned(sender: Any, run: Run, **_: Any) -> None:
    """Ends the record of a report whose run ended without it: its worker was lost, or it was cancelled while it waited."""
    if run.kind != "report" or run.state == State.SUCCEEDED:
        return
    state = ReportRun.State.CANCELLED if run.state == State.CANCELLED else ReportRun.State.FAILED
    why = run.error or run.reason_text or "Its run ended before the report was made."
    with transaction.atomic():
        still_open = ReportRun.objects.filter(run_id=run.pk, state__in=_OPEN)
        still_open.update(state=state, error=f"{why[:1].upper()}{why[1:]}"[:500])
