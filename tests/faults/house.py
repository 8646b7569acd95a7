"""The house under test: a broker of its own, real beats and workers in process groups of their own, and the journal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from django.contrib.auth.models import Group
from django.db import connection, connections
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask
from kombu import Connection, Producer

from runs.models import Alert, AuditEntry, Heartbeat, Run, RunEvent, RunLink
from scheduler_site.celery import app, transport_options
from schedules import planner, publisher
from schedules.models import OutsideEdit, Schedule
from tests.faults import journal
from tests.faults.journal import Journal
from tests.integration.stack import Stack, Valkey, wait_until

START_SECONDS = 60
"""How long a beat or a worker may take to show its first sign of life on a loaded machine."""
PREFIX = "almanac:"


class Broker(Valkey):
    """A Valkey that can be frozen, emptied and made to forget."""

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5)

    def stop(self) -> None:
        """Ends it in peace, as a restart by an operator does: what it holds is on disk."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def forget(self) -> None:
        """kill -9 of a server that writes nothing to disk."""
        self.kill()
        for path in self.directory.glob("appendonly*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def queued(self) -> int:
        """Messages that wait in the product's queues."""
        keys = self.client.keys(f"{PREFIX}*")
        return sum(int(self.client.llen(key)) for key in keys if self.client.type(key) == b"list")


class House(Stack):
    """What every test gets; whatever happens, it leaves no process behind."""

    def __init__(self, directory: Path, environment: dict[str, str], database_url: str) -> None:
        super().__init__(directory, environment)
        self.valkey: Broker = Broker(directory / "valkey")
        self.database_url = database_url
        self.broker_url = ""
        """Where beats and workers find the broker; a proxy's address, or empty for the broker itself."""
        self.journal = Journal(directory / "journal.txt")
        self.preload: dict[str, str] = {}
        """More environment for the next processes started."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "DATABASE_URL": self.database_url,
            "LEASE_SECONDS": "4",
            "REPUBLISH_SECONDS": "3",
            "BROKER_URL": self.broker_url or self.valkey.url,
            journal.VARIABLE: str(self.journal.path),
            **self.preload,
        }

    def __enter__(self) -> House:
        self.valkey.start()
        return self

    def up(self, beats: int = 1, workers: int = 1, concurrency: int = 2) -> None:
        """Starts beats and workers, and waits for the first sign of life of each."""
        before = {role: self._alive(role) for role in ("beat", "worker")}
        for _ in range(beats):
            self.start_beat()
        for _ in range(workers):
            self.start_worker(concurrency)
        for role, more in (("beat", beats), ("worker", workers)):
            wait_until(
                lambda role=role, more=more: self._alive(role) >= before[role] + more,  # type: ignore[misc]
                START_SECONDS,
                f"{more} {role}(s) more are up: {self.tail()}",
            )

    def _alive(self, role: str) -> int:
        return Heartbeat.objects.filter(role=role).count()

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9 of the group, noted in the journal."""
        was_alive = process.poll() is None
        super().kill(process)
        if was_alive:
            journal.note(str(self.journal.path), "killed", pid=process.pid, group=process.pid)

    def kill_child(self, pid: int) -> None:
        """kill -9 of one process of a worker's pool."""
        os.kill(pid, signal.SIGKILL)
        journal.note(str(self.journal.path), "killed", pid=pid, group=0)

    def tail(self) -> str:
        """The end of every log, for a wait that was in vain."""
        return "\n".join(
            f"--- {path.name}\n" + path.read_text(errors="replace")[-1500:]
            for path in sorted(self.directory.glob("*.log"))
        )

    def clear(self) -> None:
        """Empties what an earlier test left in the database."""
        for model in (
            RunEvent, RunLink, Run, Alert, AuditEntry, Schedule, PeriodicTask, CrontabSchedule, IntervalSchedule,
            ClockedSchedule, Heartbeat, Group, OutsideEdit,
        ):  # fmt: skip
            model.objects.all().delete()

    @contextmanager
    def producer(self) -> Iterator[Producer]:
        """A producer on this house's broker, whatever the process that asks was configured with."""
        options = transport_options(self.valkey.url, PREFIX)
        with Connection(self.valkey.url, transport_options=options) as broker, broker.channel() as channel:
            yield Producer(channel, auto_declare=False)

    def clean_pass(self, producer: Producer) -> int:
        """What a beat does in one tick, done by this process; returns how many runs were sent."""
        while planner.plan_due():
            pass
        return publisher.publish_due(app, producer)


@contextmanager
def away_from_database() -> Iterator[None]:
    """No connection of this process is open inside: for a fork, and for faults that would cut it."""
    connections.close_all()
    try:
        yield
    finally:
        connections.close_all()


def within(seconds: float, condition: Callable[[], bool]) -> float | None:
    """Seconds until the condition held, or None when it did not in time."""
    began = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - began
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.1)


def is_sqlite() -> bool:
    return connection.vendor == "sqlite"
