"""Readers, a newsletter, a recording mail server, and the real path of a run from the ledger to the result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from newsletters import addresses, deliveries, helping, lanes, sender, smtp_pool
from newsletters.models import Issue, List, Newsletter, Subscriber, Subscription
from runs import ledger
from runs.models import Run
from runs.states import Trigger
from schedules.tasks import run_job
from tests.newsletters.slow_smtp_server import SlowSmtpServer
from tests.newsletters.smtp_desk import PIPELINING, Desk, Start
from tests.newsletters.smtp_server import SmtpServer

DUE = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)


@pytest.fixture
def smtp_server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    """Takes every mail unless the test says otherwise; waits between tries are short."""
    server = SmtpServer().start()
    point_at(settings, server)
    monkeypatch.setattr(smtp_pool, "RECONNECT_SECONDS", (0.01, 0.01, 0.01, 0.01))
    monkeypatch.setattr(sender, "TRY_AGAIN_SECONDS", (0, 0, 0))
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.02)
    # One connection, so that the order in which a server misbehaves is the order of the readers; no broker runs here.
    settings.SENDING_CONNECTIONS, settings.SENDING_PROCESSES, settings.BROKER_URL = 1, 1, "memory://"
    yield server
    server.stop()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Sends by the client alone, without any database; waits between tries are short."""
    monkeypatch.setattr(smtp_pool, "RECONNECT_SECONDS", (0.01, 0.01, 0.01, 0.01))
    return Desk(tmp_path / "journal")


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Starts a scripted server with the behaviour that the test asks for; mails go to it."""
    started: list[SlowSmtpServer] = []

    def begin(**behaviour: Any) -> SlowSmtpServer:
        server = SlowSmtpServer(**{"offers": PIPELINING, "bytes_at_once": 10_000, **behaviour})
        started.append(server)
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
        return server

    yield begin
    for server in started:
        server.stop()


def between_mails(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object]) -> None:
    """Lets the sending loop look after every mail, and calls ``act`` with how many were handed over by then."""
    flush, handed_over = deliveries.flush, [0]

    def flush_and_act(hold: lanes.Hold, settled: deliveries.Settled) -> None:
        flush(hold, settled)
        number = len(settled.sent) + len(settled.decisions)
        handed_over[0] += number
        if number:
            act(handed_over[0])

    monkeypatch.setattr(deliveries, "flush", flush_and_act)
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.0)


def point_at(settings: Settings, server: SmtpServer) -> None:
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = server.port
    settings.EMAIL_TIMEOUT = 5
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.DEFAULT_FROM_EMAIL = "Almanac <almanac@example.org>"
    settings.PUBLIC_URL = "https://news.example.org"


def add_readers(
    chosen: List, number: int, *, prefix: str = "reader", state: str = "confirmed", **values: Any
) -> list[Subscriber]:
    """Subscribers in bulk, all on one list."""
    rows = [
        Subscriber(
            email=f"{prefix}{index}@example.org",
            email_norm=addresses.normalise(f"{prefix}{index}@example.org"),
            **{"name": f"Reader {index}", **values},
        )
        for index in range(number)
    ]
    made = Subscriber.objects.bulk_create(rows)
    Subscription.objects.bulk_create([Subscription(subscriber=row, list=chosen, state=state) for row in made])
    return made


@pytest.fixture
def city_news(db: None) -> List:
    return List.objects.create(name="City news", slug="city-news", public=True, description="What happens in town.")


@pytest.fixture
def letter(city_news: List) -> Newsletter:
    newsletter = Newsletter.objects.create(
        name="Weekly letter",
        subject="News for {{ name|you }}",
        body="# Hello {{ name|there }}\n\nThis is the *news*.\n\n[Read on](https://example.org/)",
        from_name="City desk",
        from_email="desk@example.org",
        reply_to="answers@example.org",
    )
    newsletter.lists.add(city_news)
    return newsletter


@pytest.fixture
def perform(settings: Settings) -> Callable[..., Run]:
    """Plans a run as a schedule or an event would, performs it as a worker would, and returns its row."""
    # The thread that renews the lease has a connection of its own, which cannot see a run in a test's open transaction.
    settings.LEASE_SECONDS = 3600

    def run(
        target: Newsletter | Issue, *, due_at: datetime = DUE, run: Run | None = None, max_attempts: int = 1
    ) -> Run:
        planned = run or ledger.plan(
            ledger.NewRun(
                kind="newsletter" if isinstance(target, Newsletter) else "newsletter_rest",
                target_id=target.pk,
                target_label=str(target),
                trigger=Trigger.MANUAL,
                due_at=due_at,
                max_attempts=max_attempts,
                queue="newsletters",
            )
        )
        Run.objects.filter(pk=planned.pk).update(not_before_at=None)  # the wait before another attempt is over
        run_job(planned.pk)
        planned.refresh_from_db()
        return planned

    return run


def start_helper(issue: Issue) -> threading.Thread:
    """Somebody who helps to send the issue, in a thread with a connection of its own."""

    def help_out() -> None:
        try:
            helping.take_a_turn(issue.pk, 1, 1)
        finally:
            connection.close()

    helper = threading.Thread(target=help_out)
    helper.start()
    return helper
