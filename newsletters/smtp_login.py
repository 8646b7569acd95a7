"""Logging in to a mail server: AUTH (RFC 4954) by CRAM-MD5, PLAIN or LOGIN, the first that the server offers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import replace

from newsletters.smtp_replies import Reply

Ask = Callable[[str], Awaitable[Reply]]


class NotLetIn(Exception):
    """The server lets us in by no way that we know; the message says what it answered."""


async def log_in(ask: Ask, offered: str, user: str, password: str) -> Reply:
    """The server's answer to the login. The password is in no message.

    Raises:
        NotLetIn: no way that both know.
    """
    ways = {"CRAM-MD5": _cram_md5, "PLAIN": _plain, "LOGIN": _login}
    names = offered.upper().split()
    way = next((way for name, way in ways.items() if name in names), None)
    if way is None:
        raise NotLetIn(f"it offers no login that we know ({offered})" if offered else "it offers no login")

    async def whisper(command: str) -> Reply:
        """Some servers say back what they refuse, and what they say is shown to staff."""
        reply = await ask(command)
        text = reply.text
        for secret in (command.rpartition(" ")[2], password):
            if secret and secret not in ways:
                text = text.replace(secret, "…")
        return replace(reply, text=text)

    return await way(whisper, user, password)


async def _plain(ask: Ask, user: str, password: str) -> Reply:
    return await ask(f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}")


async def _login(ask: Ask, user: str, password: str) -> Reply:
    reply = await ask(f"AUTH LOGIN {_base64(user)}")
    return await ask(_base64(password)) if reply.code == 334 else reply


async def _cram_md5(ask: Ask, user: str, password: str) -> Reply:
    """RFC 2195."""
    reply = await ask("AUTH CRAM-MD5")
    if reply.code != 334:
        return reply
    try:
        challenge = base64.b64decode(reply.text)
    except binascii.Error as error:
        raise NotLetIn(f"its challenge cannot be read ({reply})") from error
    digest = hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()
    return await ask(_base64(f"{user} {digest}"))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
