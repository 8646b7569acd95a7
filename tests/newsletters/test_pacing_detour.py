"""Redis does not answer: the pace goes on in the database, for all processes, and never beyond the rate."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from newsletters import pacing, pacing_detour
from newsletters.models import List, Newsletter, Pace
from newsletters.pacing_detour import Detour
from runs import clock
from runs.models import Run
from tests.integration.stack import Valkey
from tests.newsletters import paces
from tests.newsletters.conftest import add_readers
from tests.newsletters.smtp_server import SmtpServer

TIMEOUT = 0.3


@pytest.fixture
def valkey(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """A Redis that is waited for only shortly."""
    monkeypatch.setattr(pacing, "TIMEOUT_SECONDS", TIMEOUT)
    monkeypatch.setattr(pacing_detour, "TIMEOUT_SECONDS", TIMEOUT)
    monkeypatch.setattr(pacing_detour, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(pacing_detour, "HANDOVER_SECONDS", 0.2 + TIMEOUT)
    server = Valkey(tmp_path / "valkey")
    server.start()
    settings.BROKER_URL, settings.BROKER_PREFIX = server.url, "detour:"
    yield server
    if server.process is not None:
        go_on(server)
    server.kill()


def hang(server: Valkey) -> None:
    """It takes connections and commands, and answers none."""
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)


def go_on(server: Valkey) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGCONT)


def end_detour(seconds_ago: float = 1.0) -> None:
    """As if it had been over for so long."""
    Pace.objects.filter(key=pacing_detour.AWAY).update(next_at=clock.now().timestamp() - seconds_ago, cap=1)


def timed(act: Callable[[], object]) -> float:
    before = time.monotonic()
    act()
    return time.monotonic() - before


@pytest.mark.django_db
@pytest.mark.parametrize("break_it", [hang, Valkey.kill], ids=["it hangs", "it is gone"])
def test_a_sending_goes_on_and_keeps_its_rate(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run], valkey: Valkey,
    settings: Settings, break_it: Callable[[Valkey], None],
) -> None:  # fmt: skip
    settings.BROKER_URL = valkey.url
    Newsletter.objects.update(rate=20, rate_per="second")
    letter.refresh_from_db()
    add_readers(city_news, 40)
    taken: list[float] = []

    def at(number: int, address: str) -> None:
        taken.append(time.monotonic())
        if number == 8:
            break_it(valkey)

    smtp_server.on_rcpt = at
    assert perform(letter).result == "40 sent."
    assert paces.most_in_a_window([(moment, moment) for moment in taken], 0.98) <= 20
    assert taken[-1] - taken[0] < 8, "once it is waited for, and not at every look"


@pytest.mark.django_db
class TestWhoMetIt:
    def test_waits_once_and_others_not_at_all(self, valkey: Valkey) -> None:
        mine, others = Detour(valkey.url), Detour(valkey.url)
        assert mine.take("a", 0.05, 0, 1)[0] == 1
        hang(valkey)
        assert timed(lambda: mine.take("a", 0.05, 0, 1)) >= TIMEOUT
        for act in (
            lambda: mine.take("a", 0.05, 0, 1), lambda: mine.is_slowed("a"), lambda: mine.slow_down("b", 10),
            lambda: others.take("a", 0.05, 0, 1), lambda: others.is_slowed("a"),
        ):  # fmt: skip
            assert timed(act) < TIMEOUT

    def test_hears_a_servers_complaint_all_the_same(self, valkey: Valkey) -> None:
        mine = Detour(valkey.url)
        hang(valkey)
        mine.slow_down("a", 10)
        assert mine.is_slowed("a")
        assert Detour(valkey.url).is_slowed("a")

    def test_begins_when_nobody_can_be_asking_redis_any_more(self, valkey: Valkey) -> None:
        mine, others = Detour(valkey.url), Detour(valkey.url)
        assert (mine.take("a", 0.2, 0, 1)[0], others.take("b", 1, 0, 1)[0]) == (1, 1)
        hang(valkey)
        granted, wait = mine.take("a", 0.2, 0, 1)
        assert granted == 0
        assert wait == pytest.approx(pacing_detour.HANDOVER_SECONDS + 0.2, abs=0.1)

    def test_goes_back_with_what_was_granted_meanwhile(self, valkey: Valkey) -> None:
        mine, never_away = Detour(valkey.url), Detour(valkey.url)
        assert mine.take("a", 0.1, 0, 1)[0] == 1
        valkey.kill()
        mine.take("a", 60, 0, 1)
        Pace.objects.filter(key="a").update(next_at=0)
        Pace.objects.filter(key=pacing_detour.AWAY).update(capped_at=0)
        assert mine.take("a", 60, 0, 1)[0] == 1
        valkey.start()
        end_detour()
        for store in (never_away, mine, Detour(valkey.url)):
            granted, wait = store.take("a", 60, 0, 1)
            assert granted == 0
            assert 50 < wait <= 60
        assert not Pace.objects.filter(key="a", next_at__gt=clock.now().timestamp() + 61).exists()

    def test_grants_nothing_in_the_moment_of_the_change(self, valkey: Valkey) -> None:
        mine = Detour(valkey.url)
        hang(valkey)
        mine.take("a", 0.1, 0, 1)
        go_on(valkey)
        end_detour(seconds_ago=0.1)
        assert mine.take("a", 0.1, 0, 5) == (0, pacing_detour.BACK_SECONDS)


@pytest.mark.django_db
class TestBeforeTheEnd:
    @pytest.fixture
    def away(self, valkey: Valkey) -> list[Detour]:
        stores = [Detour(valkey.url), Detour(valkey.url)]
        hang(valkey)
        for store in stores:
            store.take("a", 1, 0, 1)
        Pace.objects.filter(key=pacing_detour.AWAY).update(next_at=clock.now().timestamp() + 2)
        return stores

    def test_one_asks_for_all_whether_it_is_back(self, away: list[Detour]) -> None:
        assert timed(lambda: away[0].take("a", 1, 0, 1)) >= TIMEOUT
        assert timed(lambda: away[1].take("a", 1, 0, 1)) < TIMEOUT
        assert timed(lambda: away[0].take("a", 1, 0, 1)) < TIMEOUT
        left = Pace.objects.get(key=pacing_detour.AWAY).next_at - clock.now().timestamp()
        assert left == pytest.approx(pacing_detour.AWAY_SECONDS, abs=2)

    def test_where_it_is_back_the_detour_ends(self, away: list[Detour], valkey: Valkey) -> None:
        go_on(valkey)
        for _ in range(3):
            away[0].take("a", 1, 0, 1)
        left = Pace.objects.get(key=pacing_detour.AWAY).next_at - clock.now().timestamp()
        assert 0 < left < 10


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_window_has_more_than_the_rate_while_redis_hangs_and_comes_back(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four at once, one of which comes late; Redis hangs for a moment, twice."""
    monkeypatch.setattr(pacing_detour, "AWAY_SECONDS", 1.2)
    monkeypatch.setattr(pacing_detour, "PROBE_SECONDS", 0.3)
    rate, spans, end = 20, [], time.monotonic() + 6.5

    def take_all(starts_in: float) -> None:
        time.sleep(starts_in)
        store = Detour(valkey.url)
        try:
            while time.monotonic() < end:
                before = time.monotonic()
                granted, wait = store.take("a", 1.03 / rate, 0.02, 3)
                spans.extend([(before, time.monotonic())] * granted)
                time.sleep(min(wait, 0.1))
        finally:
            connection.close()

    takers = [threading.Thread(target=take_all, args=(starts_in,)) for starts_in in (0, 0, 0, 3)]
    for taker in takers:
        taker.start()
    for hangs_for in (TIMEOUT * 1.2, TIMEOUT * 0.9):
        time.sleep(0.7)
        hang(valkey)
        time.sleep(hangs_for)
        go_on(valkey)
        time.sleep(1.8)
    for taker in takers:
        taker.join()
    assert Pace.objects.filter(key=pacing_detour.AWAY).exists(), "it was noticed"
    assert paces.most_in_a_window(sorted(spans), 1) <= rate
    assert len(spans) > 2 * rate, "it went on"
