"""Several processes on one issue: each reader once, whoever is killed, stopped or in trouble, and whoever fell asleep."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from newsletters import journal, services
from newsletters.models import Delivery, Issue, Lane, List, Newsletter
from runs.models import Run
from runs.states import State
from tests.integration.stack import wait_until
from tests.newsletters.conftest import add_readers
from tests.newsletters.processes import Child, Parent
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_kill import hand_over, plan
from tests.newsletters.test_sending_correctly import assert_accounted_for
from tests.newsletters.test_smtp_trouble import states


class House:
    """The processes that send one issue; none is left behind."""

    def __init__(self, parent: Parent, server: SmtpServer) -> None:
        self.server = server
        self.processes: list[Child] = []
        self._parent = parent

    def start(self, what: str, *arguments: int, **settings: Any) -> Child:
        usual = {"EMAIL_PORT": self.server.port, "SENDING_CONNECTIONS": 2}
        self.processes.append(self._parent.start(what, *arguments, **{**usual, **settings}))
        return self.processes[-1]

    def begin(self, run: Run, helpers: int, **helpers_settings: Any) -> None:
        """The helpers first: they wait until the issue is being sent."""
        for number in range(helpers):
            self.start("help_out", run.pk, number + 1, **helpers_settings)
        self.start("work", run.pk)

    def wait_until_all_send(self, helpers: int) -> None:
        """Each has a lane, and its first results are written down."""
        wait_until(lambda: len(fences()) > helpers, 30, "every process sent something")

    def end(self) -> None:
        """All of them ended well."""
        assert [process.wait() for process in self.processes] == [0] * len(self.processes)


def fences() -> set[int]:
    return set(Delivery.objects.filter(state=Delivery.State.SENT).values_list("fence", flat=True))


@pytest.fixture(scope="module")
def parent(django_db_setup: None) -> Iterator[Parent]:
    started = Parent()
    yield started
    started.stop()


@pytest.fixture
def house(parent: Parent, smtp_server: SmtpServer) -> Iterator[House]:
    started = House(parent, smtp_server)
    smtp_server.seconds_per_mail = 0.01
    yield started
    for process in started.processes:
        process.kill()
        process.wait()


def assert_each_once(server: SmtpServer, expected: set[str], *, uncertain_at_most: int = 0) -> None:
    issue = Issue.objects.get()
    uncertain = set(issue.deliveries.filter(state=Delivery.State.UNCERTAIN).values_list("email", flat=True))
    arrived = Counter(server.recipients)
    assert [address for address, times in arrived.items() if times > 1] == []
    assert expected - set(arrived) <= uncertain
    assert len(uncertain) <= uncertain_at_most
    assert issue.sent + issue.uncertain == len(expected)
    assert_accounted_for(issue)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestProcesses:
    def test_together_send_to_each_reader_once(self, letter: Newsletter, city_news: List, house: House) -> None:
        expected = {reader.email for reader in add_readers(city_news, 400)}
        run = plan(letter)
        house.server.seconds_per_mail = 0.2  # nobody is done before the last of them begins
        house.begin(run, 2)
        house.wait_until_all_send(2)
        house.server.seconds_per_mail = 0
        house.end()
        run.refresh_from_db()
        assert (run.state, run.result) == (State.SUCCEEDED, "400 sent.")
        assert len(fences()) == 3, "each of them did a part"
        assert_each_once(house.server, expected)
        assert list(journals()) == []

    def test_a_helper_that_is_killed_leaves_at_most_one_uncertain(
        self, letter: Newsletter, city_news: List, house: House
    ) -> None:
        expected = {reader.email for reader in add_readers(city_news, 300)}
        run = plan(letter)
        house.begin(run, 1)
        house.wait_until_all_send(1)
        helper, driver = house.processes
        helper.kill()
        assert (helper.wait(), driver.wait(timeout=60)) == (-signal.SIGKILL, 0)
        run.refresh_from_db()
        assert run.state == State.SUCCEEDED
        assert_each_once(house.server, expected, uncertain_at_most=1)
        assert not Lane.objects.exclude(holder="").exists()

    def test_pause_stops_all_of_them_and_resume_sends_the_rest(
        self, letter: Newsletter, city_news: List, house: House
    ) -> None:
        expected = {reader.email for reader in add_readers(city_news, 300)}
        house.begin(plan(letter), 1)
        house.wait_until_all_send(1)
        issue = services.pause_issue(None, Issue.objects.get().pk, "a typo")
        paused_at = time.monotonic()
        house.end()
        assert time.monotonic() - paused_at < 5
        issue.refresh_from_db()
        assert issue.sent == len(house.server.received) < 300
        assert states(issue).keys() == {Delivery.State.SENT, Delivery.State.PENDING}
        run = services.resume_issue(None, issue.pk)
        house.server.seconds_per_mail = 0
        house.begin(run, 1)
        house.end()
        assert_each_once(house.server, expected)

    def test_cancel_stops_all_of_them_and_leaves_the_rest_out(
        self, letter: Newsletter, city_news: List, house: House
    ) -> None:
        add_readers(city_news, 300)
        house.begin(plan(letter), 1)
        house.wait_until_all_send(1)
        issue = services.cancel_issue(None, Issue.objects.get().pk)
        house.end()
        issue.refresh_from_db()
        assert issue.sent == len(house.server.received) < 300
        assert (issue.skipped, issue.uncertain) == (300 - issue.sent, 0)
        assert_accounted_for(issue)

    def test_a_deploy_stops_all_of_them_and_leaves_nothing_uncertain(
        self, letter: Newsletter, city_news: List, house: House
    ) -> None:
        expected = {reader.email for reader in add_readers(city_news, 300)}
        run = plan(letter)
        house.begin(run, 1)
        house.wait_until_all_send(1)
        for process in house.processes:
            process.terminate()
        house.end()
        run.refresh_from_db()
        assert run.state == State.PLANNED
        issue = Issue.objects.get()
        assert issue.sent == len(house.server.received) < 300
        assert states(issue).keys() == {Delivery.State.SENT, Delivery.State.PENDING}
        house.server.seconds_per_mail = 0
        house.begin(run, 1)
        house.end()
        assert_each_once(house.server, expected)

    def test_trouble_that_a_helper_meets_pauses_the_issue_and_the_run_says_why(
        self, letter: Newsletter, city_news: List, house: House
    ) -> None:
        add_readers(city_news, 300)
        another = SmtpServer(on_rcpt=lambda number, address: "554 5.7.1 blocked" if number > 3 else None).start()
        run = plan(letter)
        house.server.seconds_per_mail = 0.2  # the others are not done before the helper meets it
        try:
            house.begin(run, 1, EMAIL_PORT=another.port)
            house.end()
        finally:
            another.stop()
        run.refresh_from_db()
        issue = Issue.objects.get()
        assert "refuses our mail (554 5.7.1 blocked)" in run.error
        assert (issue.state, issue.failed, issue.uncertain) == (Issue.State.PAUSED, 0, 0)
        assert issue.sent == len(house.server.received) + len(another.received) < 300

    def test_the_same_refusal_in_all_of_them_is_nobodys_failure(
        self, letter: Newsletter, city_news: List, house: House
    ) -> None:
        """One sees the pattern first; what the others marked until then waits again as well."""
        add_readers(city_news, 300)
        house.begin(plan(letter), 1)
        house.wait_until_all_send(1)
        house.server.on_rcpt = lambda number, address: "550 5.1.1 unknown"
        house.end()
        issue = Issue.objects.get()
        assert (issue.state, issue.failed) == (Issue.State.PAUSED, 0)
        assert states(issue).keys() == {Delivery.State.SENT, Delivery.State.PENDING}

    def test_fast_mode_leaves_at_most_one_uncertain_a_connection(
        self, letter: Newsletter, city_news: List, house: House
    ) -> None:
        expected = {reader.email for reader in add_readers(city_news, 400)}
        run = plan(letter)
        fast: dict[str, Any] = {"SENDING_MODE": "fast", "SENDING_CONNECTIONS": 8}
        worker = house.start("work", run.pk, **fast)
        wait_until(lambda: len(house.server.received) > 100, 30, "it sends")
        worker.kill()
        worker.wait()
        hand_over(run)
        assert house.start("work", run.pk, **fast).wait(timeout=60) == 0
        assert_each_once(house.server, expected, uncertain_at_most=8)


def journals() -> Iterator[str]:
    folder = journal.path(0, 0).parent
    issues = set(map(str, Issue.objects.values_list("pk", flat=True)))
    return (path.name for path in folder.iterdir() if path.name.partition("-")[0] in issues)
