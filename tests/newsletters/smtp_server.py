"""A real SMTP server on loopback that records every envelope and mail and misbehaves on request."""

from __future__ import annotations

import asyncio
import email
import email.message
import email.policy
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

# It says every command of every mail; nobody reads that, and it takes longer than the mail.
logging.getLogger("mail.log").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Received:
    """One mail that the server answered 250 to, exactly as it came over the wire."""

    sender: str
    recipient: str
    raw: bytes

    @property
    def mail(self) -> email.message.EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    def header_lines(self, name: str) -> list[bytes]:
        """The raw lines of a header, folded lines included."""
        head = self.raw.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
        starts = [index for index, line in enumerate(head) if line.lower().startswith(name.lower().encode() + b":")]
        lines = []
        for start in starts:
            end = start + 1
            while end < len(head) and head[end][:1] in (b" ", b"\t"):
                end += 1
            lines += head[start:end]
        return lines

    def body(self, kind: str) -> str:
        part = self.mail.get_body((kind,))
        assert part is not None
        return str(part.get_content())


@dataclass
class SmtpServer:
    """Hooks get the running number of the command (from 1) and return a reply line, or None for the usual one."""

    received: list[Received] = field(default_factory=list)
    on_mail: Callable[[int], str | None] = lambda number: None
    on_rcpt: Callable[[int, str], str | None] = lambda number, address: None
    on_data: Callable[[int], str | None] = lambda number: None
    drop_at_rcpt: Callable[[int], bool] = lambda number: False
    drop_after_reply: Callable[[int], bool] = lambda number: False
    drop_instead_of_reply: Callable[[int], bool] = lambda number: False
    seconds_per_mail: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    connections: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"mail": 0, "rcpt": 0, "data": 0})
    _controller: Controller | None = None

    @property
    def recipients(self) -> list[str]:
        return [mail.recipient for mail in self.received]

    def _next(self, command: str) -> int:
        self.counts[command] += 1
        return self.counts[command]

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, mail_options: list[str]
    ) -> str:
        reply = self.on_mail(self._next("mail"))
        if reply is not None:
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        number = self._next("rcpt")
        if self.drop_at_rcpt(number):
            assert server.transport is not None
            cast(asyncio.Transport, server.transport).abort()
            return "250 never seen"
        reply = self.on_rcpt(number, address)
        if reply is not None:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        number = self._next("data")
        if self.seconds_per_mail:
            await asyncio.sleep(self.seconds_per_mail)
        reply = self.on_data(number)
        if reply is not None:
            return reply
        raw = envelope.content or b""
        assert isinstance(raw, bytes)
        self.received.append(Received(envelope.mail_from or "", envelope.rcpt_tos[0], raw))
        assert server.transport is not None
        if self.drop_instead_of_reply(number):
            cast(asyncio.Transport, server.transport).abort()
        elif self.drop_after_reply(number):
            asyncio.get_running_loop().call_soon(server.transport.close)  # after the reply is out
        return "250 2.0.0 taken"

    def start(self) -> SmtpServer:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **self.options)
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None


def only_password(word: str) -> Callable[..., AuthResult]:
    """An authenticator that knows one password."""

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == word.encode(), handled=False)

    return authenticate
