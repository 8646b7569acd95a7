"""The same faults against stock celery and django-celery-beat, counted by the same journal."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from tests.faults import journal
from tests.faults.house import House, within
from tests.faults.journal import Journal
from tests.faults.proxy import Proxy
from tests.integration.stack import ROOT

READY_SECONDS = 60


class Control:
    """A stock beat and stock workers beside nothing else, on the same broker and database."""

    def __init__(self, house: House, visibility: int = 0) -> None:
        self.house = house
        self.journal = Journal(house.directory / f"stock-{len(house.processes)}.txt")
        self._environment = {
            journal.VARIABLE: str(self.journal.path),
            "DJANGO_SETTINGS_MODULE": "tests.faults.stock_settings",
        }
        if visibility:
            self._environment["STOCK_VISIBILITY"] = str(visibility)

    def beat(self) -> subprocess.Popen[bytes]:
        return self._start("beat", "--pidfile=", "--loglevel=INFO")

    def worker(self, concurrency: int = 2) -> subprocess.Popen[bytes]:
        """A worker that is ready."""
        process = self._start(
            "worker", f"--concurrency={concurrency}", "--loglevel=INFO", f"--hostname=s{time.time()}@%h"
        )
        log = self._log(len(self.house.processes) - 1)
        within(READY_SECONDS, lambda: " ready." in log.read_text(errors="replace"))
        return process

    def sent(self) -> int:
        """How many occurrences the stock beats say that they sent."""
        logs = self.house.directory.glob("stock-beat*.log")
        return sum(log.read_text(errors="replace").count("Sending due task") for log in logs)

    def send(self, count: int, milliseconds: int = 50, queue: str = "celery") -> None:
        """Messages as ``delay()`` sends them, from this process."""
        app = Celery("sender", broker=self.house.valkey.url)
        with app.producer_pool.acquire(block=True) as producer:
            for number in range(count):
                app.send_task("stock.work", args=(number, milliseconds), producer=producer, queue=queue)
        app.close()

    def started(self) -> Counter[int]:
        return Counter(event.run for event in self.journal.events("start"))

    def finished(self) -> set[int]:
        return self.journal.ended()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self._log(len(self.house.processes), arguments[0]).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "tests.faults.stock_app", *arguments],
                cwd=ROOT, env={**self.house.environment, **self._environment}, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.house.processes.append(process)
        return process

    def _log(self, number: int, name: str = "worker"):  # type: ignore[no-untyped-def]
        return self.house.directory / f"stock-{name}{number}.log"


@contextmanager
def control(house: House, visibility: int = 0) -> Iterator[Control]:
    """The house is emptied of its own processes and schedules first, and of the control's at the end."""
    _leave(house)
    house.valkey.client.flushall()
    try:
        yield Control(house, visibility)
    finally:
        _leave(house)


def _leave(house: House) -> None:
    for process in house.processes:
        house.kill(process)
    house.clear()


def every(seconds: int, count: int) -> None:
    """Interval tasks of the stock scheduler."""
    interval = IntervalSchedule.objects.create(every=seconds, period="seconds")
    for number in range(count):
        PeriodicTask.objects.create(name=f"stock {number}", task="stock.work", interval=interval, args=f"[{number}]")


def broker_away(house: House, seconds: float) -> dict[str, float]:
    """T1: what beat says that it sent against what any worker began."""
    with control(house) as stock:
        every(2, 5)
        stock.worker()
        stock.beat()
        within(READY_SECONDS, lambda: len(stock.journal.events("start")) >= 10)
        before = stock.sent()
        house.valkey.kill()
        time.sleep(seconds)
        during = stock.sent() - before
        house.valkey.start()
        time.sleep(15)
        PeriodicTask.objects.all().delete()
        time.sleep(10)
        sent, began = stock.sent(), sum(stock.started().values())
        return {"sent": sent, "sent in the outage": during, "lost": sent - began}


