"""T1, T3, T11: the broker is away, forgets, drops its connections, or is full."""

from __future__ import annotations

import time
from datetime import datetime

from django.conf import settings
from django.db import connections
from django.db.models import Sum

from runs import clock
from runs.models import Run
from runs.states import State
from scheduler_site import health
from tests.faults import stock
from tests.faults.house import House, within
from tests.faults.invariants import judge, run_ids
from tests.faults.results import Counts, Result
from tests.faults.timetable import Timetable
from tests.integration.stack import wait_until

RECOVER_SECONDS = 15
SETTLE_SECONDS = 60


def broker_away(house: House, counts: Counts) -> Result:
    """T1: schedules come due while the broker does not run."""
    timetable = Timetable()
    house.up()
    slowest = 0.0
    stock_figures: dict[str, float] | None = None
    for seconds in counts.outages:
        # A longer outage, a slower timetable: what has gathered must fit what two processes perform in the time.
        timetable.every(5, seconds=max(2, int(seconds) // 30), lasting=seconds + 6)
        time.sleep(3)
        house.valkey.kill()
        time.sleep(seconds)
        house.valkey.start()
        back, now = time.monotonic(), clock.now()
        due = timetable.due_until(now)
        slowest = max(slowest, last_claim(house, due, SETTLE_SECONDS) - back)
    verdict = judge(house, timetable, SETTLE_SECONDS)
    if counts.with_stock:
        stock_figures = stock.broker_away(house, min(counts.outages[-1], 60))
    return Result(
        id="T1",
        fault="the broker is away while schedules come due",
        counts=", ".join(f"{seconds:g} s" for seconds in counts.outages),
        ours=verdict.figures(last_claim_s=slowest),
        stock=stock_figures,
        bar=f"0 lost, all claimed ≤ {RECOVER_SECONDS} s after its return",
        ok=verdict.ok and slowest <= RECOVER_SECONDS,
    )


def last_claim(house: House, due: set[tuple[int, datetime]], wait: float) -> float:
    """The monotonic second at which the last of these occurrences was claimed; now, when one was not in time."""

    def claimed() -> bool:
        runs = run_ids(due)
        return len(runs) == len(due) and runs <= set(house.journal.starts())

    if within(wait, claimed) is None:
        return time.monotonic()
    starts = house.journal.starts()
    return max((starts[run][0].at for run in run_ids(due)), default=0.0)


def broker_forgets(house: House, counts: Counts) -> Result:
    """T3: a restart, a flush, a kill without any file on disk, and then connections killed again and again."""
    timetable = Timetable()
    house.up(workers=0)
    for fault in ("restart", "flush", "forget"):
        before = Run.objects.filter(state=State.PUBLISHED).count()
        timetable.once(counts.forgotten)
        wait_until(
            lambda before=before: Run.objects.filter(state=State.PUBLISHED).count() == before + counts.forgotten,  # type: ignore[misc]
            30,
            "the messages are in the broker",
        )
        if fault == "restart":
            house.valkey.stop()
            house.valkey.start()
        elif fault == "flush":
            house.valkey.client.flushall()
        else:
            house.valkey.forget()
            house.valkey.start()
    house.up(beats=0, workers=1)
    timetable.every(5, seconds=1, lasting=counts.client_kill_seconds + 2)
    killed = 0
    until = time.monotonic() + counts.client_kill_seconds
    while time.monotonic() < until:
        time.sleep(2)
        killed += int(house.valkey.client.execute_command("CLIENT", "KILL", "TYPE", "normal"))  # type: ignore[no-untyped-call]
    # Two processes have more than 3 × ``forgotten`` runs to catch up with, and as many repeated messages to drop.
    verdict = judge(house, timetable, SETTLE_SECONDS + counts.forgotten)
    dropped = Run.objects.aggregate(total=Sum("duplicates_dropped"))["total"] or 0
    return Result(
        id="T3",
        fault="broker restarted, flushed, killed with no file; its connections killed every 2 s",
        counts=f"3 × {counts.forgotten} messages, {counts.client_kill_seconds:g} s of kills ({killed} connections)",
        ours=verdict.figures(settled_s=verdict.settled_s, repeats_dropped=dropped),
        stock=stock.broker_forgets(house, counts.forgotten) if counts.with_stock else None,
        bar="0 lost, 0 double",
        ok=verdict.ok,
    )


def memory_full(house: House, counts: Counts) -> Result:
    """T11: the broker may take no more memory while many runs come due, and is given more later."""
    timetable = Timetable()
    client = house.valkey.client
    house.up()
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 100_000)
    timetable.once(counts.starving_runs, work="work 0 ms")
    refused = within(30, lambda: client.info("stats")["total_error_replies"] > 0)
    time.sleep(counts.starving_seconds)
    began = len(house.journal.starts())
    client.config_set("maxmemory", 0)
    exits = 0
    worker = house.processes[-1]
    # One that met the full broker takes a while to end; one that lives must work again by itself.
    within(SETTLE_SECONDS, lambda: worker.poll() is not None or len(house.journal.starts()) > began)
    if worker.poll() is not None:  # a supervisor starts it again
        exits = 1
        house.up(beats=0)
    verdict = judge(house, timetable, SETTLE_SECONDS + counts.starving_runs / 10)
    refuses_eviction = _readiness_by_policy(house)
    return Result(
        id="T11",
        fault="the broker's memory is full; wrong eviction policy",
        counts=f"{counts.starving_runs} runs",
        ours=verdict.figures(claimed_while_full=began, worker_exits=exits),
        stock=stock.memory_full(house) if counts.with_stock else None,
        bar="0 lost, and /readyz refuses every eviction policy",
        ok=verdict.ok and refused is not None and refuses_eviction,
        notes=[f"publishing was refused: {refused is not None}; readyz as expected: {refuses_eviction}"],
    )


def _readiness_by_policy(house: House) -> bool:
    """Whether the broker's readiness is refused for each policy that drops messages, and given for the other."""
    before = settings.BROKER_URL
    settings.BROKER_URL = house.valkey.url
    answers = {}
    try:
        for policy in ("allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "noeviction"):
            house.valkey.client.config_set("maxmemory-policy", policy)
            answers[policy] = bool(health.status("broker")["broker"]["ok"])
    finally:
        settings.BROKER_URL = before
        connections.close_all()
    return [policy for policy, ok in answers.items() if ok] == ["noeviction"]
