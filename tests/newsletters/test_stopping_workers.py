"""Real worker processes on one issue: several at once, and one that is asked to stop in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings

from newsletters.models import Delivery, Issue, List, Newsletter
from runs.models import Run
from runs.states import State
from tests.integration.conftest import database_url
from tests.newsletters.conftest import add_readers
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_kill import plan
from tests.newsletters.test_sending_correctly import assert_accounted_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

WORKER = """
import signal, sys, django
django.setup()
from runs import stopping
from schedules.tasks import run_job
stopping.prepare()
signal.signal(signal.SIGTERM, lambda *_: stopping.announce())
run_job(int(sys.argv[1]))
"""
"""As Celery's pool does it: the main process announces, the job sees it at its next safe point."""


def start_worker(run: Run, server: SmtpServer) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "scheduler_site.settings", "DATABASE_URL": database_url(),
        "SECRET_KEY": settings.SECRET_KEY, "PUBLIC_URL": "https://news.example.org",
        "EMAIL_URL": f"smtp://127.0.0.1:{server.port}",
    }  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen([sys.executable, "-c", WORKER, str(run.pk)], env=environment, cwd=root)


def wait_for_mails(server: SmtpServer, number: int, worker: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while len(server.received) < number:
        assert time.monotonic() < deadline and worker.poll() is None
        time.sleep(0.001)


def test_a_deploy_in_the_middle_loses_nothing_doubles_nothing_and_leaves_nothing_uncertain(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer
) -> None:
    expected = {reader.email for reader in add_readers(city_news, 350)}
    smtp_server.seconds_per_mail = 0.01  # a worker stops within a second
    run = plan(letter)
    for _ in range(2):
        worker = start_worker(run, smtp_server)
        wait_for_mails(smtp_server, len(smtp_server.received) + 10, worker)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=20) == 0
        run.refresh_from_db()
        issue = Issue.objects.get()
        assert run.state == State.PLANNED
        assert issue.sent == len(smtp_server.received) < 350
        assert not issue.deliveries.filter(state__in=(Delivery.State.CLAIMED, Delivery.State.UNCERTAIN)).exists()
    smtp_server.seconds_per_mail = 0
    assert start_worker(run, smtp_server).wait(timeout=60) == 0
    assert Counter(smtp_server.recipients) == Counter(expected)
    assert_accounted_for(Issue.objects.get())


def test_three_workers_with_the_same_message_send_once(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer
) -> None:
    expected = {reader.email for reader in add_readers(city_news, 60)}
    smtp_server.seconds_per_mail = 0.02
    run = plan(letter)
    workers = [start_worker(run, smtp_server) for _ in range(3)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    run.refresh_from_db()
    assert (run.state, run.attempt) == (State.SUCCEEDED, 1)
    assert Counter(smtp_server.recipients) == Counter(expected)
    assert_accounted_for(Issue.objects.get())
