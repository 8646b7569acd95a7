"""Cancelling an issue whose run has ended while somebody may still have mails of it in hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from pytest_django import Settings

from newsletters import deliveries, journal, lanes, preparing, sender, services
from newsletters.deliveries import Settled
from newsletters.models import Delivery, Issue, Lane, List, Newsletter
from runs import clock, ledger
from runs.models import Run
from runs.states import State, Trigger
from tests.integration.stack import wait_until
from tests.newsletters.conftest import DUE, add_readers, start_helper
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_sending_correctly import assert_accounted_for
from tests.newsletters.test_smtp_trouble import states

Perform = Callable[..., Run]


def ended_run(letter: Newsletter, readers: int, city_news: List) -> Issue:
    """An issue that is being sent by a helper alone: its run failed a moment ago."""
    add_readers(city_news, readers)
    issue = preparing.issue_for(letter, DUE)
    run = ledger.plan(
        ledger.NewRun(kind="newsletter", target_id=letter.pk, target_label="", trigger=Trigger.MANUAL, due_at=DUE)
    )
    Run.objects.filter(pk=run.pk).update(state=State.FAILED)
    Issue.objects.filter(pk=issue.pk).update(state=Issue.State.RUNNING, run_id=run.pk, started_at=clock.now())
    issue.refresh_from_db()
    return issue


@pytest.fixture
def helped(letter: Newsletter, city_news: List, db: None) -> Issue:
    return ended_run(letter, 6, city_news)


@pytest.mark.django_db
class TestOfARunThatEnded:
    def test_leaves_alone_what_a_helper_that_lives_has_in_hand(self, helped: Issue, perform: Perform) -> None:
        hold = lanes.take(helped, 1, 1)
        journal.Journal(journal.path(helped.pk, hold.fence)).close()
        first, *_ = deliveries.claim(hold, 4).rows
        services.cancel_issue(None, helped.pk)
        assert states(helped) == {Delivery.State.CLAIMED: 4, Delivery.State.SKIPPED: 2}
        deliveries.flush(hold, Settled(sent=[first.id]))  # it was on its way
        lanes.release(hold)
        assert perform(helped, run=Run.objects.latest("pk")).result == "Cancelled after 1 of 6."
        assert states(helped) == {Delivery.State.SENT: 1, Delivery.State.SKIPPED: 5}
        assert_accounted_for(helped)

    def test_is_tidied_up_when_the_computer_of_a_helper_is_gone(
        self, helped: Issue, perform: Perform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its lease is waited for: until then it may be sending."""
        deliveries.claim(lanes.take(helped, 1, 1), 4)
        Lane.objects.update(holder="another-boot:4026531836:7:99")
        services.cancel_issue(None, helped.pk)
        assert states(helped) == {Delivery.State.CLAIMED: 4, Delivery.State.SKIPPED: 2}
        looks: list[int] = []

        def sleep(seconds: float) -> None:
            looks.append(1)
            if len(looks) == 3:
                over = clock.now() - timedelta(seconds=lanes.ELSEWHERE_SECONDS + 1)
                Lane.objects.update(lease_until=over)

        monkeypatch.setattr(time, "sleep", sleep)
        assert perform(helped, run=Run.objects.latest("pk")).result == "Cancelled after 0 of 6."
        assert len(looks) == 3
        assert states(helped) == {Delivery.State.UNCERTAIN: 4, Delivery.State.SKIPPED: 2}
        assert_accounted_for(helped)

    def test_needs_no_run_when_nobody_has_anything_in_hand(self, helped: Issue) -> None:
        services.cancel_issue(None, helped.pk)
        assert states(helped) == {Delivery.State.SKIPPED: 6}
        assert Run.objects.count() == 1
        assert_accounted_for(helped)

    def test_settles_a_helper_that_was_killed(self, helped: Issue) -> None:
        deliveries.claim(lanes.take(helped, 1, 1), 4)
        boot_and_names, _, _ = Lane.objects.get(number=1).holder.rpartition(":")
        Lane.objects.filter(number=1).update(holder=f"{boot_and_names}:1")  # the number is another process's now
        services.cancel_issue(None, helped.pk)
        assert not Lane.objects.exclude(holder="").exists()
        assert_accounted_for(helped)


@pytest.mark.django_db
@pytest.mark.parametrize("state", [State.PLANNED, State.PUBLISHED])
def test_an_issue_whose_run_only_waits_is_tidied_up_at_once(helped: Issue, state: State) -> None:
    """The run may never come: staff may cancel it as well."""
    Run.objects.update(state=state)
    services.cancel_issue(None, helped.pk)
    assert_accounted_for(helped)


@pytest.mark.django_db
def test_a_worker_that_died_in_the_middle_leaves_nothing_open(helped: Issue, perform: Perform) -> None:
    """The next attempt of its run finds the issue cancelled, and ends it by the counts."""
    Run.objects.update(state=State.RUNNING, lease_until=clock.now() + timedelta(seconds=60), attempt=1)
    services.cancel_issue(None, helped.pk)
    Run.objects.update(state=State.PLANNED, lease_until=None, attempt=1)
    run = perform(helped, run=Run.objects.get())
    assert (run.state, run.result) == (State.SUCCEEDED, "Cancelled after 0 of 6.")
    assert_accounted_for(helped)


@pytest.fixture
def slow_look(smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.5)  # as it is outside of tests
    smtp_server.seconds_per_mail = 0.01
    yield


@pytest.mark.django_db(transaction=True)
def test_no_mail_leaves_for_a_reader_who_is_marked_as_left_out(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, slow_look: None
) -> None:
    issue = ended_run(letter, 150, city_news)

    helper = start_helper(issue)
    wait_until(lambda: len(smtp_server.received) > 5, 10, "it sends")
    services.cancel_issue(None, issue.pk)
    left_out = set(issue.deliveries.filter(state=Delivery.State.SKIPPED).values_list("email", flat=True))
    cancelled_at = time.monotonic()
    helper.join()
    assert time.monotonic() - cancelled_at < 2
    assert len(smtp_server.received) < 150
    assert left_out.isdisjoint(smtp_server.recipients)
    left_out = set(issue.deliveries.filter(state=Delivery.State.SKIPPED).values_list("email", flat=True))
    assert left_out.isdisjoint(smtp_server.recipients)
    issue.refresh_from_db()
    assert issue.sent == len(smtp_server.received)
    assert_accounted_for(issue)
