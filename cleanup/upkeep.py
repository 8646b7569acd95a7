"""What is looked after between cleanings: files that are still to go, and archives whose time is over."""

from __future__ import annotations

from datetime import datetime

from cleanup import archive, outbox
from cleanup.models import FileOutbox
from runs import clock, words
from runs.sweeps import Sweep
from runs.tasks import RunContext


def perform_sweep(run: RunContext) -> str:
    """Removes what is due; a worker may be killed anywhere and another begins anew."""
    files, size = outbox.work_off(clock.now(), limit=100_000)
    run.checkpoint()
    archives = archive.sweep(clock.now())
    return (
        f"{words.counted(files, 'file')} of deleted rows removed ({size:,} bytes), and "
        f"{words.counted(archives, 'archive file')} whose time was over."
    )


def _is_due(now: datetime) -> bool:
    return FileOutbox.objects.filter(next_try_at__lte=now).exists() or archive.is_anything_due(now)


SWEEP = Sweep("cleanup_files", "Archives and files whose time is over", "cleanup", is_due=_is_due)
