"""Signed copies, verified by dkimpy against the key that a DNS record would hold."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import dkim
import pytest
from django.core.mail import EmailMessage, get_connection
from pytest_django import Settings

from newsletters.models import List, Newsletter
from runs.models import Run
from scheduler_site import mail_environment
from scheduler_site.environment import ConfigurationError, Environment
from tests.newsletters.conftest import add_readers
from tests.newsletters.smtp_server import SmtpServer

Perform = Callable[..., Run]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dkim") / "private.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(path), "1024"], check=True, capture_output=True)
    return path


@pytest.fixture
def record(key: Path, settings: Settings) -> Callable[..., bytes]:
    """The installation signs; what a look-up of its DNS record answers."""
    settings.DKIM_KEY, settings.DKIM_SELECTOR, settings.DKIM_DOMAIN = key.read_text(), "mail", "example.org"
    command = ["openssl", "rsa", "-in", str(key), "-pubout", "-outform", "DER"]
    public = subprocess.run(command, check=True, capture_output=True).stdout

    def answer(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"mail._domainkey.example.org."
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    return answer


def signed_headers(raw: bytes) -> list[bytes]:
    head = re.sub(rb"\r\n[ \t]+", b" ", raw.split(b"\r\n\r\n", 1)[0])
    found = re.search(rb"(?m)^DKIM-Signature:.*?\bh=([^;]*);", head)
    assert found is not None
    return [name.strip().lower() for name in found[1].split(b":")]


@pytest.mark.django_db
def test_every_mail_of_an_issue_is_signed_and_any_change_breaks_the_signature(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, record: Callable[..., bytes]
) -> None:
    add_readers(city_news, 2, name="Zoë .dot")
    assert perform(letter).result == "2 sent."
    for mail in smtp_server.received:
        assert dkim.verify(mail.raw, dnsfunc=record, minkey=1024)
        assert {
            b"from", b"to", b"subject", b"date", b"message-id", b"list-unsubscribe", b"list-unsubscribe-post",
            b"mime-version", b"content-type",
        } <= set(signed_headers(mail.raw))  # fmt: skip
        assert signed_headers(mail.raw).count(b"from") == 2  # and so no second one can be added
        assert b"c=relaxed/relaxed" in mail.raw
        changed = mail.raw.replace(b"List-Unsubscribe=One-Click", b"List-Unsubscribe=No-Click")
        assert not dkim.verify(changed, dnsfunc=record)
        assert not dkim.verify(b"From: other@example.org\r\n" + mail.raw, dnsfunc=record)
        assert not dkim.verify(mail.raw.replace(b"=\r\n", b"", 1).replace(b"news", b"lies"), dnsfunc=record)


def test_other_mail_is_signed_by_the_backend(smtp_server: SmtpServer, record: Callable[..., bytes]) -> None:
    with get_connection("newsletters.dkim_signing.SigningBackend") as connection:
        mail = EmailMessage("Bitte bestätigen", "Grüße\n.\nfrom us\n", "a@example.org", ["b@example.org"])
        assert connection.send_messages([mail]) == 1
    (received,) = smtp_server.received
    assert dkim.verify(received.raw, dnsfunc=record)
    assert b"list-unsubscribe" in signed_headers(received.raw)  # absent, and nobody can add one


def test_nothing_is_signed_where_no_key_is_set(smtp_server: SmtpServer) -> None:
    with get_connection("newsletters.dkim_signing.SigningBackend") as connection:
        connection.send_messages([EmailMessage("Hello", "Text", "a@example.org", ["b@example.org"])])
    assert b"DKIM-Signature" not in smtp_server.received[0].raw


def from_environment(monkeypatch: pytest.MonkeyPatch, **values: str) -> tuple[str, str, str]:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return mail_environment.dkim(Environment())


def test_the_key_is_read_from_its_file(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = from_environment(monkeypatch, DKIM_KEY_FILE=str(key), DKIM_SELECTOR="mail", DKIM_DOMAIN="Example.org")
    assert read == (key.read_text().strip(), "mail", "example.org")
    assert from_environment(monkeypatch, DKIM_KEY_FILE="/dev/null", DKIM_SELECTOR="", DKIM_DOMAIN="") == ("", "", "")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"DKIM_SELECTOR": ""}, "needs all of"),
        ({"DKIM_KEY_FILE": "/nonexistent/key"}, "DKIM_KEY_FILE cannot be read"),
        ({"DKIM_KEY_FILE": __file__}, "no RSA private key"),
        ({"DKIM_SELECTOR": "mail; x"}, "DKIM_SELECTOR"),
        ({"DKIM_DOMAIN": "example"}, "DKIM_DOMAIN"),
    ],
)
def test_a_wrong_setting_is_said_at_the_start(
    key: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], words: str
) -> None:
    right = {"DKIM_KEY_FILE": str(key), "DKIM_SELECTOR": "mail", "DKIM_DOMAIN": "example.org"}
    with pytest.raises(ConfigurationError, match=words):
        from_environment(monkeypatch, **right | values)