def broker_forgets(house: House, count: int) -> dict[str, float]:
    """T3: messages in the queue when it is flushed."""
    with control(house) as stock:
        stock.send(count)
        house.valkey.client.flushall()
        stock.worker()
        time.sleep(5)
        return {"due": count, "lost": count - len(stock.finished())}


def beat_killed(house: House, count: int) -> dict[str, float]:
    """T2: kill -9 of beat within the minute that it has just dispatched, and a new beat at once."""
    with control(house) as stock:
        crontab = CrontabSchedule.objects.create()
        for number in range(count):
            PeriodicTask.objects.create(name=f"stock {number}", task="stock.work", crontab=crontab, args=f"[{number}]")
        stock.worker()
        if time.time() % 60 > 40:
            time.sleep(61 - time.time() % 60)
        beat = stock.beat()
        within(75, lambda: len(stock.started()) >= count)
        minute = time.time() // 60
        house.kill(beat)
        stock.beat()
        time.sleep(max(0.0, min(20.0, (minute + 1) * 60 - 2 - time.time())))
        return {"due": count, "double": sum(1 for times in stock.started().values() if times > 1)}


def three_beats(house: House) -> dict[str, float]:
    """T4: three beats on the same interval tasks."""
    with control(house) as stock:
        every(2, 5)
        stock.worker()
        for _ in range(3):
            stock.beat()
        time.sleep(8)
        before, began = sum(stock.started().values()), time.monotonic()
        time.sleep(10)
        due = 5 * (time.monotonic() - began) / 2
        return {"due": round(due), "started": sum(stock.started().values()) - before}


def workers_killed(house: House, kills: int, count: int) -> dict[str, float]:
    """T5: early acknowledgement, kill -9 of the worker's group again and again."""
    with control(house) as stock:
        stock.send(count, 50)
        for number in range(kills):
            worker = stock.worker()
            aim = count * (number + 1) // (kills + 1)
            within(60, lambda aim=aim: len(stock.finished()) >= aim)  # type: ignore[misc]
            house.kill(worker)
        stock.worker()
        within(
            60 + count / 20,
            lambda: len(stock.finished()) >= count - 8 * kills and not house.valkey.client.llen("celery"),
        )
        time.sleep(5)
        return {"due": count, "lost": count - len(stock.finished())}


def network_broken(house: House, mode: str, seconds: float) -> dict[str, float]:
    """T6: a worker behind the proxy; messages sent around it once the network is whole again."""
    with Proxy(house.valkey.port) as proxy:
        house.broker_url = proxy.url
        try:
            with control(house) as stock:
                stock.worker()
                stock.send(5)
                within(20, lambda: len(stock.finished()) >= 5)
                proxy.set(mode)
                time.sleep(seconds)
                proxy.set("heal")
                stock.send(10)
                within(35, lambda: sum(stock.started().values()) >= 15)
                return {"due": 10, "not run 35 s after healing": 15 - sum(stock.started().values())}
        finally:
            house.broker_url = ""


def long_job(house: House) -> dict[str, float]:
    """T7: late acknowledgement and a job four times as long as the broker waits for one."""
    with control(house, visibility=5) as stock:
        stock.worker()
        stock.worker()
        stock.send(1, 20_000)
        time.sleep(30)
        (times,) = stock.started().values()
        return {"due": 1, "started": times, "overlapping": len(_overlaps(stock.journal))}


def _overlaps(found: Journal) -> list[float]:
    starts = sorted(event.at for event in found.events("start"))
    ends = sorted(event.at for event in found.events("end"))
    return [start for start in starts[1:] if not ends or start < ends[0]]


def memory_full(house: House) -> dict[str, float]:
    """T11: a broker that evicts when it is full takes every message and keeps some."""
    client = house.valkey.client
    with control(house) as stock:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 2 * 2**20)
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            for number in range(5):
                stock.send(1000, queue=f"q{number}")
            kept = sum(int(client.llen(f"q{number}")) for number in range(5))
        finally:
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")
        return {"sent": 5000, "lost": 5000 - kept}
