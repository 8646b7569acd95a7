# ruff: noqa: F811
"""One issue through a real Postfix: what arrives in the mailboxes, and what comes back and what that does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path

import dkim
import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from newsletters import addresses, audience, verp
from newsletters.models import Delivery, Issue, List, Newsletter, ReaderEvent, Subscriber
from runs.models import Run
from tests.integration.conftest import database_url
from tests.integration.mail_servers import Postfix, missing
from tests.integration.stack import ROOT, wait_until
from tests.newsletters.conftest import add_readers, city_news, letter, perform  # noqa: F401
from tests.newsletters.test_dkim_signing import key, record, signed_headers  # noqa: F401

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(bool(missing()) and "CI" not in os.environ, reason=missing() or "-"),
]

NAMES = (
    "Zoë Müller",
    "Łukasz",
    "李小龍",
    "שלום",
    '"; Bcc: x@evil.example',
    "O'Neil, Jr.",
    ".dot",
    "😀",
    "",
    "Anna\r\nBcc: x@evil.example",
)
FULL = "full@example.org"
GONE = "reader7@example.org"


@pytest.fixture
def readers(city_news: List) -> list[Subscriber]:
    made = add_readers(city_news, 49)
    for number, reader in enumerate(made):
        Subscriber.objects.filter(pk=reader.pk).update(name=NAMES[number % len(NAMES)])
    return [*made, *add_readers(city_news, 1, prefix="full")]


@pytest.fixture
def postfix(readers: list[Subscriber], settings: Settings) -> object:
    assert not missing(), missing()
    Subscriber.objects.filter(email="full0@example.org").update(email=FULL, email_norm=addresses.normalise(FULL))
    there = [reader.email for reader in readers if reader.email not in (GONE, "full0@example.org")]
    with Postfix(there, full=FULL) as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 20
        settings.BOUNCE_DOMAIN = "bounces.example.org"
        settings.PUBLIC_URL = "https://news.example.org"
        yield server


def process_bounce(raw: bytes, recipient: str) -> str:
    """The command as the mail server's pipe calls it, on the database of the test."""
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "scheduler_site.settings", "DATABASE_URL": database_url(),
        "SECRET_KEY": django_settings.SECRET_KEY, "BOUNCE_DOMAIN": "bounces.example.org",
    }  # fmt: skip
    command = [sys.executable, "manage.py", "process_bounce", "--recipient", recipient]
    done = subprocess.run(command, cwd=ROOT, env=environment, input=raw, capture_output=True, timeout=120)
    assert done.returncode == os.EX_OK, done.stderr.decode()
    return done.stdout.decode().strip()


def check_what_arrived(raw: bytes, delivery: Delivery, record: Callable[..., bytes]) -> None:
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    head = raw.split(b"\n\n", 1)[0].split(b"\n")
    assert parseaddr(str(mail["Return-Path"]))[1] == verp.address(delivery.pk)
    assert mail["X-Original-To"] == delivery.email
    assert mail["From"] == "City desk <desk@example.org>"
    assert mail["To"].addresses[0].addr_spec == delivery.email
    assert mail["Reply-To"] == "answers@example.org"
    assert mail["List-Id"] == "Weekly letter <weekly-letter.example.org>"
    (unsubscribe,) = [line for line in head if line.startswith(b"List-Unsubscribe:")]
    assert unsubscribe.startswith(b"List-Unsubscribe: <https://news.example.org/unsubscribe/")
    assert unsubscribe.endswith(b"/>")
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head
    assert mail["List-Help"] == "<https://news.example.org/feedback/>"
    assert list(verp.deliveries_of_message_ids(mail["Message-ID"])) == [delivery.pk]
    assert mail["Date"].datetime is not None
    assert mail["Precedence"] == "bulk"
    assert len(mail.get_all("Bcc", [])) == 0
    assert mail["Subject"] == f"News for {' '.join(delivery.name.split()) or 'you'}"
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        assert "unsubscribe" in part.get_content().lower()
    assert dkim.verify(raw.replace(b"\n", b"\r\n"), dnsfunc=record)
    assert b"list-unsubscribe-post" in signed_headers(raw.replace(b"\n", b"\r\n"))


def test_an_issue_reaches_real_mailboxes_and_what_comes_back_is_understood(
    letter: Newsletter,
    readers: list[Subscriber],
    postfix: Postfix,
    perform: Callable[..., Run],
    record: Callable[..., bytes],
) -> None:
    assert perform(letter).result == "50 sent."
    wait_until(lambda: len(postfix.arrived("bounces")) == 2, 30, "both bounces came back")
    there = {delivery.email: delivery for delivery in Delivery.objects.all()}
    gone, full = there.pop(GONE), there.pop(FULL)
    for email, delivery in there.items():
        (raw,) = postfix.arrived(email.partition("@")[0])
        check_what_arrived(raw, delivery, record)

    assert not ReaderEvent.objects.exists()
    for raw in postfix.arrived("bounces"):
        recipient = str(message_from_bytes(raw)["X-Original-To"])
        words = process_bounce(raw, recipient)
        assert words in ("Bounced: the address does not exist", "Bounced for now")
        assert process_bounce(raw, recipient) == "Known already."
    events = {event.delivery: event for event in ReaderEvent.objects.all()}
    assert (events[gone].kind, events[gone].status) == ("hard", "5.1.1")
    assert (events[full].kind, events[full].status) == ("soft", "5.2.2")
    assert Issue.objects.get().bounced == 2
    assert audience.suppressed_among([gone.email_norm, full.email_norm]) == {gone.email_norm}
    assert Subscriber.objects.get(email=FULL).soft_bounces == 1

    later = Issue.objects.get().scheduled_for
    assert later is not None
    assert perform(letter, due_at=later.replace(day=9)).result == "49 sent."


def test_the_command_answers_mail_servers_by_its_exit_code(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "scheduler_site.settings",
        "SECRET_KEY": django_settings.SECRET_KEY,
    }
    nowhere = f"sqlite:///{tmp_path / 'nowhere.sqlite3'}"  # no tables in it: the database cannot answer

    def run(raw: bytes, url: str) -> int:
        command = [sys.executable, "manage.py", "process_bounce"]
        told = {**environment, "DATABASE_URL": url, "BOUNCE_DOMAIN": "bounces.example.org"}
        return subprocess.run(command, cwd=ROOT, env=told, input=raw, capture_output=True, timeout=120).returncode

    django_settings.BOUNCE_DOMAIN, former = "bounces.example.org", django_settings.BOUNCE_DOMAIN
    try:
        genuine = f"To: {verp.address(1)}\n\nhello".encode()
    finally:
        django_settings.BOUNCE_DOMAIN = former
    assert run(b"", nowhere) == os.EX_NOINPUT
    assert run(b"To: somebody@example.org\n\nnot a bounce", nowhere) == os.EX_OK
    assert run(genuine, nowhere) == os.EX_TEMPFAIL
