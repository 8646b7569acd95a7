"""STARTTLS: with the right certificate, a wrong one, somebody in between, and where it is not offered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from newsletters import smtp, smtp_tls
from newsletters.smtp_replies import Fate, ServerTrouble
from tests.newsletters.slow_smtp_server import UNFINISHED, SlowSmtpServer
from tests.newsletters.smtp_desk import PIPELINING, Desk, Start, always

CERTIFICATE = Path(__file__).with_name("news_example_org.pem")
PASSWORD = "hunter2 ßecret"


@pytest.fixture
def known_host(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is good for localhost, and whoever made it is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    settings.EMAIL_USE_TLS = True


def encrypting(start: Start, settings: Settings, **behaviour: Any) -> SlowSmtpServer:
    server = start(offers=(*PIPELINING, "STARTTLS"), certificate=CERTIFICATE, **behaviour)
    settings.EMAIL_HOST = "localhost"
    return server


def test_it_encrypts_and_greets_again(desk: Desk, start: Start, settings: Settings, known_host: None) -> None:
    server = encrypting(start, settings)
    desk.send(5, connections=2)
    assert desk.fates == [Fate.SENT] * 5
    words = [command.split(" ")[0] for command in server.commands]
    assert words.count("EHLO") == 2 * words.count("STARTTLS")
    assert words.index("STARTTLS") < words.index("MAIL")


@pytest.mark.parametrize("wrong", ["another name", "nobody vouches for it"])
def test_a_wrong_certificate_is_refused_before_anything_is_said(
    desk: Desk, start: Start, settings: Settings, known_host: None, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD
    server = encrypting(start, settings)
    if wrong == "another name":
        settings.EMAIL_HOST = "127.0.0.1"
    else:
        monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ServerTrouble, match=r"does not let us in .*certificate verify failed"):
        desk.send(2)
    assert [command.split(" ")[0] for command in server.commands] == ["EHLO", "STARTTLS"]


@pytest.mark.parametrize(
    "injected", ["250 2.0.0 ok", "250-injected\n250 AUTH PLAIN", "250-injected", "250-inj" + UNFINISHED],
    ids=["an answer", "an offer", "a line of an answer", "a part of a line"],
)  # fmt: skip
def test_what_was_said_in_the_clear_does_not_count_after_the_encryption(
    desk: Desk, start: Start, settings: Settings, known_host: None, injected: str
) -> None:
    server = encrypting(start, settings, reply=always("STARTTLS", f"220 2.0.0 go ahead\n{injected}"))
    with pytest.raises(ServerTrouble, match="more than it was asked before the encryption"):
        desk.send(2)
    assert server.said("MAIL") == 0


def test_encryption_that_is_not_offered_is_not_done_without(
    desk: Desk, start: Start, settings: Settings, known_host: None
) -> None:
    server = start()
    with pytest.raises(ServerTrouble, match="STARTTLS"):
        desk.send(2)
    assert [command.split(" ")[0] for command in server.commands] == ["EHLO"]


def test_the_certificates_are_read_once_for_all_connections(
    desk: Desk, start: Start, settings: Settings, known_host: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "MAILS_PER_CONNECTION", 1)
    server = encrypting(start, settings)
    smtp_tls._made_for.cache_clear()
    desk.send(4)
    assert desk.fates == [Fate.SENT] * 4
    assert server.said("STARTTLS") == 4
    assert smtp_tls._made_for.cache_info().misses == 1


def test_other_certificates_in_the_environment_count_at_once(known_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting = smtp_tls.context()
    monkeypatch.delenv("SSL_CERT_FILE")
    assert smtp_tls.context() is not trusting
    assert smtp_tls.context() is smtp_tls.context()
