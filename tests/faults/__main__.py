"""Runs the faults on a database of their own: ``python -m tests.faults [--full] [--only T1,T5] [--markdown]``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from urllib.parse import quote, urlsplit, urlunsplit

MINUTES = 60


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Breaks things and counts the ledger.")
    parser.add_argument("--full", action="store_true", help="full counts; hours rather than minutes")
    parser.add_argument("--only", default="", help="tests by id, such as T1,T5")
    parser.add_argument("--markdown", action="store_true", help="print the table only")
    parser.add_argument("--no-stock", action="store_true", help="leave the stock control out")
    parser.add_argument("--seconds-budget", type=float, default=0, help="begin no further test after this many seconds")
    return parser.parse_args()


@contextmanager
def database(directory: Path) -> Iterator[str]:
    """The URL of a new, empty database: a file, or one more database on the server that DATABASE_URL names."""
    given = os.environ.get("DATABASE_URL", "")
    if not given.startswith("postgres"):
        yield f"sqlite:///{quote(str(directory / 'faults.sqlite3'))}"
        return
    import psycopg

    name = f"almanac_faults_{os.getpid()}"
    parts = urlsplit(given)
    server = urlunsplit(parts._replace(scheme="postgresql"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type, unused-ignore]
        # The server of the tests forgets the last commits when it is killed, which no server of anybody's does.
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on')  # type: ignore[arg-type, unused-ignore]
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type, unused-ignore]


def stop(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the run in order, so that every process started is stopped."""
    sys.exit(128 + number)


def main() -> int:
    chosen = options()
    signal.signal(signal.SIGTERM, stop)
    with (
        tempfile.TemporaryDirectory(prefix="almanac-faults-", ignore_cleanup_errors=True) as name,
        database(Path(name)) as url,
    ):
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "DATABASE_URL": url,
            "DATA_DIR": name,
            "BROKER_URL": "memory://",
            "LEASE_SECONDS": "4",
            "REPUBLISH_SECONDS": "3",
        }
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        call_command("migrate", verbosity=0)
        try:
            return run(chosen, Path(name), url)
        finally:
            connections.close_all()


def run(chosen: argparse.Namespace, directory: Path, url: str) -> int:
    """The chosen tests, one after another, each on a house of its own; 1 when a bar was not held."""
    from django.conf import settings
    from django.db import connection

    from tests.faults import catalogue, results
    from tests.faults.house import House

    counts = results.FULL if chosen.full else results.QUICK
    counts = replace(counts, with_stock=not chosen.no_stock, is_alone=True)
    wanted = {part.strip().upper() for part in chosen.only.split(",") if part.strip()}
    rows: list[results.Result] = []
    began = time.monotonic()
    environment = {"SECRET_KEY": settings.SECRET_KEY, "PUBLIC_URL": settings.PUBLIC_URL}
    for key, test in catalogue.TESTS.items():
        if wanted and key not in wanted:
            continue
        if chosen.seconds_budget and time.monotonic() - began > chosen.seconds_budget:
            print(f"{key} was not run: {chosen.seconds_budget:g} s are over", file=sys.stderr)
            continue
        place = directory / key.lower()
        place.mkdir()
        started = time.monotonic()
        house = House(place, environment, url)
        try:
            with house:
                house.clear()
                result = test(house, counts)
                if not result.ok:
                    result.notes.append(house.tail())
        except Exception as error:
            result = results.Result(key, (test.__doc__ or "").split(":", 1)[-1].strip(), "–", {}, "", False, notes=[f"{type(error).__name__}: {error}", house.tail()])  # fmt: skip
        rows.append(result)
        took = time.monotonic() - started
        said = "held" if result.ok else "NOT HELD " + " ".join(result.notes)[:4000]
        print(
            f"{key} {took:.0f} s: {results.words(result.ours)} | stock: {results.words(result.stock or {})} | {said}",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    if chosen.markdown:
        print(f"On {connection.vendor}:\n\n{results.HEAD}")
        for result in rows:
            print(result.row())
    return 0 if rows and all(result.ok for result in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
