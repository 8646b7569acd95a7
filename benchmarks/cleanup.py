"""How fast old rows are deleted, for how long anything is locked meanwhile, and what that costs everybody else.

300,000 parents with 100,000 children leave a PostgreSQL that syncs to disk: by a whole run of ours (counted, frozen cutoff,
holds looked at in each batch, checkpoints), by one SQL statement for each table, and by QuerySet.delete() in batches of
5,000. The three take turns. Then the same with an archive, the memory of a real worker, and the time that somebody who
writes to the same table waits.

    python benchmarks/cleanup.py [--quick]
"""

from __future__ import annotations

import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import one_run
from benchmarks.house import house, options, process, report
from benchmarks.worker_memory import kilobytes, working_process

BATCH = 5000
"""Of QuerySet.delete(); ours goes by the default of a new policy."""


def main() -> None:
    quick = options(__doc__ or "").quick
    os.environ |= {
        "PUBLIC_URL": "http://localhost", "SECRET_KEY": "only-for-this-benchmark-" + "x" * 30,
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
    }  # fmt: skip
    with house():
        from benchmarks import visits

        logging.disable(logging.WARNING)
        visits.create()
        visits.add_to_registry()
        _speed(20_000 if quick else 300_000, rounds=1 if quick else 5)
        _others(20_000 if quick else 300_000, rounds=1 if quick else 5, idle_seconds=2 if quick else 6)
        _real(*((10_000, 10) if quick else (300_000, 300)))
        _memory([50_000] if quick else [100_000, 10_000_000])


