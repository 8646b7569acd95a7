"""How long staff wait for the two longest lists, beside the stock list of periodic tasks on the same rows.

Server time by Django's test client, 50 rows a page, on a PostgreSQL that syncs to disk; ours and stock take turns. Then the
list of runs with every filter and on its last page, and the page of one run, of which the slowest is reported.

    python benchmarks/admin.py [--quick] [--rows 10000000]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.house import ROOT, house, options, report
from benchmarks.many import runs, schedules

OURS = "/admin/schedules/schedule/"
OUR_RUNS = "/admin/runs/run/"
NARROWED = (
    "?shown=open", "?shown=succeeded", "?shown=failed", "?shown=missed", "?shown=skipped", "?shown=cancelled",
    "?name=zzzz", "?kind=newsletter", "?trigger=manual", "?unnoted=on", "?queue=reports", "?schedule=500",
    "?since=2026-01-01&until=2026-01-31", "?before=1970-01-01T00:00:00%2B00:00_0",
)  # fmt: skip
"""The list with each filter, most of them finding nothing, which is slowest; and its last page."""
STOCK = "/admin/django_celery_beat/periodictask/"


def main() -> None:
    asked = options(__doc__ or "", rows=True)
    quick = asked.quick
    schedule_count, run_count = (20_000, 100_000) if quick else (100_000, 1_000_000)
    run_count = asked.rows or run_count
    rounds, requests = (2, 10) if quick else (5, 20)
    with house():
        from django.core.management import call_command

        call_command("collectstatic", interactive=False, verbosity=0)
        schedules(schedule_count)
        runs(run_count)
        ours: list[dict[str, float]] = []
        stock: list[dict[str, float]] = []
        for _ in range(rounds):
            ours.append(_times("scheduler_site.settings", requests, OURS, OUR_RUNS))
            stock.append(_times("benchmarks.stock_admin_settings", requests, STOCK))
        narrowed = _times("scheduler_site.settings", requests // 2, *(OUR_RUNS + one for one in NARROWED))
        one_run = _times("scheduler_site.settings", requests // 2, f"{OUR_RUNS}{run_count // 2}/change/")
    mine = median(times[OURS] for times in ours)
    theirs = median(times[STOCK] for times in stock)
    params = {"schedules": schedule_count, "runs": run_count, "per_page": 50, "requests": rounds * requests}
    report("admin.schedule_list_vs_stock", theirs / mine, "times", stock_ms=round(theirs, 1), **params)
    report("admin.schedule_list_ms", mine, "ms", **params)
    report("admin.run_list_ms", median(times[OUR_RUNS] for times in ours), "ms", **params)
    slowest = max(narrowed, key=lambda page: narrowed[page])
    report("admin.run_list_slowest_ms", narrowed[slowest], "ms", page=slowest, **params)
    report("admin.run_page_ms", max(one_run.values()), "ms", **params)


def _times(settings: str, requests: int, *paths: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.page_times", settings, str(requests), *paths]
    answer = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    times: dict[str, float] = json.loads(answer.stdout.strip().splitlines()[-1])
    return times


if __name__ == "__main__":
    main()
