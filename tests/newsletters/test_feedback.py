"""The feedback form answers at once, whatever the mail server does; a worker mails staff."""

from __future__ import annotations

import socket
import time

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from newsletters import floods
from newsletters.models import FeedbackMessage
from runs.models import Notice, Run
from schedules.tasks import run_job
from tests.newsletters.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody in these tests is too fast for a person."""
    monkeypatch.setattr(floods, "LEAST_SECONDS", -1)


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("ada", "ada@example.org", "pw")


def post(client: Client, **changes: str) -> str:
    token = floods.form_token("feedback")
    data = {
        "name": "Zoë",
        "email": "zoe@example.org",
        "text": "Lovely letter.",
        "website": "",
        "token": token,
        **changes,
    }
    response = client.post("/feedback/", data)
    return f"{response.status_code} {response.content.decode()}"


def perform(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


def test_it_reaches_staff(client: Client, admin: User, smtp_server: SmtpServer) -> None:
    User.objects.create_user("viewer", "viewer@example.org", is_staff=True)  # may not read feedback
    assert post(client).startswith("200")
    run = perform(Run.objects.get())
    assert run.result == "Mailed to 1 member of staff."
    (mail,) = smtp_server.received
    assert mail.recipient == "ada@example.org"
    assert mail.mail["Reply-To"] == "zoe@example.org"
    assert mail.mail["Subject"] == "Feedback from Zoë"
    assert "Lovely letter." in mail.mail.get_content()
    assert FeedbackMessage.objects.get().mailed_at is not None
    assert Notice.objects.get().user == admin


def test_it_answers_at_once_although_the_mail_server_hangs(client: Client, admin: User, settings: Settings) -> None:
    with socket.socket() as silent:  # accepts, says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
        client.get("/feedback/")
        started = time.monotonic()
        assert post(client).startswith("200")
        assert time.monotonic() - started < 0.5
    assert FeedbackMessage.objects.get().mailed_at is None
    assert Run.objects.get().state == "planned"


def test_a_slow_server_is_waited_for(client: Client, admin: User, smtp_server: SmtpServer) -> None:
    smtp_server.seconds_per_mail = 1.5
    post(client)
    assert perform(Run.objects.get()).state == "succeeded"
    assert len(smtp_server.received) == 1


def test_a_server_that_is_away_is_tried_again_and_the_message_kept(
    client: Client, admin: User, smtp_server: SmtpServer
) -> None:
    smtp_server.stop()
    post(client)
    run = perform(Run.objects.get())
    assert run.state == "planned"
    assert "The message is kept." in run.error


def test_it_is_mailed_once_however_often_the_job_runs(client: Client, admin: User, smtp_server: SmtpServer) -> None:
    post(client)
    run = perform(Run.objects.get())
    Run.objects.update(state="planned")
    assert perform(run).result == "Mailed already."
    assert len(smtp_server.received) == 1


def test_nobody_to_mail_is_said(client: Client, smtp_server: SmtpServer) -> None:
    post(client)
    assert "Add one to a user; the message is kept." in perform(Run.objects.get()).error


def test_a_hostile_name_cannot_add_headers(client: Client, admin: User, smtp_server: SmtpServer) -> None:
    post(client, name="Zoë\r\nBcc: all@example.org")
    perform(Run.objects.get())
    (mail,) = smtp_server.received
    assert mail.mail["Bcc"] is None
    assert mail.mail["Subject"] == "Feedback from Zoë Bcc: all@example.org"


def test_a_bot_is_thanked_and_ignored(client: Client) -> None:
    assert "Thank you" in post(client, website="https://spam.example")
    assert not FeedbackMessage.objects.exists()
    assert not Run.objects.exists()


def test_an_empty_message_is_refused_in_words(client: Client) -> None:
    page = post(client, text="  ")
    assert page.startswith("422")
    assert "Please write something." in page


def test_the_form_needs_its_token() -> None:
    assert Client(enforce_csrf_checks=True).post("/feedback/", {"text": "Hello"}).status_code == 403
