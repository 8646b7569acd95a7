"""T10: the database is locked, drops every connection, refuses new ones, ends statements, or crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql

from runs import clock
from tests.faults.broker_faults import last_claim
from tests.faults.house import House, away_from_database, is_sqlite, within
from tests.faults.invariants import judge
from tests.faults.results import Counts, Result
from tests.faults.timetable import Timetable

RECONNECT_SECONDS = 10
RECOVER_SECONDS = 15
"""A run whose message met the fault waits for its next message; every other one goes on at once."""
SETTLE_SECONDS = 90
HOLD_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


def database_faults(house: House, counts: Counts) -> Result:
    """T10: schedules come due through each fault, and are all claimed soon after its end."""
    timetable = Timetable()
    house.up()
    faults: list[tuple[str, Callable[[], None]]] = []
    if is_sqlite():
        faults = [
            (f"write lock held {seconds:g} s", lambda seconds=seconds: _hold_lock(seconds))  # type: ignore[misc]
            for seconds in counts.lock_seconds
        ]
    else:
        server = Server()
        faults = [
            (
                f"{counts.terminations} × all connections terminated",
                lambda: server.terminate_often(counts.terminations),
            ),
            (
                f"no connection taken for {counts.server_seconds:g} s",
                lambda: server.refuse(counts.server_seconds),
            ),
            ("lock_timeout", lambda: server.time_out("lock_timeout", counts.server_seconds)),
            ("statement_timeout", lambda: server.time_out("statement_timeout", counts.server_seconds)),
        ]
        if not counts.is_alone:
            faults = faults[::2]
        elif server.is_throw_away:
            faults.append(("server crashed (kill -9 of one of its processes)", server.crash))
    slowest = reconnected = 0.0
    for _, fault in faults:
        longest = max(counts.lock_seconds) if is_sqlite() else counts.server_seconds + counts.terminations
        timetable.every(3, seconds=1, lasting=longest + 4)
        time.sleep(1)
        with away_from_database():
            fault()
        over, now = time.monotonic(), clock.now()
        slowest = max(slowest, last_claim(house, timetable.due_until(now), SETTLE_SECONDS) - over)
        reconnected = max(reconnected, _first_start(house, over) - over)
    verdict = judge(house, timetable, SETTLE_SECONDS, repeats_allowed=True)
    return Result(
        id="T10",
        fault="database faults: " + ", ".join(name for name, _ in faults),
        counts=f"{len(faults)} faults",
        ours=verdict.figures(work_goes_on_after_s=reconnected, last_claim_after_s=slowest),
        stock=None,
        bar=f"0 lost, 0 overlapping, work goes on ≤ {RECONNECT_SECONDS} s after it, all claimed ≤ {RECOVER_SECONDS} s",
        ok=verdict.ok and reconnected <= RECONNECT_SECONDS and slowest <= RECOVER_SECONDS,
    )


def _first_start(house: House, after: float) -> float:
    """The first attempt that began after that moment; schedules are due every second, so there is one to begin."""
    found = within(SETTLE_SECONDS, lambda: any(event.at > after for event in house.journal.events("start")))
    starts = [event.at for event in house.journal.events("start") if event.at > after]
    return min(starts) if found is not None else time.monotonic()


def _hold_lock(seconds: float) -> None:
    """Another process keeps SQLite's one write lock."""
    subprocess.run(
        [sys.executable, "-c", HOLD_LOCK, str(connection.settings_dict["NAME"]), str(seconds)],
        check=True, timeout=seconds + 60,
    )  # fmt: skip


class Server:
    """The PostgreSQL server, reached beside the database under test."""

    def __init__(self) -> None:
        values: dict[str, Any] = dict(connection.get_connection_params())
        self.name = str(values["dbname"])
        keys = ("host", "port", "user", "password")
        self._where = {key: values[key] for key in keys if values.get(key)} | {"dbname": "postgres"}
        self._direct = self._where | {"dbname": self.name}
        with self._admin() as admin:
            row = admin.execute("SHOW data_directory").fetchone()
        self.directory = str(row[0]) if row else ""

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(**self._where, autocommit=True)

    @property
    def is_throw_away(self) -> bool:
        """Whether it was started by ``tests.postgres`` for this run alone."""
        return Path(self.directory).parent.name.startswith("almanac-postgres-")

    def _terminate(self, admin: psycopg.Connection[Any]) -> None:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [self.name],
        )

    def terminate_often(self, times: int) -> None:
        for _ in range(times):
            with self._admin() as admin:
                self._terminate(admin)
            time.sleep(1)

    def refuse(self, seconds: float) -> None:
        """Ends every connection and takes no new one, as a server that restarts."""
        name = sql.Identifier(self.name)
        with self._admin() as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
            try:
                self._terminate(admin)
                time.sleep(seconds)
            finally:
                admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))

    def time_out(self, setting: str, seconds: float) -> None:
        """Statements on the ledger wait for a lock and are ended after half a second."""
        name = sql.Identifier(self.name)
        with self._admin() as admin:
            admin.execute(sql.SQL("ALTER DATABASE {} SET {} = '500ms'").format(name, sql.Identifier(setting)))
            try:
                self._terminate(admin)  # so that every process comes back under the new setting
                with psycopg.connect(**self._direct) as blocker:
                    blocker.execute("SET statement_timeout = 0")
                    blocker.execute("SET lock_timeout = 0")
                    blocker.execute("LOCK TABLE runs_run IN ACCESS EXCLUSIVE MODE")
                    time.sleep(seconds)
                    blocker.rollback()
            finally:
                admin.execute(sql.SQL("ALTER DATABASE {} RESET {}").format(name, sql.Identifier(setting)))
                self._terminate(admin)

    def crash(self) -> None:
        """kill -9 of one server process: PostgreSQL ends all the others and recovers from its log."""
        with psycopg.connect(**self._direct) as victim:
            os.kill(victim.info.backend_pid, signal.SIGKILL)
            time.sleep(0.5)
            try:
                victim.execute("SELECT 1")
            except psycopg.OperationalError:
                pass
        deadline = time.monotonic() + 60
        while True:
            try:
                self._admin().close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
