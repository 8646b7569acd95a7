"""Four processes that share their limits: no window has more than its rate, whenever it begins, and little is unused."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from newsletters.pacing import State
from newsletters.rates import CREDIT as CREDIT_OF_RATES
from newsletters.rates import Limit
from tests.integration.stack import ROOT, Valkey
from tests.newsletters import paces


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path)
    server.start()
    yield server
    server.kill()


class InSimulation:
    """The same arithmetic by a clock of its own, which knows no other programs."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self._state = State()

    def take(self, key: str, interval: float, credit: float, most: int) -> tuple[int, float]:
        return self._state.take(self.now, interval, credit, most)

    def slow_down(self, key: str, per_second: float) -> None:
        raise NotImplementedError

    def is_slowed(self, key: str) -> bool:
        return False


@pytest.mark.parametrize(("rate", "period"), [(1, 1), (2, 1), (7, 1), (50, 1), (100, 60), (1000, 3600)])
def test_four_who_each_come_a_little_late_leave_little_unused(rate: int, period: float) -> None:
    """Each asks again when it was told to, and up to the credit later."""
    chance, store, limit = random.Random(rate), InSimulation(), Limit("n", rate, period)
    limit._store = store
    ask_at, taken, begin = [store.now + number for number in range(4)], [], store.now
    periods = 10 if rate < 1000 else 3
    while store.now < begin + periods * period:
        taker = ask_at.index(min(ask_at))
        store.now = max(store.now, ask_at[taker])
        granted, wait = limit.take(3)
        taken += [(store.now, store.now)] * granted
        ask_at[taker] = store.now + wait + chance.uniform(0, CREDIT_OF_RATES * period)
    assert paces.most_in_a_window(taken, period) <= rate
    assert len(taken) >= 0.95 * rate * periods


RATES = {"7 a second": (7, 1), "100 in a minute of 4 seconds": (100, 4), "gmail.com, 2 a second": (2, 1)}
SECONDS = 8
TAKER = """
import json, sys, time, django
django.setup()
from newsletters import pacing, rates
wanted, url = json.loads(sys.argv[1]), sys.argv[2]
limits, taken, late = {}, [], []
for place, store in (("database", pacing.InDatabase()), ("redis", pacing.InRedis(url))):
    for name, (rate, period) in wanted.items():
        limits[place, name] = limit = rates.Limit(name, rate, period)
        limit._store = store
        limit.take(0)
print("ready", flush=True)
begin_at, end = map(float, sys.stdin.readline().split())
time.sleep(max(0, begin_at - time.time()))
while time.time() < end:
    waits = []
    for key, limit in limits.items():
        before = time.time()
        granted, wait = limit.take(3)
        taken += [(*key, before, time.time())] * granted
        waits.append(wait)
    awake_at = time.time() + min(min(waits), max(0, end - time.time()))
    time.sleep(max(0, awake_at - time.time()))
    late.append(time.time() - awake_at)
print(json.dumps([taken, sum(late) / len(late)]))
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_window_has_more_than_its_rate_with_four_processes_and_little_is_left_unused(
    valkey: Valkey, settings: Settings
) -> None:
    """Both stores at once, to save time; the minute is scaled to four seconds."""
    settings.BROKER_PREFIX = "four:"
    outputs = taken_by_four(valkey)
    assert all(taken for taken, _ in outputs), "each process got some"
    # What a busy computer wakes too late is not left unused by us; the test before this one asks for the 95 %.
    least = 0.95 if max(late for _, late in outputs) < 0.005 else 0.5
    for place in ("database", "redis"):
        for name, (rate, period) in RATES.items():
            spans = sorted((begin, end) for taken, _ in outputs for *key, begin, end in taken if key == [place, name])
            assert paces.most_in_a_window(spans, period) <= rate, (place, name)
            assert len(spans) >= least * rate * SECONDS / period, (place, name)


def taken_by_four(valkey: Valkey) -> list[tuple[list[tuple[str, str, float, float]], float]]:
    """What each of four processes took, and between which moments; and how late it was woken. They begin together."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, json.dumps(RATES), valkey.url], env=paces.environment(), cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    begin_at = time.time() + 0.1
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{begin_at} {begin_at + SECONDS}\n".encode())
        process.stdin.flush()
    return [json.loads(process.communicate(timeout=60)[0]) for process in processes]


def test_a_window_with_one_too_many_is_found() -> None:
    """That the test before can fail."""
    evenly = [(number / 7.2, number / 7.2 + 0.001) for number in range(50)]
    assert paces.most_in_a_window(evenly, 1) == 8
