"""T5, T7: workers are killed under load, run out of memory, or are frozen for longer than their lease."""

from __future__ import annotations

import os
import signal
import time

from runs.models import Run
from runs.states import Reason, State
from tests.faults import stock
from tests.faults.house import House
from tests.faults.invariants import judge
from tests.faults.results import Counts, Result
from tests.faults.timetable import Timetable
from tests.integration.stack import wait_until

LEASE_SECONDS = 4
RESTART_SECONDS = LEASE_SECONDS + 5
BESIDE_OTHERS_SECONDS = 10
"""More, where other tests take the computer's time as well."""


def killed_under_load(house: House, counts: Counts) -> Result:
    """T5: a steady stream of runs, and every few seconds a whole worker or one process of its pool is killed."""
    timetable = Timetable()
    house.up(workers=3, concurrency=3)
    workers = house.processes[-3:]
    lasting = counts.kill_every * (counts.worker_kills + 1)
    per_second = max(1, round(counts.worker_runs / lasting))
    timetable.every(per_second, seconds=1, lasting=lasting, work="work 50 ms")
    timetable.once(1, after=2, work="work 0 ms in 16 MB")
    children_killed = 0
    began = time.monotonic()
    for number in range(counts.worker_kills):
        time.sleep(max(0.0, began + counts.kill_every * (number + 1) - time.monotonic()))
        worker = workers.pop(0)
        _wait_busy(house, worker.pid)
        house.kill(worker)
        house.processes.remove(worker)
        house.start_worker(3)
        workers.append(house.processes[-1])
        if child := _wait_busy(house, workers[0].pid):
            house.kill_child(child)
            children_killed += 1
    time.sleep(max(0.0, began + lasting - time.monotonic()))
    verdict = judge(house, timetable, 60 + len(timetable.expected) / 40, repeats_allowed=True)
    restarts = house.journal.restarts()
    allowed = RESTART_SECONDS + (0 if counts.is_alone else BESIDE_OTHERS_SECONDS)
    slowest = max(restarts, default=0.0)
    out_of_memory = Run.objects.filter(state=State.FAILED, reason=Reason.ERROR, error__contains="MemoryError").count()
    gave_up = Run.objects.filter(state=State.FAILED).count() - out_of_memory
    return Result(
        id="T5",
        fault="kill -9 of a worker's process group and of single pool processes under load; one job out of memory",
        counts=f"{counts.worker_kills} groups, {children_killed} processes, {len(timetable.expected)} runs",
        ours=verdict.figures(restarted=len(restarts), slowest_restart_s=slowest, failed=gave_up),
        stock=stock.workers_killed(house, min(counts.worker_kills, 10), min(counts.worker_runs, 2000))
        if counts.with_stock
        else None,
        bar=f"0 lost, 0 overlapping, restart ≤ {allowed} s after a lease of {LEASE_SECONDS} s",
        ok=verdict.ok and slowest <= allowed and out_of_memory == 1 and gave_up == 0,
    )


def _wait_busy(house: House, group: int) -> int:
    """Waits for the worker to be in the middle of a job, at most three seconds; returns the process that is."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if child := house.journal.busy(group):
            return child
        time.sleep(0.01)
    return 0


def frozen_and_woken(house: House, counts: Counts) -> Result:
    """T7: a pool process is stopped for twice its lease in the middle of a job, and goes on."""
    timetable = Timetable()
    house.up(workers=2, concurrency=1)
    timetable.once(1, work="work 2000 ms")
    wait_until(lambda: house.journal.events("start"), 30, "the job began")
    (first,) = house.journal.events("start")
    os.kill(first.pid, signal.SIGSTOP)
    try:
        time.sleep(2 * LEASE_SECONDS)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    wait_until(lambda: house.journal.events("fenced"), 30, f"the frozen attempt was told: {house.tail()}")
    verdict = judge(house, timetable, 30)
    run = Run.objects.get()
    fenced = [event.attempt for event in house.journal.events("fenced")]
    return Result(
        id="T7",
        fault="a worker's process is frozen for twice its lease, then wakes",
        counts="1",
        ours=verdict.figures(fenced=len(fenced)),
        stock=stock.long_job(house) if counts.with_stock else None,
        bar="the zombie's writes are refused, 0 overlapping",
        ok=verdict.ok and fenced == [1] and (run.state, run.attempt, run.result) == (State.SUCCEEDED, 2, "attempt 2"),
    )
