"""Logging in to a mail server, in each way that it knows, with the right password and a wrong one."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from pytest_django import Settings

from newsletters.smtp_replies import Fate, ServerTrouble
from tests.newsletters.smtp_desk import PIPELINING, Desk, Start, once

PASSWORD = "hunter2 ßecret"
CHALLENGE = "<1896.697170952@slow.example>"


def gate(command: str, usual: str, said: list[str]) -> str:
    """A server's part in each of the three ways to log in; the password must be right."""
    said.append(command)
    words = command.split(" ")
    if words[:2] == ["AUTH", "PLAIN"]:
        is_right = base64.b64decode(words[2]).decode() == f"\0desk\0{PASSWORD}"
    elif words[:2] == ["AUTH", "LOGIN"]:
        return f"334 {base64.b64encode(b'Password:').decode()}"
    elif words[:2] == ["AUTH", "CRAM-MD5"]:
        return f"334 {base64.b64encode(CHALLENGE.encode()).decode()}"
    elif len(said) > 1 and said[-2].startswith("AUTH LOGIN"):
        is_right = base64.b64decode(command).decode() == PASSWORD
    elif len(said) > 1 and said[-2].startswith("AUTH CRAM"):
        digest = hmac.new(PASSWORD.encode(), CHALLENGE.encode(), hashlib.md5).hexdigest()
        is_right = base64.b64decode(command).decode() == f"desk {digest}"
    elif words[0] in ("EHLO", "", "QUIT") or any(line.startswith("right") for line in said):
        return usual
    else:
        return "530 5.7.0 log in first"
    said[-1:] = ["right"] if is_right else [command]
    return "235 2.7.0 welcome" if is_right else f"535 5.7.8 no: {command}"


@pytest.mark.parametrize("way", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2 LOGIN PLAIN CRAM-MD5"])
def test_it_logs_in_each_way_that_it_knows(desk: Desk, start: Start, settings: Settings, way: str) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD
    said: list[str] = []
    server = start(offers=(*PIPELINING, f"AUTH {way}"), reply=lambda command, usual: gate(command, usual, said))
    desk.send(2)
    assert desk.fates == [Fate.SENT] * 2
    assert server.said("AUTH") == 1
    assert server.said("AUTH CRAM-MD5") == ("CRAM" in way)


@pytest.mark.parametrize("way", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_wrong_password_stops_everything_and_is_repeated_by_nobody(
    desk: Desk, start: Start, settings: Settings, way: str
) -> None:
    """Also where the server says back what it was told."""
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", "wr0ng-pass"
    said: list[str] = []
    server = start(offers=(*PIPELINING, f"AUTH {way}"), reply=lambda command, usual: gate(command, usual, said))
    with pytest.raises(ServerTrouble, match=r"does not let us in \(535 5.7.8") as trouble:
        desk.send(3)
    secret = server.commands[-1].split(" ")[-1]
    assert len(secret) > 12
    for error in (trouble.value, trouble.value.__cause__):
        assert "wr0ng-pass" not in repr(error)
        assert secret not in repr(error)
    assert server.said("AUTH") == 1
    assert desk.outcomes == []


def test_a_login_that_is_put_off_is_tried_again(desk: Desk, start: Start, settings: Settings) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD
    server = start(offers=(*PIPELINING, "AUTH PLAIN"), reply=once("AUTH", "454 4.7.0 try again", at=1))
    desk.send(2)
    assert desk.fates == [Fate.SENT] * 2
    assert server.said("AUTH") == 2


def test_a_server_without_a_login_that_we_know_says_so(desk: Desk, start: Start, settings: Settings) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD
    start(offers=(*PIPELINING, "AUTH GSSAPI NTLM"))
    with pytest.raises(ServerTrouble, match="no login that we know"):
        desk.send(1)
