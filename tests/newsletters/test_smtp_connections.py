"""How many connections there are, how long each is used, and when nothing may be sent on any."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from newsletters import smtp, smtp_pool
from newsletters.deliveries import Row
from newsletters.smtp_pool import Pool
from newsletters.smtp_replies import Fate
from tests.newsletters.smtp_desk import Desk, Start, once


def test_a_connection_is_used_again_and_closed_with_quit(
    desk: Desk, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "MAILS_PER_CONNECTION", 5)
    server = start()
    desk.send(12)
    assert desk.fates == [Fate.SENT] * 12
    assert (server.said("EHLO"), server.said("QUIT")) == (3, 3)


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_server_that_lets_two_connections_in_gets_no_more(desk: Desk, start: Start, is_strict: bool) -> None:
    server = start(most_connections=2, seconds_before_final_answer=0.005)
    desk.send(60, connections=8, is_strict=is_strict)
    assert desk.fates == [Fate.SENT] * 60
    assert Counter(server.accepted) == Counter(f"r{number}@example.org" for number in range(60))
    assert server.most_open == 2
    assert desk.slowed == 0, "fewer connections, not fewer mails"


def test_while_nothing_may_be_sent_nothing_is_lost(desk: Desk, start: Start) -> None:
    """A process that slept for too long asks first whether the lane is still its own."""
    server = start()
    pool = Pool(desk, desk.journal, connections=3, is_strict=True)
    pool.open()
    pool.feed(Row(number, number, f"r{number}@example.org", "", "", {}, 0) for number in range(7))
    desk.may = False
    pool.run(0.2)
    assert (server.accepted, pool.waiting, desk.journal.read_bytes()) == ([], 7, b"")
    desk.may = True
    while pool.waiting:
        pool.run(0.2)
    pool.close()
    assert sorted(server.accepted) == [f"r{number}@example.org" for number in range(7)]


class TestAfterFewerWereLetIn:
    """The server has room for two; then it has room for all."""

    @pytest.fixture
    def pool(self, desk: Desk, start: Start) -> Iterator[Pool]:
        self.server = start(most_connections=2, seconds_before_final_answer=0.002)
        pool = Pool(desk, desk.journal, connections=4, is_strict=False)
        pool.open()
        self.send(pool, 40)
        assert self.server.most_open == 2
        self.server.most_connections = 1000
        yield pool
        pool.close()

    def send(self, pool: Pool, mails: int) -> None:
        pool.feed(Row(number, number, f"r{number}@example.org", "", "", {}, 0) for number in range(mails))
        deadline = time.monotonic() + 20
        while pool.waiting and time.monotonic() < deadline:
            pool.run(0.05)
        assert pool.waiting == 0

    def test_one_more_is_tried_after_each_quiet_minute(self, pool: Pool) -> None:
        self.send(pool, 40)
        assert self.server.most_open == 2, "not at once"
        for most in (3, 4, 4):
            pass_a_minute(pool)
            self.send(pool, 40)
            assert self.server.most_open == most

    def test_trouble_makes_it_wait_for_another_minute(self, pool: Pool) -> None:
        pool._grows_at = pool._loop.time() + 0.05
        self.server.reply = once("MAIL", "421 4.3.2 busy", at=1)
        self.send(pool, 4)
        time.sleep(0.06)
        self.send(pool, 40)
        assert self.server.most_open == 2

    def test_one_too_many_again_loses_nobody(self, pool: Pool, desk: Desk) -> None:
        self.server.most_connections = 2
        pass_a_minute(pool)
        self.send(pool, 40)
        assert (pool._most, len(self.server.accepted), desk.slowed) == (2, 80, 0)


def pass_a_minute(pool: Pool) -> None:
    pool._grows_at -= smtp_pool.GROWS_EVERY_SECONDS