def _speed(count: int, rounds: int) -> None:
    """All ways take turns; each figure is the median of its rounds. Previewing and enabling a policy is not timed."""
    from benchmarks import visits

    ways: dict[str, Callable[[], Callable[[], Any]]] = {
        "ours": lambda: partial(_perform, _planned()),
        "sql": lambda: _sql,
        "queryset": lambda: _queryset,
        "archived": lambda: partial(_perform, _planned(archive="jsonl")),
    }
    visits.fill(1000)
    _perform(_planned(archive="jsonl"))  # what is imported at the first cleaning
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    longest = 0.0
    for number in range(rounds):
        # Whoever comes first meets a server that still writes what filling left behind: each does in turn.
        names = [*ways][number % len(ways) :] + [*ways][: number % len(ways)]
        for name in names:
            visits.fill(count)
            clean = ways[name]()
            begun = time.perf_counter()
            done = clean()
            seconds[name].append(time.perf_counter() - begun)
            assert visits.left() == (count // 10, 0), (name, visits.left())
            if name == "ours":
                longest = max(longest, done.longest_batch_ms / 1000)
    ours = median(seconds["ours"])
    rows = count + count // 3
    report("cleanup.rate", rows / ours, "rows/s", parents=count, children=count // 3)
    for name, figure, value in (
        ("sql", "cleanup.time_vs_single_sql", ours / median(seconds["sql"])),
        ("queryset", "cleanup.rate_vs_queryset_delete", median(seconds["queryset"]) / ours),
        ("archived", "cleanup.archive_time_vs_without", median(seconds["archived"]) / ours),
    ):
        report(figure, value, "times", ours_s=round(ours, 3), theirs_s=round(median(seconds[name]), 3))
    report("cleanup.archive_rate", rows / median(seconds["archived"]), "rows/s")
    report("cleanup.longest_batch_s", longest, "s", most_rows=_policy().batch_size)


def _policy(key: str = "benchmark_visits", **values: Any) -> Any:
    """A policy that was previewed and enabled."""
    from benchmarks import visits
    from cleanup import services
    from cleanup.models import CleanupPolicy

    policy = services.save_policy(
        None,
        CleanupPolicy(name=f"{key} {time.time()}", targets=[key], days=visits.DAYS, **values),
    )
    services.preview_policy(None, policy.pk)
    return services.enable_policy(None, policy.pk)


def _planned(key: str = "benchmark_visits", **values: Any) -> Any:
    return one_run.plan("cleanup", _policy(key, **values), "cleanup")


def _perform(run: Any) -> Any:
    """Performs it in this process, and returns what it did."""
    from cleanup.models import CleanupRun

    one_run.perform(run)
    return CleanupRun.objects.get(run_id=run.pk)


def _cutoff() -> datetime:
    from benchmarks import visits

    return datetime.now(UTC) - timedelta(days=visits.DAYS)


def _sql() -> None:
    """One statement for each table."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        old = "SELECT id FROM benchmark_visit WHERE at < %s"
        cursor.execute(f"DELETE FROM benchmark_visitnote WHERE visit_id IN ({old})", [_cutoff()])
        cursor.execute("DELETE FROM benchmark_visit WHERE at < %s", [_cutoff()])


def _queryset() -> None:
    from benchmarks.visits import Visit

    old = Visit.objects.filter(at__lt=_cutoff()).order_by("at", "pk")
    while ids := list(old.values_list("pk", flat=True)[:BATCH]):
        Visit.objects.filter(pk__in=ids).delete()


def _real(count: int, schedules: int) -> None:
    """Targets that ask more of each row: runs with their logs, and who got issues, whose numbers are kept first."""
    from benchmarks import old_rows

    old_rows.fill(count, schedules, _policy().pk)
    for key, figure in (("runs", "cleanup.runs_rate"), ("deliveries", "cleanup.deliveries_rate")):
        run = _planned(key)
        begun = time.perf_counter()
        done = _perform(run)
        seconds = time.perf_counter() - begun
        assert done.total >= 0.9 * count, (key, done.total, done.reason)
        report(
            figure, done.total_rows / seconds, "rows/s", rows=done.total, longest_batch_ms=done.longest_batch_ms,
            batches=done.batches,
        )  # fmt: skip


def _others(count: int, rounds: int, idle_seconds: float) -> None:
    """Fifty writes a second to rows of the same table that stay: alone, and while a real worker cleans it.

    With the rest that a new policy has, and without one; the median round of each.
    """
    from django.db import connection

    from benchmarks import visits
    from cleanup.drafts import PolicyDraft

    usual = PolicyDraft("").rest_ms or 0
    ratios: dict[int, list[tuple[float, float, float]]] = {usual: [], 0: []}
    with process(
        "benchmarks.cleanup_worker", "worker", "--concurrency=1", "-Q", "cleanup", "--without-mingle"
    ) as worker:
        working_process(worker.pid)
        for _ in range(rounds):
            for rest_ms, found in ratios.items():
                visits.fill(count)
                run = _planned(rest_ms=rest_ms)
                with connection.cursor() as cursor:
                    cursor.execute("CHECKPOINT")  # what filling left to write would be counted as ours
                idle = quantiles(_writes(count, lambda: time.sleep(idle_seconds)), n=100)[98]
                busy = quantiles(_writes(count, partial(one_run.wait_for, run)), n=100)[98]
                found.append((busy / idle, idle, busy))
    for rest_ms, found in ratios.items():
        ratio, idle, busy = sorted(found)[len(found) // 2]
        report(
            "cleanup.writers_p99_vs_idle" + ("" if rest_ms else "_without_rest"), ratio, "times", rest_ms=rest_ms,
            idle_ms=round(idle * 1000, 2), busy_ms=round(busy * 1000, 2), all=[round(one[0], 2) for one in found],
        )  # fmt: skip


def _writes(count: int, meanwhile: Callable[[], None]) -> list[float]:
    """How long each write took, by whoever does nothing else."""
    import psycopg
    from django.db import connection

    known = connection.get_connection_params()
    where = {name: known[name] for name in ("host", "port", "user", "password", "dbname") if known.get(name)}
    times: list[float] = []
    is_over = threading.Event()

    def write() -> None:
        with psycopg.connect(**where, autocommit=True) as own:
            while not is_over.is_set():
                begun = time.perf_counter()
                number = count + random.randint(1, count // 10)
                own.execute("UPDATE benchmark_visit SET seconds = seconds + 1 WHERE id = %s", [number])
                times.append(time.perf_counter() - begun)
                time.sleep(max(0.0, 0.02 - (time.perf_counter() - begun)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        meanwhile()
    finally:
        is_over.set()
        writer.join()
    return times


def _memory(counts: Sequence[int]) -> None:
    """The most that the working process of a real worker ever held, over what it holds idle; a worker for each count."""
    from benchmarks import visits

    peaks = {}
    for count in counts:
        visits.fill(count)
        run = _planned()
        with process(
            "benchmarks.cleanup_worker", "worker", "--concurrency=1", "-Q", "cleanup", "--without-mingle"
        ) as worker:
            child = working_process(worker.pid)
            idle = kilobytes(child, "VmRSS")
            one_run.wait_for(run)
            peaks[count] = kilobytes(child, "VmHWM") - idle
        assert visits.left()[1] == 0
    few, many = min(counts), max(counts)
    report("cleanup.rss_over_idle_mb", peaks[many] / 1000, "MB", rows=many)
    if many > few:
        report("cleanup.rss_growth_mb", (peaks[many] - peaks[few]) / 1000, "MB", rows=many, over=few)


if __name__ == "__main__":
    main()
