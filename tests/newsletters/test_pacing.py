"""The pace of a rate, kept in the database and in a real Valkey: the same answers, whoever asks and whatever restarts."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings as django_settings
from pytest_django import Settings

from newsletters import pacing
from newsletters.models import Issue, List, Newsletter, Pace
from newsletters.pacing import GROWS_EVERY, GROWTH, InDatabase, InRedis, State, Store
from newsletters.rates import CREDIT as CREDIT_OF_RATES
from newsletters.rates import Limit
from runs import clock
from runs.models import Run
from tests.integration.conftest import database_url
from tests.integration.stack import ROOT, Valkey
from tests.newsletters.conftest import add_readers
from tests.newsletters.smtp_server import SmtpServer

PERIOD = 10.0
INTERVAL, CREDIT = 0.5, 0.2


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["database", "redis"])
def kept_in(request: pytest.FixtureRequest, settings: Settings) -> str:
    """Where the pace is kept; what the product itself would choose by its broker."""
    if request.param == "redis":
        settings.BROKER_URL = request.getfixturevalue("valkey").url
    else:
        request.getfixturevalue("db")
        settings.BROKER_URL = "memory://"
    settings.BROKER_PREFIX = f"test{time.monotonic_ns()}:"
    return str(request.param)


@pytest.fixture
def store(kept_in: str) -> Store:
    chosen = pacing.store()
    assert isinstance(chosen, InRedis if kept_in == "redis" else InDatabase)
    return chosen


@pytest.fixture
def passing(store: Store) -> Callable[[str, float], None]:
    """Moves what is kept back in time instead of waiting: it is seconds since 1970."""

    def pass_by(key: str, seconds: float) -> None:
        if isinstance(store, InDatabase):
            row = Pace.objects.get(key=key)
            row.next_at, row.capped_at = row.next_at - seconds, row.capped_at - seconds
            row.save()
            return
        client = redis.Redis.from_url(django_settings.BROKER_URL)
        name = f"{django_settings.BROKER_PREFIX}pace:{key}"
        for field in ("next_at", "capped_at"):
            client.hset(name, field, str(float(client.hget(name, field) or 0) - seconds))

    return pass_by


def test_the_first_goes_at_once_and_the_next_after_the_interval(store: Store) -> None:
    assert store.take("a", INTERVAL, CREDIT, 5)[0] == 1
    granted, wait = store.take("a", INTERVAL, CREDIT, 5)
    assert granted == 0
    assert 0.2 < wait <= INTERVAL
    time.sleep(wait)
    assert store.take("a", INTERVAL, CREDIT, 5)[0] == 1


def test_each_key_has_a_pace_of_its_own(store: Store) -> None:
    assert [store.take(key, 60, 0, 1)[0] for key in ("a", "b", "a", "b")] == [1, 1, 0, 0]


def test_asking_for_nothing_costs_nothing(store: Store) -> None:
    assert store.take("a", 60, 0, 0)[0] == 0
    assert store.take("a", 60, 0, 1)[0] == 1


def test_a_pause_earns_no_more_than_the_credit(store: Store, passing: Callable[[str, float], None]) -> None:
    """Otherwise a newsletter that rested for an hour would go out all at once."""
    store.take("a", INTERVAL, 2 * INTERVAL, 1)
    passing("a", 3600)
    assert store.take("a", INTERVAL, 2 * INTERVAL, 100)[0] == 3
    assert store.take("a", INTERVAL, 2 * INTERVAL, 100)[0] == 0


def test_without_a_rate_everything_goes(store: Store) -> None:
    assert store.take("a", 0, 0.02, 1000) == (1000, 0)


def test_a_complaint_halves_the_speed_and_it_creeps_up_and_is_forgotten(
    store: Store, passing: Callable[[str, float], None]
) -> None:
    assert not store.is_slowed("a")
    store.slow_down("a", 10)
    assert store.is_slowed("a")
    assert speed(store, "a") == pytest.approx(5, rel=0.05)
    passing("a", 4 * GROWS_EVERY)
    assert speed(store, "a") == pytest.approx(5 * GROWTH**4, rel=0.05)
    passing("a", 60)
    assert not store.is_slowed("a")
    assert store.take("a", 0, 0.02, 1000) == (1000, 0)


def speed(store: Store, key: str) -> float:
    """Mails a second, by how long the next one is to wait."""
    granted, wait = store.take(key, 0, 0, 1)
    while granted == 0:
        time.sleep(wait)
        granted, wait = store.take(key, 0, 0, 1)
    return 1 / wait


def test_many_complaints_at_once_are_one(store: Store, passing: Callable[[str, float], None]) -> None:
    for _ in range(8):
        store.slow_down("a", 16)
    assert speed(store, "a") == pytest.approx(8, rel=0.05)
    passing("a", pacing.HALVED_AT_MOST_EVERY + 0.1)
    store.slow_down("a", 16)
    assert speed(store, "a") == pytest.approx(4, rel=0.1)


def test_it_never_stops_altogether(store: Store, passing: Callable[[str, float], None]) -> None:
    for _ in range(12):
        store.slow_down("a", 1)
        passing("a", pacing.HALVED_AT_MOST_EVERY + 0.1)
    store.take("a", 0, 0, 1)
    assert store.take("a", 0, 0, 1)[1] <= 1 / pacing.SLOWEST


def test_a_slower_rate_of_its_own_is_kept(store: Store) -> None:
    """A complaint at a high speed does not make a slow newsletter faster."""
    store.slow_down("a", 1000)
    store.take("a", 60, 0, 1)
    granted, wait = store.take("a", 60, 0, 1)
    assert granted == 0
    assert wait == pytest.approx(60, abs=1)


ANOTHER_PROCESS = """
import json, django
django.setup()
from newsletters import pacing
print(json.dumps([pacing.store().take("a", 60, 1, 5), pacing.store().is_slowed("a")]))
"""


def environment() -> dict[str, str]:
    return {
        **os.environ, "DJANGO_SETTINGS_MODULE": "scheduler_site.settings", "DATABASE_URL": database_url(),
        "SECRET_KEY": django_settings.SECRET_KEY, "BROKER_URL": django_settings.BROKER_URL,
        "BROKER_PREFIX": django_settings.BROKER_PREFIX,
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_another_process_goes_on_where_this_one_was(store: Store) -> None:
    store.slow_down("a", 10)
    assert store.take("a", 60, 1, 5)[0] == 1
    done = subprocess.run([sys.executable, "-c", ANOTHER_PROCESS], env=environment(), cwd=ROOT, capture_output=True)
    (granted, wait), is_slowed = json.loads(done.stdout)
    assert (granted, is_slowed) == (0, True)
    assert 30 < wait <= 60


def test_the_script_in_redis_does_the_same_arithmetic(valkey: Valkey, settings: Settings) -> None:
    """Each step against the pure :class:`State`, from what the script left by the step before."""
    settings.BROKER_URL, settings.BROKER_PREFIX = valkey.url, f"same{time.monotonic_ns()}:"
    chance, store, client = random.Random(8), InRedis(valkey.url), redis.Redis.from_url(valkey.url)
    name, differing = f"{settings.BROKER_PREFIX}pace:a", 0
    for _ in range(300):
        slept = chance.choice((0, 0, 3, 40))
        for field in ("next_at", "capped_at"):
            client.hincrbyfloat(name, field, -slept)
        kept = State(*(float(client.hget(name, field) or 0) for field in ("next_at", "cap", "capped_at")))
        interval, credit, most = chance.choice((0.0, 2.0, 30.0)), chance.choice((0.0, 5.0)), chance.randrange(0, 40)
        now = time.time()
        if chance.random() < 0.1:
            store.slow_down("a", 2)
            kept.slow_down(now, 2)
        granted, wait = store.take("a", interval, credit, most)
        expected, expected_wait = kept.take(now, interval, credit, most)
        if granted == expected:
            assert wait == pytest.approx(expected_wait, abs=1)  # the two clocks are read a moment apart
        differing += granted != expected
    assert differing <= 6


@pytest.mark.django_db
def test_while_redis_is_away_nothing_is_sent_and_then_it_goes_on(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run], settings: Settings,
    tmp_path: Path,
) -> None:  # fmt: skip
    server = Valkey(tmp_path / "valkey")
    server.start()
    settings.BROKER_URL = server.url
    Newsletter.objects.update(rate=20, rate_per="second")
    letter.refresh_from_db()
    add_readers(city_news, 25)
    away: list[float] = []

    def stop_in_the_middle(number: int, address: str) -> None:
        if number == 5:
            server.kill()
            away.append(time.monotonic())
        if number == 7 and len(away) == 1:
            away.append(time.monotonic())

    def come_back() -> None:
        while not away:
            time.sleep(0.01)
        time.sleep(1.5)
        at_return.append(len(smtp_server.received))
        server.start()

    at_return: list[int] = []
    smtp_server.on_rcpt = stop_in_the_middle
    back = threading.Thread(target=come_back)
    back.start()
    try:
        assert perform(letter).result == "25 sent."
    finally:
        back.join()
        server.kill()
    assert at_return[0] <= 6, "the mail in hand, and none after it"
    assert away[1] - away[0] >= 1.4
    assert Issue.objects.get().sent == len(smtp_server.received) == 25


@pytest.mark.django_db
def test_a_server_that_asks_for_it_before_it_takes_a_mail_is_sent_to_more_slowly(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run]
) -> None:
    """421 and 4.7.x come as an answer to MAIL and RCPT as often as to the whole mail."""
    add_readers(city_news, 30)
    smtp_server.on_mail = lambda number: "421 4.7.0 too fast" if number == 10 else None
    assert perform(letter).result == "30 sent."
    pace = Pace.objects.get()
    assert State(pace.next_at, pace.cap, pace.capped_at).cap_at(clock.now().timestamp()) > 0


# Four processes that share their limits.


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
    while store.now < begin + 10 * period:
        taker = ask_at.index(min(ask_at))
        store.now = max(store.now, ask_at[taker])
        granted, wait = limit.take(3)
        taken += [(store.now, store.now)] * granted
        ask_at[taker] = store.now + wait + chance.uniform(0, CREDIT_OF_RATES * period)
    assert most_in_a_window(taken, period) <= rate
    assert len(taken) >= 0.95 * rate * 10


RATES = {"7 a second": (7, 1), "100 in a minute of 6 seconds": (100, 6), "gmail.com, 2 a second": (2, 1)}
SECONDS = 12
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
    """Both stores at once, to save time; the minute is scaled to six seconds."""
    settings.BROKER_PREFIX = "four:"
    outputs = taken_by_four(valkey)
    assert all(taken for taken, _ in outputs), "each process got some"
    # What a busy computer wakes too late is not left unused by us; the test before this one asks for the 95 %.
    least = 0.95 if max(late for _, late in outputs) < 0.005 else 0.5
    for place in ("database", "redis"):
        for name, (rate, period) in RATES.items():
            spans = sorted((begin, end) for taken, _ in outputs for *key, begin, end in taken if key == [place, name])
            assert most_in_a_window(spans, period) <= rate, (place, name)
            assert len(spans) >= least * rate * SECONDS / period, (place, name)


def taken_by_four(valkey: Valkey) -> list[tuple[list[tuple[str, str, float, float]], float]]:
    """What each of four processes took, and between which moments; and how late it was woken. They begin together."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, json.dumps(RATES), valkey.url], env=environment(), cwd=ROOT,
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


def most_in_a_window(spans: list[tuple[float, float]], period: float) -> int:
    """The most mails that certainly were in one window, whenever it begins: each was granted within its span."""
    return max(
        sum(begin >= first and end < first + period for begin, end in spans[at:]) for at, (first, _) in enumerate(spans)
    )


def test_a_window_with_one_too_many_is_found() -> None:
    """That the test before can fail."""
    evenly = [(number / 7.2, number / 7.2 + 0.001) for number in range(50)]
    assert most_in_a_window(evenly, 1) == 8
