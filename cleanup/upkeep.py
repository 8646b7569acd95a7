"""What is looked after between cleanings: files that are still to go, and archives whose time is over."""

from __future__ import annotations

import time
from datetime import datetime

from cleanup import archive, outbox
from cleanup.models import FileOutbox
from runs import clock, ledger, words
from runs.models import Run
from runs.states import Trigger
from runs.tasks import RunContext

SWEEP_KIND = "cleanup_files"
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
    if FileOutbox.objects.filter(next_try_at__lte=now).exists() or archive.is_anything_due(now):
        ask_for_sweep(now)


def ask_for_sweep(now: datetime) -> Run:
    """Plans a run that removes what is due; the same run for whoever asks within five minutes."""
    slot = int(now.timestamp()) // SLOT_SECONDS
    return ledger.plan(
        ledger.NewRun(
            kind=SWEEP_KIND, target_id=None, target_label="Archives and files whose time is over", trigger=Trigger.EVENT,
            queue="cleanup", exclusive=False, max_attempts=3, idempotency_key=f"cleanup-files-{slot}",
        )
    )  # fmt: skip


def perform_sweep(run: RunContext) -> str:
    """Removes what is due; a worker may be killed anywhere and another begins anew."""
    files, size = outbox.work_off(clock.now(), limit=100_000)
    run.checkpoint()
    archives = archive.sweep(clock.now())
    return (
        f"{words.counted(files, 'file')} of deleted rows removed ({size:,} bytes), and "
        f"{words.counted(archives, 'archive file')} whose time was over."
    )
