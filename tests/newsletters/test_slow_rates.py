"""A rate of a few mails an hour: nobody is claimed long before the own time, so late opt-outs count and others find work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from newsletters import deliveries, lanes, preparing, sender, services
from newsletters.models import Delivery, Issue, List, Newsletter, Pace
from newsletters.sender import Sender
from runs.models import Run
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_smtp_trouble import states

pytestmark = pytest.mark.django_db
READERS = 40


class Idle:
    """Work that nobody watches."""

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        pass


@pytest.fixture
def begin(letter: Newsletter, city_news: List, smtp_server: SmtpServer) -> Iterator[Callable[..., Sender]]:
    """A sender of the issue at this rate."""
    begun: list[Sender] = []
    add_readers(city_news, READERS)

    def at(rate: int, rate_per: str) -> Sender:
        Newsletter.objects.update(rate=rate, rate_per=rate_per)
        issue = preparing.issue_for(Newsletter.objects.get(), DUE)
        Issue.objects.filter(pk=issue.pk).update(state=Issue.State.RUNNING)
        issue.refresh_from_db()
        begun.append(sender.begin(Idle(), issue, lanes.take(issue, 1)))
        return begun[-1]

    yield at
    for one in begun:
        one.close()


def send_for(seconds: float, begun: Sender) -> None:
    begun.send(until=time.monotonic() + seconds)
    begun.look()


def pass_by(seconds: float) -> None:
    """As if so much time had passed for the rate."""
    pace = Pace.objects.get()
    Pace.objects.update(next_at=pace.next_at - seconds)


def test_nobody_is_claimed_before_it_is_nearly_time(begin: Callable[..., Sender], smtp_server: SmtpServer) -> None:
    begun = begin(2, "hour")
    send_for(0.3, begun)
    issue = Issue.objects.get()
    assert states(issue) == {Delivery.State.SENT: 1, Delivery.State.PENDING: READERS - 1}
    pass_by(1846)  # the next one is due in a few seconds
    send_for(0.3, begun)
    assert states(issue)[Delivery.State.CLAIMED] == 1
    pass_by(14)
    send_for(0.3, begun)
    assert states(issue) == {Delivery.State.SENT: 2, Delivery.State.PENDING: READERS - 2}


@pytest.mark.parametrize(("rate", "most"), [(1, 10), (2, 20)])
def test_a_claim_is_what_ten_seconds_allow(begin: Callable[..., Sender], rate: int, most: int) -> None:
    send_for(0.2, begin(rate, "second"))
    by_state = states(Issue.objects.get())
    assert by_state[Delivery.State.CLAIMED] + by_state[Delivery.State.SENT] == most


def test_who_leaves_while_the_rate_waits_is_left_out(begin: Callable[..., Sender], smtp_server: SmtpServer) -> None:
    begun = begin(2, "hour")
    send_for(0.3, begun)
    services.suppress(None, "reader1@example.org")
    pass_by(1860)
    send_for(0.3, begun)
    assert smtp_server.recipients == ["reader0@example.org", "reader2@example.org"]
    assert Delivery.objects.get(state=Delivery.State.SKIPPED).email == "reader1@example.org"


def test_another_process_finds_the_rest(begin: Callable[..., Sender]) -> None:
    send_for(0.3, begin(2, "hour"))
    issue = Issue.objects.get()
    assert len(deliveries.claim(lanes.take(issue, 1, 1), 100).rows) == READERS - 1


def test_who_was_claimed_at_a_faster_rate_is_given_back(begin: Callable[..., Sender]) -> None:
    begun = begin(3, "second")
    send_for(0.2, begun)
    issue = Issue.objects.get()
    assert states(issue)[Delivery.State.CLAIMED] >= 25
    services.change_rate(None, issue.pk, 2, "hour")
    send_for(0.3, begun)
    by_state = states(issue)
    assert by_state[Delivery.State.CLAIMED] <= 1
    assert sum(by_state.values()) == READERS


def test_the_end_comes_with_the_last_mail_and_not_an_hour_later(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run]
) -> None:
    add_readers(city_news, 1)
    Newsletter.objects.update(rate=1, rate_per="hour")
    started = time.monotonic()
    assert perform(Newsletter.objects.get()).result == "1 sent."
    assert time.monotonic() - started < 5
