"""What is looked after between reports: files whose time is over."""

from __future__ import annotations

import time
from datetime import datetime

from reports import retention
from runs import clock, ledger
from runs.models import Run
from runs.states import Trigger
from runs.tasks import RunContext

SWEEP_KIND = "report_files"
LOOK_SECONDS = 60
SLOT_SECONDS = 300
"""At most one sweep is asked for in so long a time, however many processes look."""

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
