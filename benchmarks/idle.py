"""What the scheduler costs while nothing is due, and how soon it acts on an edit, with very many schedules.

A real beat on a PostgreSQL that syncs to disk. The full run compares a tick at 1,000 and at 1,000,000 schedules;
``--quick`` stops at 100,000, which the figure's parameters say.

    python benchmarks/idle.py [--quick]
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks.house import house, options, process, report
from benchmarks.many import schedules

MANY = 100_000
EDITS = 5


def main() -> None:
    quick = options(__doc__ or "").quick
    largest = MANY if quick else 1_000_000
    with house():
        schedules(1_000)
        few = _tick_ms(400)
        schedules(MANY)
        _watch_beat(seconds=12 if quick else 60)
        schedules(largest)
        many = _tick_ms(400)
    report("idle.tick_ms", many, "ms", schedules=largest, at_1000=round(few, 3))
    report("idle.tick_ratio_1m_to_1k", many / few, "times", schedules=[1_000, largest])


def _watch_beat(seconds: int) -> None:
    with process("scheduler_site", "beat", "--pidfile=") as running:
        time.sleep(8)
        beat = psutil.Process(running.pid)
        before, started = sum(beat.cpu_times()[:2]), time.time()
        time.sleep(seconds)
        spent = (sum(beat.cpu_times()[:2]) - before) / (time.time() - started)
        memory = beat.memory_info().rss
        acts = [_seconds_until_an_edit_acts(number) for number in range(EDITS)]
    report("idle.cpu_percent", spent * 100, "%", schedules=MANY, watched_s=seconds)
    report("idle.rss_mb", memory / 1e6, "MB", schedules=MANY)
    report("idle.edit_acts_s", max(acts), "s", edits=EDITS, median_s=round(median(acts), 3))


def _seconds_until_an_edit_acts(number: int) -> float:
    """From a saved edit that makes a schedule due almost at once, to the run in the broker."""
    from runs import clock
    from runs.models import Run
    from schedules import services
    from schedules.drafts import ScheduleDraft
    from schedules.models import Schedule

    time.sleep(0.37 * number)  # at different moments of the beat's second
    schedule = Schedule.objects.order_by("-pk")[number]
    at = clock.now() + timedelta(milliseconds=50)
    draft = ScheduleDraft.for_kind(
        "cleanup",
        name=schedule.name,
        target_id=schedule.target_id,
        mode="once",
        once_at=at,
        start_deadline_seconds=None,
    )
    services.edit_schedule(None, schedule.pk, draft)
    saved = clock.now()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        run = Run.objects.filter(schedule_id=schedule.pk, published_at__isnull=False).first()
        if run is not None and run.published_at is not None:
            return (run.published_at - max(saved, at)).total_seconds()
        time.sleep(0.02)
    raise AssertionError("the edit did not act within 20 s")


def _tick_ms(count: int) -> float:
    """The median of what a beat does in each tick, in this process."""
    from celery import current_app

    from schedules.scheduler import LedgerScheduler

    scheduler = LedgerScheduler(app=current_app, lazy=True)
    took = []
    for _ in range(count):
        started = time.perf_counter()
        scheduler._tick()
        took.append((time.perf_counter() - started) * 1000)
    return median(took)


if __name__ == "__main__":
    main()
