"""kill -9 of the sending process, at random and at exact moments: nothing lost, nothing doubled, at most one uncertain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from newsletters.models import Delivery, Issue, List, Newsletter
from runs import clock, ledger, rescue
from runs.models import Run
from runs.states import State, Trigger
from tests.integration.conftest import database_url
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.smtp_server import SmtpServer

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

WORKER = """
import sys, django
django.setup()
from schedules.tasks import run_job
run_job(int(sys.argv[1]))
"""


def start_worker(run: Run, server: SmtpServer, connections: str = "8") -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "scheduler_site.settings",
        "DATABASE_URL": database_url(),
        "SECRET_KEY": settings.SECRET_KEY,
        "PUBLIC_URL": "https://news.example.org",
        "EMAIL_URL": f"smtp://127.0.0.1:{server.port}",
        "SENDING_CONNECTIONS": connections,
    }
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen([sys.executable, "-c", WORKER, str(run.pk)], env=environment, cwd=root)


def plan(letter: Newsletter) -> Run:
    new = ledger.NewRun(
        kind="newsletter",
        target_id=letter.pk,
        target_label="Weekly letter",
        trigger=Trigger.MANUAL,
        due_at=DUE,
        max_attempts=20,
    )
    return ledger.plan(new)


def hand_over(run: Run) -> None:
    """What the watchdog does once the dead worker's lease has run out."""
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert rescue.rescue(clock.now()) == [run.pk]


def assert_nothing_lost_or_doubled(server: SmtpServer, expected: set[str], *, uncertain_at_most: int) -> None:
    issue = Issue.objects.get()
    uncertain = set(issue.deliveries.filter(state=Delivery.State.UNCERTAIN).values_list("email", flat=True))
    arrived = Counter(server.recipients)
    assert [address for address, times in arrived.items() if times > 1] == []
    assert expected - set(arrived) <= uncertain
    assert len(uncertain) <= uncertain_at_most
    assert issue.sent + issue.uncertain == issue.planned == len(expected)
    assert issue.state == (Issue.State.SENT_WITH_PROBLEMS if uncertain else Issue.State.SENT)


def test_killed_again_and_again(letter: Newsletter, city_news: List, smtp_server: SmtpServer) -> None:
    expected = {reader.email for reader in add_readers(city_news, 500)}
    run = plan(letter)
    kills = 0
    for received_at_kill in (1, 60, 203, 350):
        worker = start_worker(run, smtp_server)
        deadline = time.monotonic() + 60
        while len(smtp_server.received) < received_at_kill:
            assert time.monotonic() < deadline
            assert worker.poll() is None
            time.sleep(0.001)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        kills += 1
        hand_over(run)
    assert start_worker(run, smtp_server).wait(timeout=120) == 0
    run.refresh_from_db()
    assert (run.state, run.attempt) == (State.SUCCEEDED, kills + 1)
    assert_nothing_lost_or_doubled(smtp_server, expected, uncertain_at_most=kills)


@pytest.mark.parametrize(
    ("moment", "uncertain"),
    [("mail", 0), ("rcpt", 0), ("data", 1)],
    ids=["after the answer to the mail before", "before the dot", "after the dot, before the answer"],
)
def test_killed_at_an_exact_moment(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, moment: str, uncertain: int
) -> None:
    expected = {reader.email for reader in add_readers(city_news, 30)}
    run = plan(letter)
    workers: list[subprocess.Popen[bytes]] = []

    def kill_at(number: int, address: str = "") -> None:
        if number == 17 and workers[0].poll() is None:
            os.kill(workers[0].pid, signal.SIGKILL)
            time.sleep(0.05)

    setattr(smtp_server, f"on_{moment}", kill_at)
    workers.append(start_worker(run, smtp_server, connections="1"))
    assert workers[0].wait(timeout=60) == -signal.SIGKILL
    hand_over(run)
    setattr(smtp_server, f"on_{moment}", lambda *_: None)
    assert start_worker(run, smtp_server).wait(timeout=60) == 0
    assert_nothing_lost_or_doubled(smtp_server, expected, uncertain_at_most=uncertain)
    assert Issue.objects.get().uncertain == uncertain
