"""The database's clock jumps forward, and a lane looks abandoned whose holder is in the middle of a mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from newsletters import deliveries, journal, lanes, preparing, sender
from newsletters.deliveries import Settled
from newsletters.models import Delivery, Issue, List, Newsletter
from runs import clock, ledger
from tests.integration.stack import wait_until
from tests.newsletters.conftest import DUE, add_readers, start_helper
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_sending_correctly import assert_accounted_for
from tests.newsletters.test_smtp_trouble import states


@pytest.fixture
def going(letter: Newsletter, city_news: List, db: None) -> Issue:
    add_readers(city_news, 120)
    issue = preparing.issue_for(letter, DUE)
    Issue.objects.filter(pk=issue.pk).update(state=Issue.State.RUNNING)
    return Issue.objects.get()


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds that the database's clock is ahead of what it was."""
    ahead, now = [0.0], clock.now

    def later() -> datetime:
        return now() + timedelta(seconds=ahead[0])

    monkeypatch.setattr(clock, "now", later)
    yield ahead


class Idle:
    """Work that nobody watches."""

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        pass


@pytest.mark.django_db(transaction=True)
def test_nobody_gets_it_twice_although_both_are_sending(
    going: Issue, smtp_server: SmtpServer, jump: list[float], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """The holder would look at its lane only in a while, and goes on until then."""
    settings.SENDING_CONNECTIONS = 3
    monkeypatch.setattr(sender, "LOOK_SECONDS", 1.5)
    smtp_server.seconds_per_mail = 0.01

    helper = start_helper(going)
    wait_until(lambda: len(smtp_server.received) > 5, 10, "it sends")
    jump[0] = lanes.HOLD_SECONDS + 1
    assert lanes.reap(going.pk) == 1
    driver = sender.begin(Idle(), going, lanes.take(going, 1))
    driver.send()
    driver.close()
    helper.join()
    assert [address for address, times in Counter(smtp_server.recipients).items() if times > 1] == []
    going.refresh_from_db()
    assert going.uncertain <= 1, "only the mail whose answer was on its way"
    assert len(smtp_server.received) == 120
    assert_accounted_for(going)


@pytest.mark.django_db
class TestAHolderWhoseLaneWasSettled:
    @pytest.fixture
    def held(self, going: Issue, jump: list[float]) -> tuple[lanes.Hold, journal.Journal]:
        hold = lanes.take(going, 1, 1)
        book = journal.Journal(journal.path(going.pk, hold.fence))
        self.rows = deliveries.claim(hold, 5).rows
        return hold, book

    def test_begins_no_mail_any_more(
        self, going: Issue, jump: list[float], held: tuple[lanes.Hold, journal.Journal]
    ) -> None:
        hold, book = held
        book.begin(self.rows[0].id)
        book.settle(self.rows[0].id, is_taken=True)
        book.begin(self.rows[1].id)
        jump[0] = lanes.HOLD_SECONDS + 1
        assert lanes.reap(going.pk) == 1
        assert hold.is_valid, "it has no idea"
        with pytest.raises(ledger.LeaseLost):
            book.begin(self.rows[2].id)
        with pytest.raises(ledger.LeaseLost):
            deliveries.flush(hold, Settled(sent=[self.rows[1].id]))
        assert states(going) == {Delivery.State.SENT: 1, Delivery.State.UNCERTAIN: 1, Delivery.State.PENDING: 118}

    def test_and_what_it_tried_to_begin_is_not_uncertain_when_it_has_to_be_settled_again(
        self, going: Issue, held: tuple[lanes.Hold, journal.Journal]
    ) -> None:
        """Whoever settled it could not commit."""
        hold, book = held
        book.begin(self.rows[0].id)
        journal.end(going.pk, hold.fence)
        with pytest.raises(ledger.LeaseLost):
            book.begin(self.rows[1].id)
        book.settle(self.rows[0].id, is_taken=True)  # the answer came late
        lanes.release(hold)
        assert states(going) == {Delivery.State.SENT: 1, Delivery.State.PENDING: 119}
