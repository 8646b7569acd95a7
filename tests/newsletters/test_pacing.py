"""The pace of a rate, kept in the database and in a real Valkey: the same answers, whoever asks and whatever restarts."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.conf import settings as django_settings
from pytest_django import Settings

from newsletters import pacing, pacing_detour
from newsletters.models import List, Newsletter, Pace
from newsletters.pacing import GROWS_EVERY, GROWTH, InDatabase, InRedis, State, Store
from runs import clock
from runs.models import Run
from tests.integration.stack import ROOT, Valkey
from tests.newsletters import paces
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
    request.getfixturevalue("db")
    settings.BROKER_URL = request.getfixturevalue("valkey").url if request.param == "redis" else "memory://"
    settings.BROKER_PREFIX = f"test{time.monotonic_ns()}:"
    return str(request.param)


@pytest.fixture
def store(kept_in: str) -> Store:
    chosen = pacing_detour.store()
    assert isinstance(chosen, pacing_detour.Detour if kept_in == "redis" else InDatabase)
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
from newsletters import pacing_detour
print(json.dumps([pacing_detour.store().take("a", 60, 1, 5), pacing_detour.store().is_slowed("a")]))
"""


@pytest.mark.django_db(transaction=True)
def test_another_process_goes_on_where_this_one_was(store: Store) -> None:
    store.slow_down("a", 10)
    assert store.take("a", 60, 1, 5)[0] == 1
    done = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS], env=paces.environment(), cwd=ROOT, capture_output=True
    )
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
def test_a_server_that_asks_for_it_before_it_takes_a_mail_is_sent_to_more_slowly(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run]
) -> None:
    """421 and 4.7.x come as an answer to MAIL and RCPT as often as to the whole mail."""
    add_readers(city_news, 30)
    smtp_server.on_mail = lambda number: "421 4.7.0 too fast" if number == 10 else None
    assert perform(letter).result == "30 sent."
    pace = Pace.objects.get()
    assert State(pace.next_at, pace.cap, pace.capped_at).cap_at(clock.now().timestamp()) > 0
