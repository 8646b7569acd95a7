"""What a provider posts, through the real address and django-anymail's own reading of it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django import Settings

from newsletters import audience, message, preparing
from newsletters.models import Delivery, Issue, List, Newsletter, ReaderEvent, Subscription
from scheduler_site import mail_environment
from scheduler_site.environment import ConfigurationError, Environment
from tests.newsletters.conftest import add_readers
from tests.newsletters.returned import SENT, sent_to, weeks

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.newsletters.webhook_urls")]
SECRET = "postmark:a-long-password-of-ours"
Post = Callable[..., int]


@pytest.fixture
def delivery(letter: Newsletter, city_news: List) -> Delivery:
    reader = add_readers(city_news, 1)[0]
    sent_to(reader, letter, at=SENT - weeks(1))
    return sent_to(reader, letter)


@pytest.fixture
def post(client: Client, settings: Settings) -> Post:
    settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET}

    def send(*, secret: str = SECRET, **event: Any) -> int:
        authority = f"Basic {base64.b64encode(secret.encode()).decode()}" if secret else ""
        answer = client.post("/webhooks/mail/", event, "application/json", headers={"Authorization": authority})
        return answer.status_code

    return send


def bounce(delivery: Delivery, kind: str, details: str = "", **more: Any) -> dict[str, Any]:
    return {
        "RecordType": "Bounce", "Type": kind, "ID": 42, "MessageID": "883953f4", "Email": delivery.email,
        "Details": details, "BouncedAt": "2026-03-02T09:00:01Z", **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "details", "expected"),
    [
        ("HardBounce", "smtp;550 5.1.1 The email account that you tried to reach does not exist", "hard"),
        ("HardBounce", "smtp;550 5.7.1 blocked, see https://zen.example", "policy"),
        ("SoftBounce", "smtp;452 4.2.2 over quota", "soft"),
        ("HardBounce", "", "soft"),
        ("BadEmailAddress", "", "hard"),
        ("Blocked", "ISP block", "policy"),
        ("Transient", "smtp;451 4.7.1 later", ""),
        ("AutoResponder", "", ""),
        ("SpamComplaint", "", "complaint"),
    ],
)
def test_each_event_is_of_its_class(post: Post, delivery: Delivery, kind: str, details: str, expected: str) -> None:
    for _ in range(2):  # providers send an event again when an answer is late
        assert post(**bounce(delivery, kind, details)) == 200
    assert list(ReaderEvent.objects.values_list("kind", "delivery")) == ([(expected, delivery.pk)] if expected else [])
    assert bool(audience.suppressed_among([delivery.email_norm])) == (expected in ("hard", "complaint"))
    issue = Issue.objects.get(pk=delivery.issue_id)
    assert (issue.bounced, issue.complained) == (expected in ("hard", "soft", "policy"), expected == "complaint")


def test_our_mark_in_the_event_names_the_delivery(post: Post, delivery: Delivery) -> None:
    older = Delivery.objects.exclude(pk=delivery.pk).get()
    identifier = message.message_id(preparing.envelope_of(older.issue), older.pk)
    assert (
        post(**bounce(delivery, "SoftBounce", "452 4.2.2 full", Headers=[{"Name": "Message-ID", "Value": identifier}]))
        == 200
    )
    assert ReaderEvent.objects.get().delivery == older


def test_who_leaves_at_the_provider_leaves_here(post: Post, delivery: Delivery) -> None:
    event = {"RecordType": "SubscriptionChange", "Recipient": delivery.email, "SuppressSending": True,
        "SuppressionReason": "ManualSuppression", "ChangedAt": "2026-03-02T09:00:01Z", "MessageID": "8"}  # fmt: skip
    assert post(**event) == 200
    assert Subscription.objects.get().state == Subscription.State.UNSUBSCRIBED


@pytest.mark.parametrize("secret", ["", "postmark:wrong", "other:a-long-password-of-ours"])
def test_without_the_secret_nothing_changes(post: Post, delivery: Delivery, secret: str) -> None:
    assert post(secret=secret, **bounce(delivery, "HardBounce", "550 5.1.1 unknown")) == 400
    assert not ReaderEvent.objects.exists()


def test_an_address_that_we_never_wrote_to_changes_nothing(post: Post, delivery: Delivery) -> None:
    for email in ("stranger@example.org", "no address", ""):
        assert post(**bounce(delivery, "HardBounce", "550 5.1.1 unknown") | {"Email": email}) == 200
    assert not ReaderEvent.objects.exists()


def test_a_get_changes_nothing(client: Client, settings: Settings) -> None:
    settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET}
    assert client.get("/webhooks/mail/").status_code == 405


@pytest.mark.urls("scheduler_site.urls")
def test_there_is_no_such_address_where_no_provider_is_set() -> None:
    with pytest.raises(NoReverseMatch):
        reverse("newsletters:provider_events")


def from_environment(monkeypatch: pytest.MonkeyPatch, **values: str) -> tuple[str, dict[str, str]]:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return mail_environment.provider(Environment())


def test_a_provider_that_signs_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_environment(monkeypatch) == ("", {})
    read = from_environment(
        monkeypatch, MAIL_PROVIDER="Mailgun", MAIL_WEBHOOK_SECRET=SECRET, MAIL_WEBHOOK_SIGNING_KEY="key"
    )
    assert read == ("mailgun", {"WEBHOOK_SECRET": SECRET, "MAILGUN_WEBHOOK_SIGNING_KEY": "key"})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"MAIL_PROVIDER": "pigeon", "MAIL_WEBHOOK_SECRET": SECRET}, "MAIL_PROVIDER is 'pigeon'"),
        ({"MAIL_PROVIDER": "postmark"}, "MAIL_WEBHOOK_SECRET"),
        ({"MAIL_PROVIDER": "postmark", "MAIL_WEBHOOK_SECRET": "a:short"}, "at least 16"),
        ({"MAIL_PROVIDER": "mailgun", "MAIL_WEBHOOK_SECRET": SECRET}, "MAIL_WEBHOOK_SIGNING_KEY"),
    ],
)
def test_a_wrong_setting_is_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        from_environment(monkeypatch, **values)


@pytest.mark.parametrize(
    "url", ["https://a:b@x.example", "imaps://x.example", "imaps://a:b@", "imaps://a:b@x.example:port"]
)
def test_a_wrong_mailbox_is_said_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BOUNCE_MAILBOX_URL", url)
    with pytest.raises(ConfigurationError) as raised:
        mail_environment.bounce_mailbox_url(Environment())
    assert "a:b" not in str(raised.value)


@pytest.mark.parametrize("domain", ["bounces", "a b.example", "b@example.org"])
def test_a_wrong_bounce_domain_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch, domain: str) -> None:
    monkeypatch.setenv("BOUNCE_DOMAIN", domain)
    with pytest.raises(ConfigurationError, match="BOUNCE_DOMAIN"):
        mail_environment.bounce_domain(Environment())


def test_a_deployment_is_warned_of_bounces_that_nobody_can_assign(settings: Settings) -> None:
    settings.BOUNCE_MAILBOX_URL, settings.BOUNCE_DOMAIN = "imaps://a:b@x.example", ""
    settings.MAIL_PROVIDER, settings.HTTPS = "postmark", False
    assert {"almanac.W002", "almanac.W003"} <= {found.id for found in run_checks(include_deployment_checks=True)}
