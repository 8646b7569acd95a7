"""Lanes whose holders are silent: who may settle them and when, and a holder that only slept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django import Settings

from newsletters import deliveries, holders, journal, lanes, preparing
from newsletters.deliveries import Settled
from newsletters.models import Delivery, Issue, Lane, List, Newsletter
from runs import clock, ledger
from runs.models import Run
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_smtp_trouble import states


@pytest.fixture
def issue(letter: Newsletter, city_news: List) -> Issue:
    add_readers(city_news, 6)
    made = preparing.issue_for(letter, DUE)
    Issue.objects.filter(pk=made.pk).update(state=Issue.State.RUNNING)
    return made


def pass_lease(seconds: float) -> None:
    """As if the leases had ended so long ago."""
    Lane.objects.update(lease_until=clock.now() - timedelta(seconds=seconds))


@pytest.mark.django_db
class TestLanes:
    def test_of_another_computer_are_settled_late_and_as_uncertain(self, issue: Issue) -> None:
        """Its own may still come and settle it by the journal."""
        hold = lanes.take(issue, 1)
        deliveries.claim(hold, 4)
        Lane.objects.update(holder="another-boot:4026531836:7:99")
        assert lanes.reap(issue.pk) == 0
        pass_lease(lanes.ELSEWHERE_SECONDS - 1)
        assert lanes.reap(issue.pk) == 0
        pass_lease(lanes.ELSEWHERE_SECONDS + 1)
        assert lanes.reap(issue.pk) == 1
        assert states(issue) == {Delivery.State.UNCERTAIN: 4, Delivery.State.PENDING: 2}
        assert set(issue.deliveries.filter(state=Delivery.State.UNCERTAIN).values_list("text", flat=True)) == {
            lanes.JOURNAL_LOST
        }
        issue.refresh_from_db()
        assert issue.uncertain == 4

    def test_of_another_container_are_not_taken_for_gone(self, issue: Issue) -> None:
        """Containers on one computer number their processes each for themselves: its 7 is not our 7."""
        lanes.take(issue, 1)
        boot, numbered_in, *_ = holders.this_process().split(":")
        Lane.objects.update(holder=f"{boot}:{int(numbered_in) + 1}:999999:1")
        with pytest.raises(lanes.LaneBusy):
            lanes.take(issue, 2)
        Lane.objects.update(holder=f"{boot}:{numbered_in}:999999:1")
        assert lanes.take(issue, 2).is_valid

    def test_whose_holder_was_settled_while_it_slept_are_not_its_own_again(self, issue: Issue) -> None:
        """Nobody took the lane again, but somebody else is sending what it had claimed."""
        driver, helper = lanes.take(issue, 1), lanes.take(issue, 1, 1)
        deliveries.claim(helper, 4)
        journal.Journal(journal.path(issue.pk, helper.fence)).close()
        Lane.objects.filter(pk=helper.lane_id).update(lease_until=clock.now() - timedelta(seconds=1))
        assert lanes.reap(issue.pk) == 1
        assert len(deliveries.claim(driver, 6).rows) == 6
        with pytest.raises(ledger.LeaseLost):
            deliveries.flush(helper, Settled())
        with pytest.raises(ledger.LeaseLost):
            deliveries.claim(helper, 1)
        lanes.release(helper)
        assert states(issue) == {Delivery.State.CLAIMED: 6}

    def test_a_holder_believes_in_itself_no_longer_than_others_do_however_slow_the_database_was(
        self, issue: Issue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        passed, now, this_process = [0.0], lanes._now, holders.this_process

        def wait_for_the_database() -> str:
            passed[0] = lanes.HOLD_SECONDS - 1
            return this_process()

        monkeypatch.setattr(lanes, "_now", lambda: now() + passed[0])
        monkeypatch.setattr(holders, "this_process", wait_for_the_database)
        assert not lanes.take(issue, 1).is_valid


@pytest.mark.django_db
def test_a_computer_that_slept_in_the_middle_sends_to_everybody_once(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch, settings: Settings,
) -> None:  # fmt: skip
    """The lane is asked for again; it still is its own, and what was in hand is not forgotten."""
    readers = add_readers(city_news, 60)
    settings.SENDING_CONNECTIONS = 3
    slept, now = [0.0], lanes._now
    monkeypatch.setattr(lanes, "_now", lambda: now() + slept[0])

    def sleep(number: int, address: str) -> None:
        if number in (10, 40):
            slept[0] += lanes.HOLD_SECONDS

    smtp_server.on_rcpt = sleep
    assert perform(letter).result == "60 sent."
    assert Counter(smtp_server.recipients) == Counter(reader.email for reader in readers)
