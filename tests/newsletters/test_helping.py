"""Several processes on one issue: each reader once, whoever is killed, stopped or in trouble, and whoever fell asleep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from newsletters import deliveries, holders, journal, lanes, preparing, services
from newsletters.deliveries import Settled
from newsletters.models import Delivery, Issue, Lane, List, Newsletter
from runs import clock, ledger
from runs.models import Run
from runs.states import State
from tests.integration.conftest import database_url
from tests.integration.stack import ROOT, wait_until
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_kill import hand_over, plan
from tests.newsletters.test_sending_correctly import assert_accounted_for
from tests.newsletters.test_smtp_trouble import states
from tests.newsletters.test_stopping_workers import WORKER

HELPER = """
import signal, sys, time, django
django.setup()
from newsletters import helping
from newsletters.models import Issue
from runs import stopping
stopping.prepare()
signal.signal(signal.SIGTERM, lambda *_: stopping.announce())
print("ready", flush=True)
deadline = time.monotonic() + 30
while (issue := Issue.objects.filter(state=Issue.State.RUNNING).first()) is None and time.monotonic() < deadline:
    time.sleep(0.01)
helping.take_a_turn(issue.pk, int(sys.argv[2]), int(sys.argv[1]))
"""
"""What Celery does with the message that the driver sends to it."""


class House:
    """The processes that send one issue; none is left behind."""

    def __init__(self, server: SmtpServer) -> None:
        self.server = server
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, script: str, *arguments: object, **more: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ, "DJANGO_SETTINGS_MODULE": "scheduler_site.settings", "DATABASE_URL": database_url(),
            "SECRET_KEY": django_settings.SECRET_KEY, "PUBLIC_URL": "https://news.example.org",
            "EMAIL_URL": f"smtp://127.0.0.1:{self.server.port}", "SENDING_CONNECTIONS": "2", **more,
        }  # fmt: skip
        command = [sys.executable, "-c", script, *map(str, arguments)]
        self.processes.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE))
        return self.processes[-1]

    def begin(self, run: Run, helpers: int, **helpers_environment: str) -> None:
        """The helpers first: they wait until the issue is being sent."""
        started = [self.start(HELPER, run.pk, number + 1, **helpers_environment) for number in range(helpers)]
        for helper in started:
            assert helper.stdout is not None
            assert helper.stdout.readline() == b"ready\n"
        self.start(WORKER, run.pk)

    def wait_until_all_send(self, helpers: int) -> None:
        """Each has a lane, and its first results are written down."""
        wait_until(lambda: len(fences()) > helpers, 30, "every process sent something")

    def end(self) -> None:
        """All of them ended well."""
        assert [process.wait(timeout=60) for process in self.processes] == [0] * len(self.processes)


def fences() -> set[int]:
    return set(Delivery.objects.filter(state=Delivery.State.SENT).values_list("fence", flat=True))


@pytest.fixture
def house(smtp_server: SmtpServer) -> Iterator[House]:
    started = House(smtp_server)
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
        expected = {reader.email for reader in add_readers(city_news, 600)}
        run = plan(letter)
        house.begin(run, 2)
        house.end()
        run.refresh_from_db()
        assert (run.state, run.result) == (State.SUCCEEDED, "600 sent.")
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
        try:
            house.begin(run, 1, EMAIL_URL=f"smtp://127.0.0.1:{another.port}")
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
        fast = {"SENDING_MODE": "fast", "SENDING_CONNECTIONS": "8"}
        worker = house.start(WORKER, run.pk, **fast)
        wait_until(lambda: len(house.server.received) > 100, 30, "it sends")
        worker.kill()
        worker.wait()
        hand_over(run)
        assert house.start(WORKER, run.pk, **fast).wait(timeout=60) == 0
        assert_each_once(house.server, expected, uncertain_at_most=8)


def journals() -> Iterator[str]:
    folder = journal.path(0, 0).parent
    issues = set(map(str, Issue.objects.values_list("pk", flat=True)))
    return (path.name for path in folder.iterdir() if path.name.partition("-")[0] in issues)


# Holders that are silent.


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
