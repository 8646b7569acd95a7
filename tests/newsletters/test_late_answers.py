"""Staff stop a sending while the mail server keeps its answer to one mail to itself: all the others stop at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from newsletters import deliveries, lanes, preparing, sender, services, smtp
from newsletters.models import Delivery, Issue, Lane, List, Newsletter
from runs import clock, ledger
from runs.models import Run, RunEvent
from runs.states import State, Trigger
from schedules.tasks import run_job
from tests.integration.stack import wait_until
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.slow_smtp_server import HANG_UP, SlowSmtpServer
from tests.newsletters.smtp_desk import Start
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_sending_correctly import assert_accounted_for
from tests.newsletters.test_smtp_trouble import states

READERS = 30
HELD_BACK = 6
"""The mail whose answer does not come."""


class Held:
    """A sending in which the server does not answer to one mail until it is told to."""

    def __init__(self, letter: Newsletter, start: Start) -> None:
        self.answer = "250 2.0.0 taken"
        self._may_answer = threading.Event()
        self._mails = 0
        self.server: SlowSmtpServer = start(reply=self._reply)
        self.issue = preparing.issue_for(letter, DUE)
        new = ledger.NewRun(kind="newsletter", target_id=letter.pk, target_label="", trigger=Trigger.MANUAL, due_at=DUE)
        self.run = ledger.plan(new)
        self._threads = [perform(self.run)]
        wait_until(lambda: self._mails >= HELD_BACK, 10, "a mail is in flight")

    def _reply(self, command: str, usual: str) -> str:
        if command != ".":
            return usual
        self._mails += 1
        if self._mails == HELD_BACK:
            assert self._may_answer.wait(20)
            return self.answer
        return usual

    def resume(self) -> Run:
        run = services.resume_issue(None, self.issue.pk)
        self._threads.append(perform(run))
        return run

    def let_answer(self) -> None:
        self._may_answer.set()
        for thread in self._threads:
            thread.join(20)
        self.issue.refresh_from_db()


def perform(run: Run) -> threading.Thread:
    def work() -> None:
        try:
            run_job(run.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.fixture
def held(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, start: Start, settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Held]:  # fmt: skip
    add_readers(city_news, READERS)
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.1)
    settings.SENDING_CONNECTIONS = 3
    sending = Held(letter, start)
    yield sending
    sending.let_answer()


def only_one_is_in_flight(issue: Issue, *, otherwise: Delivery.State) -> None:
    """Within two seconds."""
    wanted = {
        Delivery.State.SENT: HELD_BACK - 1, Delivery.State.CLAIMED: 1, otherwise: READERS - HELD_BACK,
    }  # fmt: skip
    asked_at = time.monotonic()
    while states(issue) != wanted and time.monotonic() - asked_at < 2:
        time.sleep(0.02)
    assert states(issue) == wanted


@pytest.mark.django_db(transaction=True)
class TestWhileOneAnswerIsLate:
    def test_a_pause_stops_everything_else_and_that_one_counts_when_the_answer_comes(self, held: Held) -> None:
        services.pause_issue(None, held.issue.pk, "a typo")
        only_one_is_in_flight(held.issue, otherwise=Delivery.State.PENDING)
        held.let_answer()
        assert states(held.issue) == {Delivery.State.SENT: HELD_BACK, Delivery.State.PENDING: READERS - HELD_BACK}
        assert held.issue.sent == len(held.server.accepted) == HELD_BACK
        held.run.refresh_from_db()
        assert (held.run.state, held.run.result[:23]) == (State.SUCCEEDED, "Paused by Almanac after")

    def test_cancelling_leaves_out_everybody_else(self, held: Held) -> None:
        services.cancel_issue(None, held.issue.pk)
        only_one_is_in_flight(held.issue, otherwise=Delivery.State.SKIPPED)
        held.let_answer()
        assert (held.issue.sent, held.issue.skipped) == (HELD_BACK, READERS - HELD_BACK)
        assert_accounted_for(held.issue)

    def test_no_answer_at_all_makes_that_one_uncertain(self, held: Held) -> None:
        services.pause_issue(None, held.issue.pk, "a typo")
        only_one_is_in_flight(held.issue, otherwise=Delivery.State.PENDING)
        held.answer = HANG_UP
        held.let_answer()
        assert states(held.issue)[Delivery.State.UNCERTAIN] == 1
        assert held.issue.uncertain == 1

    def test_its_lane_stays_its_own_for_however_long(self, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
        """Otherwise the mail would be settled as uncertain after the lease."""
        monkeypatch.setattr(lanes, "HOLD_SECONDS", 0.5)
        services.pause_issue(None, held.issue.pk, "a typo")
        only_one_is_in_flight(held.issue, otherwise=Delivery.State.PENDING)
        time.sleep(1)
        assert lanes.reap(held.issue.pk) == 0
        held.let_answer()
        assert (held.issue.sent, held.issue.uncertain) == (HELD_BACK, 0)

    def test_whoever_resumes_gets_the_rest_sent_after_that_answer_and_nobody_twice(self, held: Held) -> None:
        services.pause_issue(None, held.issue.pk, "a typo")
        only_one_is_in_flight(held.issue, otherwise=Delivery.State.PENDING)
        run = held.resume()
        wait_until(lambda: RunEvent.objects.filter(run_id=run.pk).exists(), 5, "it says what it waits for")
        assert "has not answered yet for the last mail" in RunEvent.objects.get(run_id=run.pk).message
        held.let_answer()
        run.refresh_from_db()
        assert (run.state, run.result) == (State.SUCCEEDED, f"{READERS} sent.")
        assert set(Counter(held.server.accepted).values()) == {1}
        assert_accounted_for(held.issue)

    def test_the_page_says_so_in_words(self, held: Held, client: Client) -> None:
        client.force_login(User.objects.create_superuser("anna"))
        page = reverse("admin:newsletters_issue_change", args=[held.issue.pk])
        assert "still in flight" not in client.get(page).content.decode()
        services.pause_issue(None, held.issue.pk, "a typo")
        only_one_is_in_flight(held.issue, otherwise=Delivery.State.PENDING)
        for address in (page, f"{page}?part=live"):
            said = client.get(address).content.decode()
            assert "One mail is still in flight." in said
            assert "No other mail leaves." in said
        services.cancel_issue(None, held.issue.pk)
        live = client.get(f"{page}?part=live")
        assert "One mail is still in flight." in live.content.decode()
        assert "HX-Refresh" not in live.headers
        held.let_answer()
        assert "still in flight" not in client.get(page).content.decode()
        assert client.get(f"{page}?part=live").headers["HX-Refresh"] == "true"


@pytest.mark.django_db
def test_the_page_calls_nothing_in_flight_that_a_killed_process_left(
    letter: Newsletter, city_news: List, client: Client
) -> None:
    add_readers(city_news, 3)
    issue = preparing.issue_for(letter, DUE)
    deliveries.claim(lanes.take(issue, 1), 2)
    Issue.objects.update(state=Issue.State.PAUSED)
    client.force_login(User.objects.create_superuser("anna"))
    page = reverse("admin:newsletters_issue_change", args=[issue.pk])
    assert "A few mails are still in flight." in client.get(page).content.decode()
    Lane.objects.update(lease_until=clock.now())
    assert "still in flight" not in client.get(page).content.decode()


def test_ten_minutes_are_waited_for() -> None:
    """RFC 5321 4.5.3.2.6."""
    assert smtp.FINAL_ANSWER_SECONDS >= 600
