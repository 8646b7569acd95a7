"""The harness's kind of job: it journals its start, works for as long as its target's name says, and journals its end.

Targets are groups, named for instance ``work 50 ms``; ``work 50 ms in 16 MB`` runs out of memory.
"""

from __future__ import annotations

import os
import re
import resource
import time

from django.contrib.auth.models import Group

from runs import ledger
from runs.tasks import JobFailed, RunContext
from schedules import kinds
from tests.faults import journal

KIND = "fault"
SLICE_SECONDS = 0.05


def perform(run: RunContext) -> str:
    """One attempt. Its effect, the line ``end``, comes only after the ledger has confirmed that the run is still its own."""
    path = os.environ[journal.VARIABLE]
    journal.note(path, "start", run.id, run.attempt)
    try:
        name = Group.objects.values_list("name", flat=True).get(pk=run.target_id or 0)
        milliseconds, megabytes = _read(name)
        if megabytes:
            _run_out_of_memory(megabytes)
        _work(run, milliseconds / 1000)
        run.confirm()
    except ledger.WorkerStopping:
        journal.note(path, "left", run.id, run.attempt)
        raise
    except ledger.LeaseLost:
        journal.note(path, "fenced", run.id, run.attempt)
        raise
    except Exception:
        journal.note(path, "left", run.id, run.attempt)
        raise
    journal.note(path, "end", run.id, run.attempt)
    return f"attempt {run.attempt}"


def _read(name: str) -> tuple[int, int]:
    found = re.fullmatch(r"work (\d+) ms(?: in (\d+) MB)?", name)
    if found is None:
        raise JobFailed(f"“{name}” does not say how long to work.")
    return int(found[1]), int(found[2] or 0)


def _work(run: RunContext, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, SLICE_SECONDS))
        run.checkpoint()


def _run_out_of_memory(megabytes: int) -> None:
    """Asks for more memory than the process may have; raises MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115 - two words from the kernel
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 2**20, before[1]))
    try:
        bytearray(4 * megabytes * 2**20)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def register() -> None:
    """Announces the kind."""
    kinds.register(kinds.JobKind(key=KIND, label="Fault test", perform=perform, target_model="auth.Group"))
