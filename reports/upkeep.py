"""What is looked after between reports: files whose time is over."""

from __future__ import annotations

from reports import retention
from runs import clock
from runs.sweeps import Sweep
from runs.tasks import RunContext

SWEEP = Sweep("report_files", "Report files whose time is over", "reports", is_due=retention.is_anything_due)


def perform_sweep(run: RunContext) -> str:
    """Removes what is due; a worker may be killed anywhere and another begins anew."""
    swept = retention.sweep(clock.now())
    leftovers = retention.remove_leftovers()
    if leftovers:
        run.log(f"{leftovers:,} half-written files of killed runs removed as well.")
    return retention.in_words(swept)
