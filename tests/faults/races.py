"""T14: many people change, pause, resume and start the same schedules in the moment at which they are due."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import connection

from runs import clock
from runs.models import AuditEntry, Run
from runs.states import Trigger
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule
from tests.faults.house import House
from tests.faults.invariants import judge
from tests.faults.results import Counts, Result
from tests.faults.timetable import Timetable

STEP_SECONDS = 0.5
"""Between the due times of two schedules."""
PATIENCE_SECONDS = 900
AT_ONCE = {"sqlite": 16, "postgresql": 60}
"""Threads inside the database at a time: SQLite's one lock is not fair, and PostgreSQL takes 100 connections."""


@dataclass
class _Turns:
    """Whose turn it is: everybody works on the schedule that is due next."""

    ids: list[int]
    began: float = field(default_factory=time.monotonic)

    def schedule(self) -> int:
        return self.ids[int((time.monotonic() - self.began) / STEP_SECONDS) % len(self.ids)]


@dataclass
class _Tally:
    """What the threads did, by their own account."""

    edits: Counter[int] = field(default_factory=Counter)
    manual: set[int] = field(default_factory=set)
    pauses: list[tuple[int, datetime, datetime]] = field(default_factory=list)
    """(schedule, after the pause had committed, before it was asked to resume)."""
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE[connection.vendor]))


def everyone_at_once(house: House, counts: Counts) -> Result:
    """T14: editors who may not overwrite each other, impatient clickers, and one who pauses."""
    timetable = Timetable()
    house.up()
    lasting = max(8.0, counts.threads * counts.edits / 20)
    count = int(min(60, lasting) / STEP_SECONDS)
    ids = timetable.in_turn(count, step=STEP_SECONDS, lasting=lasting, work="work 0 ms")
    turns = _Turns(ids)
    before = dict(Schedule.objects.values_list("pk", "time_limit_seconds"))
    tally = _Tally()
    editors = max(1, counts.threads // 2)
    threads = [threading.Thread(target=_edit, args=(turns, counts.edits, tally)) for _ in range(editors)]
    threads += [
        threading.Thread(target=_click, args=(turns, counts.edits, tally)) for _ in range(counts.threads - editors - 1)
    ]
    threads.append(threading.Thread(target=_pause, args=(turns, lasting, tally)))
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0.1, deadline - time.monotonic()))
    stuck = sum(thread.is_alive() for thread in threads)
    # Runs of one schedule wait for each other, and two processes perform over a thousand of them.
    verdict = judge(house, timetable, 60 + 4 * counts.threads)
    after = dict(Schedule.objects.values_list("pk", "time_limit_seconds"))
    lost_updates = sum(abs(before[pk] + tally.edits[pk] - after[pk]) for pk in ids)
    ran_paused = sum(
        Run.objects.filter(
            schedule_id=pk, trigger=Trigger.SCHEDULE, started_at__gt=paused, started_at__lt=resumed
        ).count()
        for pk, paused, resumed in tally.pauses
    )
    manual = Run.objects.filter(trigger=Trigger.MANUAL).count()
    audited = AuditEntry.objects.filter(action="changed the schedule").count()
    return Result(
        id="T14",
        fault="edited, paused, resumed and run now from many threads while due",
        counts=f"{len(threads)} threads × {counts.edits}, {AT_ONCE[connection.vendor]} at a time",
        ours={
            **verdict.figures(settled_s=verdict.settled_s), "edits": sum(tally.edits.values()), "lost updates": lost_updates,
            "pauses": len(tally.pauses), "ran while paused": ran_paused, "run now": manual,
        },
        bar="no lost update, nothing starts after a pause has committed, one row per due time",
        ok=verdict.ok and not (lost_updates or ran_paused or stuck or tally.errors)
        and manual == len(tally.manual) and audited == sum(tally.edits.values()),
        notes=[*sorted(set(tally.errors))[:5], f"{stuck} threads stuck, {len(tally.manual)} runs asked for, {audited} audited"],
    )  # fmt: skip


def _edit(turns: _Turns, times: int, tally: _Tally) -> None:
    """Adds one to a value, again and again; a refusal because somebody else was first is tried anew."""

    def once() -> None:
        schedule_id = turns.schedule()
        for _ in range(1000):
            seen = Schedule.objects.select_related("periodic_task").get(pk=schedule_id)
            draft = replace(ScheduleDraft.of(seen), time_limit_seconds=seen.time_limit_seconds + 1)
            try:
                services.edit_schedule(None, schedule_id, draft, seen_version=seen.changed_at)
            except ValidationError as error:
                if "Somebody else changed" not in str(error):
                    raise
                time.sleep(random.random() / 20)
                continue
            with tally.lock:
                tally.edits[schedule_id] += 1
            return
        raise AssertionError("an edit was refused 1000 times")

    _repeat(once, times, tally)


def _click(turns: _Turns, times: int, tally: _Tally) -> None:
    """Each form is sent twice: a double click."""

    def once() -> None:
        key = f"form-{random.getrandbits(64)}"
        schedule = turns.schedule()
        first, second = (services.run_now(None, schedule, idempotency_key=key).pk for _ in range(2))
        with tally.lock:
            tally.manual.add(first)
            if first != second:
                tally.errors.append("a double click started two runs")

    _repeat(once, times, tally)


def _pause(turns: _Turns, lasting: float, tally: _Tally) -> None:
    def once() -> None:
        schedule_id = turns.schedule()
        services.pause_schedule(None, schedule_id, reason="a moment")
        paused = clock.now()
        time.sleep(random.random())
        before = clock.now()
        services.resume_schedule(None, schedule_id)
        with tally.lock:
            tally.pauses.append((schedule_id, paused, before))

    _repeat(once, max(1, int(lasting)), tally)


def _repeat(once: Callable[[], None], times: int, tally: _Tally) -> None:
    try:
        for _ in range(times):
            with tally.gate:
                once()
                connection.close()
            time.sleep(random.random() / 10)
    except Exception as error:
        with tally.lock:
            tally.errors.append(f"{type(error).__name__}: {error}")
    finally:
        connection.close()
