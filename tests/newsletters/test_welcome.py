"""The welcome mail: once to each reader of a list, after they confirmed, as a mail that can be left with one click."""

from __future__ import annotations

import pytest
from django.test import Client

from newsletters import services, subscriptions, tokens
from newsletters.models import List, Subscriber, Subscription
from runs.models import Run
from schedules.tasks import run_job
from tests.newsletters.conftest import add_readers
from tests.newsletters.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def city_news(city_news: List) -> List:
    city_news.welcome_subject = "Welcome, {{ name|dear reader }}"
    city_news.welcome_body = "Hello **{{ name|there }}**, here is [your page]({{ preferences_url }})."
    city_news.save()
    return city_news


@pytest.fixture
def reader(city_news: List) -> Subscriber:
    return add_readers(city_news, 1, state="pending", name="Zoë")[0]


def confirm(reader: Subscriber) -> Run:
    lists = tuple(reader.subscriptions.values_list("list_id", flat=True))
    subscriptions.confirm(tokens.Confirmation(reader.pk, lists))
    return Run.objects.get(kind="welcome_mail")


def perform(run: Run) -> Run:
    run_job(run.pk)
    run.refresh_from_db()
    return run


def test_it_comes_after_confirming_and_can_be_left(reader: Subscriber, smtp_server: SmtpServer) -> None:
    assert not Run.objects.exists()
    assert perform(confirm(reader)).result == "Welcomed to City news."
    (mail,) = smtp_server.received
    assert (mail.recipient, mail.mail["Subject"]) == (reader.email, "Welcome, Zoë")
    assert "Hello Zoë" in mail.body("plain").replace("**", "") and "https://news.example.org/preferences/" in mail.body(
        "html"
    )
    (line,) = mail.header_lines("List-Unsubscribe")
    url = line.decode().partition("<")[2].rstrip(">")
    response = Client(enforce_csrf_checks=True).post(url.removeprefix("https://news.example.org"))
    assert "You are unsubscribed" in response.content.decode() and "City news" in response.content.decode()
    assert Subscription.objects.get().state == "unsubscribed"


def test_it_comes_once(reader: Subscriber, smtp_server: SmtpServer) -> None:
    run = confirm(reader)
    perform(run)
    Run.objects.update(state="planned")  # the task is delivered again
    assert perform(run).result == "Welcomed already."
    Subscription.objects.update(state="pending")
    subscriptions.confirm(tokens.Confirmation(reader.pk, tuple(reader.subscriptions.values_list("list_id", flat=True))))
    assert Run.objects.filter(kind="welcome_mail").count() == 1
    assert len(smtp_server.received) == 1


def test_a_mail_server_that_is_away_is_tried_again(reader: Subscriber, smtp_server: SmtpServer) -> None:
    run = confirm(reader)
    smtp_server.stop()
    assert perform(run).state == "planned"
    assert Subscription.objects.get().welcomed_at is None


def test_a_refusal_is_said_and_not_repeated(reader: Subscriber, smtp_server: SmtpServer) -> None:
    smtp_server.on_rcpt = lambda number, address: "550 5.1.1 no such user"
    run = perform(confirm(reader))
    assert run.state == "failed" and "550 5.1.1 no such user" in run.error


@pytest.mark.parametrize("why", ["left", "suppressed", "no mail"])
def test_who_is_gone_by_then_gets_none(reader: Subscriber, smtp_server: SmtpServer, why: str) -> None:
    run = confirm(reader)
    if why == "left":
        Subscription.objects.update(state="unsubscribed")
    elif why == "suppressed":
        services.suppress(None, reader.email)
    else:
        List.objects.update(welcome_subject="")
    assert perform(run).result.startswith("Nothing to do")
    assert not smtp_server.received


def test_a_tag_that_cannot_be_read_is_said_in_words(reader: Subscriber, smtp_server: SmtpServer) -> None:
    List.objects.update(welcome_body="Hello {{ name")
    run = perform(confirm(reader))
    assert run.state == "failed"
    assert "Correct the welcome mail on the page of the list City news." in run.error
    assert Subscription.objects.get().welcomed_at is None


def test_a_list_without_a_welcome_plans_none(reader: Subscriber) -> None:
    List.objects.update(welcome_subject="")
    subscriptions.confirm(tokens.Confirmation(reader.pk, tuple(reader.subscriptions.values_list("list_id", flat=True))))
    assert not Run.objects.filter(kind="welcome_mail").exists()
