"""How fast due schedules reach the broker: ours against stock DatabaseScheduler and RedBeat, in the same run.

Real beat processes, PostgreSQL and Valkey. What is timed is the length of the broker's queue, seen from outside, counted
from the moment the schedules are due. ``--quick`` takes fewer schedules and leaves RedBeat out; it ends within 50 s.

    python -m tests.postgres python benchmarks/dispatch.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_site.settings")

import redis  # noqa: E402

from tests.integration.stack import Valkey  # noqa: E402

LEAD = 12.0
"""Seconds between preparing the schedules and their due time, for the beat to start in."""


def report(name: str, value: float, unit: str, **params: Any) -> None:
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "params": params}), flush=True)


@contextmanager
def beat(app: str, *arguments: str) -> Iterator[None]:
    """A beat process of its own, ended in peace."""
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", app, "beat", "--pidfile=", "--loglevel=ERROR", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def arrivals(length: Callable[[], int], due_at: float, count: int, patience: float) -> list[tuple[float, int]]:
    """(seconds after the due time, messages in the queue), until all are there or patience ends."""
    seen: list[tuple[float, int]] = []
    while time.time() < due_at + patience:
        now, messages = time.time(), length()
        if messages and (not seen or messages != seen[-1][1]):
            seen.append((now - due_at, messages))
            if messages >= count:
                break
        time.sleep(0.01)
    return seen


def rate(seen: list[tuple[float, int]]) -> float:
    """Messages a second from the due time to the last arrival."""
    return seen[-1][1] / max(seen[-1][0], 0.01) if seen else 0.0


def lateness(seen: list[tuple[float, int]], share: float) -> float:
    """When this share of the messages that came had arrived."""
    return next(at for at, messages in seen if messages >= share * seen[-1][1])


def prepare(valkey: Valkey, data_dir: str) -> None:
    os.environ |= {"DATA_DIR": data_dir, "BROKER_URL": valkey.url}
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def clear() -> None:
    from django_celery_beat.models import CrontabSchedule, PeriodicTask

    from runs.models import Run
    from schedules.models import Schedule

    for model in (Run, Schedule, PeriodicTask, CrontabSchedule):
        model.objects.all().delete()


def tasks(count: int) -> list[int]:
    from django_celery_beat.models import CrontabSchedule, PeriodicTask

    every_minute = CrontabSchedule.objects.create()
    PeriodicTask.objects.bulk_create(
        (PeriodicTask(name=f"s{n}", task="schedules.run_job", crontab=every_minute) for n in range(count)), batch_size=2000
    )
    return list(PeriodicTask.objects.order_by("id").values_list("id", flat=True))


def ours(broker: redis.Redis, count: int, distinct: int) -> tuple[list[tuple[float, int]], int]:
    """Schedules on ``distinct`` patterns, all due at one minute; returns the arrivals and the ledger rows."""
    from cleanup.models import CleanupPolicy
    from runs.models import Run
    from schedules.models import Schedule

    clear()
    policy, _ = CleanupPolicy.objects.get_or_create(name="benchmark", defaults={"targets": ["sessions"], "days": 30})
    ids = tasks(count)
    due = next_minute()
    cursor = datetime.fromtimestamp(time.time()).astimezone()
    minute = datetime.fromtimestamp(due).astimezone().minute
    Schedule.objects.bulk_create(
        (
            Schedule(
                periodic_task_id=task_id, kind="cleanup", target_id=policy.pk, cursor_at=cursor,
                # Different texts with the same next due time: each is evaluated for itself.
                expression=f"{minute},{(minute + 1 + n % distinct) % 60} * * * *",
                next_due_at=datetime.fromtimestamp(due).astimezone(),
            )
            for n, task_id in enumerate(ids)
        ),
        batch_size=2000,
    )  # fmt: skip
    queue = f"{os.environ.get('BROKER_PREFIX', 'almanac:')}cleanup"
    with beat("scheduler_site"):
        seen = arrivals(lambda: int(broker.llen(queue)), due, count, 55)
    return seen, Run.objects.filter(due_at=datetime.fromtimestamp(due).astimezone()).count()


def stock(broker: redis.Redis, count: int, patience: float) -> list[tuple[float, int]]:
    """The same number of every-minute crontabs under the stock scheduler."""
    clear()
    broker.flushall()
    tasks(count)
    due = next_minute()
    with beat("benchmarks.peers:stock"):
        return arrivals(lambda: int(broker.llen("celery")), due, count, patience)


def redbeat(broker: redis.Redis, count: int) -> list[tuple[float, int]]:
    """Every-minute crontabs under RedBeat."""
    from celery.schedules import crontab
    from redbeat import RedBeatSchedulerEntry

    from benchmarks.peers import redbeat as app

    broker.flushall()
    started = time.time()
    for number in range(count):
        RedBeatSchedulerEntry(f"r{number}", "schedules.run_job", crontab(), app=app).save()
    due = next_minute()
    print(f"RedBeat: {count} entries saved in {time.time() - started:.1f} s", file=sys.stderr)
    with beat("benchmarks.peers:redbeat"):
        return arrivals(lambda: int(broker.llen("celery")), due, count, 55)


def next_minute() -> float:
    """The next full minute that leaves a beat the time to start."""
    return float((int(time.time() + LEAD) // 60 + 1) * 60)


def limits(broker: redis.Redis, count: int) -> tuple[float, float]:
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
        cursor.execute("CREATE TEMP TABLE bare (LIKE runs_run INCLUDING DEFAULTS INCLUDING INDEXES)")
        started = time.perf_counter()
        cursor.execute("INSERT INTO bare SELECT * FROM runs_run LIMIT %s", [count])
        inserted = time.perf_counter() - started
    return pushed, inserted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    global LEAD
    count, peer_count = (2_000, 300) if options.quick else (10_000, 1_000)
    with tempfile.TemporaryDirectory(prefix="almanac-bench-") as directory:
        valkey = Valkey(Path(directory) / "valkey")
        valkey.start()
        try:
            prepare(valkey, directory)
            broker = redis.Redis(port=valkey.port)
            if options.quick:
                quick(broker, count, peer_count)
            else:
                full(broker, count, peer_count)
        finally:
            valkey.kill()


def quick(broker: redis.Redis, count: int, peer_count: int) -> None:
    """No waiting for full minutes: the backlog of one due time, planned and published by one beat each."""
    global next_minute
    next_minute = lambda: time.time() + 0.0  # noqa: E731 - due at once; the start of the process is part of the time
    report_ours(broker, count, distinct=50)


def full(broker: redis.Redis, count: int, peer_count: int) -> None:
    mine = report_ours(broker, count, distinct=50)
    theirs = stock(broker, peer_count, 58)
    report("dispatch.stock_rate", rate(theirs), "messages/s", schedules=peer_count, arrived=theirs[-1][1] if theirs else 0)
    report("dispatch.rate_vs_stock", mine / max(rate(theirs), 0.01), "times", ours=count, stock=peer_count)
    red = redbeat(broker, count // 2)
    report("dispatch.redbeat_rate", rate(red), "messages/s", schedules=count // 2, arrived=red[-1][1] if red else 0)
    report("dispatch.rate_vs_redbeat", mine / max(rate(red), 0.01), "times", ours=count, redbeat=count // 2)


def report_ours(broker: redis.Redis, count: int, distinct: int) -> float:
    broker.flushall()
    seen, rows = ours(broker, count, distinct)
    pushed, inserted = limits(broker, rows)
    arrived = seen[-1][1] if seen else 0
    params = {"schedules": count, "patterns": distinct, "arrived": arrived, "ledger_rows": rows}
    report("dispatch.rate", rate(seen), "messages/s", **params)
    report("dispatch.last_published_s", seen[-1][0] if seen else -1, "s", **params)
    report("dispatch.p99_lateness_s", lateness(seen, 0.99) if seen else -1, "s", **params)
    report("dispatch.time_vs_bare_lpush", seen[-1][0] / pushed if seen else -1, "times", bare_s=round(pushed, 3))
    report("dispatch.time_vs_bare_insert", seen[-1][0] / inserted if seen else -1, "times", bare_s=round(inserted, 3))
    return rate(seen)


if __name__ == "__main__":
    main()
