"""How fast due schedules reach the broker: ours against stock DatabaseScheduler and RedBeat, in the same run.

Real beat processes, a PostgreSQL that syncs to disk, Valkey. What is timed is the length of the broker's queue, seen
from outside, from the moment the schedules are due. Ours are measured with two beats, which share the work as they would
in production, and with one; the peers allow only one. In the full run everything is a crontab due at a full minute. In
``--quick`` ours and RedBeat's are intervals due at one second; the stock scheduler starts with crontabs that have not run
for two minutes, and is counted from its first message on, so that neither its start nor its loading costs it anything.

    python benchmarks/dispatch.py [--quick]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import redis

from benchmarks.house import house, options, process, report, wait_until

BEAT_START = 5.0
"""Seconds that a beat gets to start in before its schedules are due."""
BEAT = ("beat", "--pidfile=")
TASK = "benchmarks.nothing"
"""No peer knows it, so nothing but the scheduling is measured; our own rows say themselves what they run."""
Arrivals = list[tuple[float, int]]


def main() -> None:
    quick = options(__doc__ or "").quick
    with house() as broker:
        if not quick:
            alone = ours(broker, 10_000, beats=1, quick=quick)
            report("dispatch.rate_of_one_beat", _rate(alone), "messages/s", last_published_s=round(alone[-1][0], 3))
        seen = ours(broker, 10_000, beats=2, quick=quick)
        _report_ours(broker, 10_000, seen)
        mine = _rate(seen)
        peer(broker, "stock", 5_000, 6 if quick else 58, mine, quick=quick)
        peer(broker, "redbeat", 5_000, 7 if quick else 58, mine, quick=quick)
        if not quick:
            start_lateness(runs_a_minute=100)


def ours(broker: redis.Redis, count: int, *, beats: int, quick: bool) -> Arrivals:
    """Plans and publishes ``count`` schedules on 50 different timings, all due at one moment."""
    broker.flushall()
    due_at = _due_at(quick=quick, setting_up=5)
    _our_schedules(count, due_at, quick=quick)
    queue = f"{os.environ.get('BROKER_PREFIX', 'almanac:')}cleanup"
    with ExitStack() as running:
        for _ in range(beats):
            running.enter_context(process("scheduler_site", *BEAT))
        if time.time() > due_at - BEAT_START / 2:
            print("the beats had little time to start in; it is part of the figures", file=sys.stderr)
        wait_until(due_at - 0.3)
        canaries = int(broker.llen(queue))
        seen = _arrivals(lambda: int(broker.llen(queue)) - canaries, due_at, count, 40)
        time.sleep(1)
    return seen


def _report_ours(broker: redis.Redis, count: int, seen: Arrivals) -> None:
    from django.db.models import Max

    from runs.models import Run

    ends = Run.objects.aggregate(planned=Max("created_at"), published=Max("published_at"), due=Max("due_at"))
    pushed, inserted = _limits(broker, count)
    params = {"schedules": count, "timings": 50, "beats": 2, "arrived": seen[-1][1], "ledger_rows": Run.objects.count()}
    report("dispatch.rate", _rate(seen), "messages/s", **params)
    report("dispatch.last_published_s", seen[-1][0], "s", **params)
    report("dispatch.p99_lateness_s", _lateness(seen, 0.99), "s", **params)
    report("dispatch.last_planned_s", (ends["planned"] - ends["due"]).total_seconds(), "s")
    report("dispatch.last_marked_published_s", (ends["published"] - ends["due"]).total_seconds(), "s")
    report("dispatch.time_vs_bare_lpush", seen[-1][0] / pushed, "times", bare_s=round(pushed, 3))
    report("dispatch.time_vs_bare_insert", seen[-1][0] / inserted, "times", bare_s=round(inserted, 3))


def peer(broker: redis.Redis, name: str, count: int, watched_s: float, mine: float, *, quick: bool) -> None:
    """The same kind of schedules under another scheduler: its rate while ``count`` of them are due."""
    broker.flushall()
    is_overdue = quick and name == "stock"
    if is_overdue:
        due_at = time.time()
        _stock_tasks(count, datetime.fromtimestamp(due_at, UTC) - timedelta(minutes=2))
    elif name == "stock":
        due_at = _due_at(quick=quick, setting_up=3)
        _stock_tasks(count, None)
    else:
        due_at = _due_at(quick=quick, setting_up=count / 1000)
        _redbeat_entries(count, datetime.fromtimestamp(due_at, UTC), quick=quick)
    with process(f"benchmarks.peers:{name}", *BEAT):
        wait_until(due_at)
        seen = _arrivals(lambda: int(broker.llen("celery")), due_at, count, watched_s, from_first=is_overdue)
    rate = _rate(seen)
    arrived = seen[-1][1] if seen else 0
    report(f"dispatch.{name}_rate", rate, "messages/s", schedules=count, arrived=arrived, watched_s=watched_s)
    report(f"dispatch.rate_vs_{name}", mine / max(rate, 0.01), "times", ours=10_000, theirs=count)


def start_lateness(runs_a_minute: int) -> None:
    """From the due time to the claim, right before the first line of the job, at a steady pace."""
    from runs.models import Run
    from schedules.models import OutsideEdit, Schedule

    _clear()
    first = time.time() + 12
    ids = _tasks(runs_a_minute, crontab=None)
    moments = [datetime.fromtimestamp(first + 60 / runs_a_minute * n, UTC) for n in range(runs_a_minute)]
    Schedule.objects.bulk_create(
        Schedule(
            periodic_task_id=task_id, kind="cleanup", target_id=_policy(), mode="once", once_at=moment, next_due_at=moment,
            cursor_at=moment - timedelta(hours=1),
        )
        for task_id, moment in zip(ids, moments, strict=True)
    )  # fmt: skip
    OutsideEdit.objects.all().delete()
    with process("scheduler_site", *BEAT), process("scheduler_site", "worker", "--concurrency=2", "--without-mingle"):
        wait_until(first + 65)
    waits = [
        ((run.started_at or run.due_at) - run.due_at).total_seconds()
        for run in Run.objects.filter(due_at__in=moments).exclude(started_at=None)
    ]
    figures = quantiles(waits, n=100)
    report(
        "dispatch.due_to_start_p99_s", figures[98], "s", runs=len(waits), of=runs_a_minute, p50_s=round(figures[49], 3)
    )


def _due_at(*, quick: bool, setting_up: float) -> float:
    """When everything is due: a full minute, or in quick runs a full second, that leaves time to set up and to start."""
    step = 1 if quick else 60
    return float((int(time.time() + setting_up + BEAT_START) // step + 1) * step)


def _our_schedules(count: int, due_at: float, *, quick: bool) -> None:
    from schedules.models import OutsideEdit, Schedule

    _clear()
    due = datetime.fromtimestamp(due_at, UTC)
    # Different timings with the same next due time: each is evaluated for itself.
    timings: list[dict[str, object]] = [
        {"mode": "interval", "every_seconds": 3600 + n, "anchor_at": due - timedelta(seconds=3600 + n)}
        if quick
        else {"mode": "cron", "expression": f"{due.minute},{(due.minute + 2 + n) % 60} * * * *"}
        for n in range(50)
    ]
    policy = _policy()
    Schedule.objects.bulk_create(
        (
            Schedule(
                periodic_task_id=task_id, kind="cleanup", target_id=policy, cursor_at=due - timedelta(seconds=50),
                next_due_at=due, **timings[n % 50],
            )
            for n, task_id in enumerate(_tasks(count))
        ),
        batch_size=2000,
    )  # fmt: skip
    OutsideEdit.objects.all().delete()  # they were written as a whole; nothing is to be reconciled


def _stock_tasks(count: int, last: datetime | None) -> None:
    from django_celery_beat.models import PeriodicTask

    _clear()
    _tasks(count)
    if last is not None:
        PeriodicTask.objects.update(last_run_at=last)


def _redbeat_entries(count: int, due: datetime, *, quick: bool) -> None:
    from celery.schedules import crontab, schedule
    from redbeat import RedBeatSchedulerEntry

    from benchmarks.peers import redbeat as app

    timing = schedule(3600, app=app) if quick else crontab()
    last = due - timedelta(hours=1) if quick else None
    for number in range(count):
        RedBeatSchedulerEntry(f"r{number}", TASK, timing, app=app, last_run_at=last).save()


def _tasks(count: int, crontab: object | None = "own") -> list[int]:
    from django_celery_beat.models import CrontabSchedule, PeriodicTask

    if crontab == "own":
        crontab = CrontabSchedule.objects.create()  # every minute
    rows = (PeriodicTask(name=f"s{n}", task=TASK, crontab=crontab) for n in range(count))
    PeriodicTask.objects.bulk_create(rows, batch_size=2000)
    return list(PeriodicTask.objects.order_by("id").values_list("id", flat=True))


def _policy() -> int:
    from cleanup.models import CleanupPolicy

    policy, _ = CleanupPolicy.objects.get_or_create(name="benchmark", defaults={"targets": ["sessions"], "days": 30})
    return int(policy.pk)


def _clear() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE runs_run, schedules_schedule, schedules_outsideedit, django_celery_beat_periodictask,"
            " django_celery_beat_crontabschedule, django_celery_beat_intervalschedule CASCADE"
        )


def _arrivals(
    length: Callable[[], int], due_at: float, count: int, patience: float, *, from_first: bool = False
) -> Arrivals:
    """(seconds after the due time, messages in the queue), until all are there or patience ends.

    With ``from_first`` both count from the first message on, and patience begins there.
    """
    seen: Arrivals = []
    start, first = due_at, 0
    while time.time() < start + patience + (20 if from_first and not first else 0):
        now, messages = time.time(), length()
        if messages and from_first and not first:
            start, first = now, messages
        if messages and (not seen or messages - first != seen[-1][1]):
            seen.append((now - start, messages - first))
            if messages >= count:
                break
        time.sleep(0.01)
    return seen


def _rate(seen: Arrivals) -> float:
    """Messages a second from the due time to the last arrival."""
    return seen[-1][1] / max(seen[-1][0], 0.01) if seen else 0.0


def _lateness(seen: Arrivals, share: float) -> float:
    """When this share of the messages that came had arrived."""
    return next(at for at, messages in seen if messages >= share * seen[-1][1])


def _limits(broker: redis.Redis, count: int) -> tuple[float, float]:
    """Seconds for a bare pipelined LPUSH of as many messages, and for a bare bulk INSERT of the same rows."""
    from django.db import connection

    message = b"x" * 700
    started = time.perf_counter()
    for first in range(0, count, 1000):
        pipeline = broker.pipeline(transaction=False)
        for _ in range(min(1000, count - first)):
            pipeline.lpush("bare", message)
        pipeline.execute()
    pushed = time.perf_counter() - started
    broker.delete("bare")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare (LIKE runs_run INCLUDING DEFAULTS INCLUDING INDEXES)")
        started = time.perf_counter()
        cursor.execute("INSERT INTO bare SELECT * FROM runs_run LIMIT %s", [count])
        inserted = time.perf_counter() - started
        cursor.execute("DROP TABLE bare")
    return pushed, inserted


if __name__ == "__main__":
    main()
