"""A small SMTP client for many mails: one connection, its envelopes in one packet where the server allows that.

RFC 5321 with PIPELINING (RFC 2920), SIZE (RFC 1870), SMTPUTF8 (RFC 6531), STARTTLS (RFC 3207) and AUTH (RFC 4954). One
recipient a mail: each has a leave-the-list address of its own.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from dataclasses import dataclass, field
from typing import Any, cast

from django.conf import settings
from django.core.mail.utils import DNS_NAME

from newsletters import smtp_login
from newsletters.smtp_replies import (
    CLOSING,
    Dropped,
    Fate,
    Outcome,
    Reply,
    ServerTrouble,
    Unanswered,
    judge,
    judge_sender,
)

MAILS_PER_CONNECTION = 100
FINAL_ANSWER_SECONDS = 600
"""RFC 5321 4.5.3.2.6: giving up earlier after the final dot is how mails get doubled."""
GOODBYE_SECONDS = 5
LONGEST_LINE = 8192
"""Sixteen times what RFC 5321 allows; what says more without an end is no mail server."""
MOST_LINES = 500

_REPLY_LINE = re.compile(rb"([2-5]\d\d)([ -]?)(.*)", re.DOTALL)
_NO_ADDRESS = re.compile(r"[\s<>\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Server:
    """Where mails are handed in."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    is_tls_from_start: bool = False
    must_start_tls: bool = False
    seconds: float = 60
    """How long one answer may take, except the last one of a mail (:data:`FINAL_ANSWER_SECONDS`)."""

    @classmethod
    def of_settings(cls) -> Server:
        """The one that EMAIL_URL names."""
        return cls(
            settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD,
            settings.EMAIL_USE_SSL, settings.EMAIL_USE_TLS, settings.EMAIL_TIMEOUT or 60,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Mail:
    """One mail with its envelope."""

    sender: str
    recipient: str
    data: bytes
    """Header and body with CRLF line ends; dots are doubled on the way."""


class _Lost(Exception):
    """The connection ended, answered too late, or said what is no SMTP."""


class Connection(asyncio.Protocol):
    """One connection: :meth:`open`, then for each mail :meth:`start` and :meth:`finish`, then :meth:`quit`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._replies: list[Reply] = []
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._buffer = bytearray()
        self._lines: list[str] = []
        self._offers: dict[str, str] = {}
        self.mails = 0

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(_words(exc) if exc else "Connection unexpectedly closed")

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            self._take_line(line)
        if len(self._buffer) > LONGEST_LINE:
            self._end("It answers without an end")

    def _take_line(self, line: bytes) -> None:
        match = _REPLY_LINE.fullmatch(line[:LONGEST_LINE])
        if match is None or len(self._lines) >= MOST_LINES:
            self._end(f"It says what no mail server says: {line[:60].decode('ascii', 'replace')!r}")
            return
        self._lines.append(" ".join(match[3].decode("utf-8", "replace").split()))
        if match[2] != b"-":
            lines, self._lines = tuple(self._lines), []
            self._replies.append(Reply(int(match[1]), " ".join(filter(None, lines)), lines))
            self._wake()

    def _end(self, words: str) -> None:
        if self._lost is None:
            self._lost = words
        if self._transport is not None:
            self._transport.abort()
        self._wake()
        self.resume_writing()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # One command and its answer.

    def _write(self, data: bytes) -> None:
        if self._lost is not None or self._transport is None:
            raise _Lost(self._lost or "Connection unexpectedly closed")
        self._transport.write(data)

    async def _reply(self, seconds: float) -> Reply:
        """The next answer; those that came before the end count."""
        if not self._replies and self._lost is None:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            alarm = loop.call_later(seconds, self._end, f"No answer for {seconds:g} seconds")
            try:
                await self._waiter
            finally:
                alarm.cancel()
                self._waiter = None
        if not self._replies:
            raise _Lost(self._lost)
        return self._replies.pop(0)

    async def _ask(self, command: str) -> Reply:
        self._write(f"{command}\r\n".encode("utf-8", "surrogatepass"))
        return await self._reply(self._server.seconds)

    # The greeting.

    async def open(self) -> None:
        """Connects, greets, encrypts and logs in as the settings say.

        Raises:
            ServerTrouble: encryption or login, which another try does not change.
            Dropped: not reached, busy, or it hung up.
        """
        try:
            await self._connect()
        except ssl.SSLError as error:
            raise ServerTrouble(
                f"No encrypted connection to the mail server {self._server} ({_words(error)})."
            ) from error
        except (OSError, TimeoutError) as error:
            raise Dropped(
                f"the mail server {self._server} cannot be reached: {_words(error)}", is_too_many=True
            ) from error
        try:
            await self._greet()
        except _Lost as error:
            self.abort()
            raise Dropped(f"the mail server {self._server} ended the greeting: {error}", is_too_many=True) from error
        except (ssl.SSLError, smtp_login.NotLetIn) as error:
            self.abort()
            raise ServerTrouble(f"The mail server {self._server} does not let us in ({_words(error)}).") from error
        except BaseException:
            self.abort()
            raise

    async def _connect(self) -> None:
        server = self._server
        context = ssl.create_default_context() if server.is_tls_from_start else None
        opening = asyncio.get_running_loop().create_connection(lambda: self, server.host, server.port, ssl=context)
        await asyncio.wait_for(opening, server.seconds)

    async def _greet(self) -> None:
        self._accept(await self._reply(self._server.seconds))
        await self._hello()
        if self._server.must_start_tls:
            await self._start_tls()
        if self._server.user:
            offered = self._offers.get("AUTH", "")
            reply = await smtp_login.log_in(self._ask, offered, self._server.user, self._server.password)
            if reply.code != 503:  # logged in already
                self._accept(reply)

    async def _hello(self) -> None:
        reply = await self._ask(f"EHLO {DNS_NAME}")
        if reply.code >= 500:  # RFC 5321 3.2: one that knows no extension
            self._accept(await self._ask(f"HELO {DNS_NAME}"))
            self._offers = {}
            return
        self._accept(reply)
        offers = [line.partition(" ") for line in reply.lines[1:]]
        self._offers = {name.upper(): values.strip() for name, _, values in offers}

    async def _start_tls(self) -> None:
        """A server, or somebody in between, that does not offer it is told nothing more: no password goes in the clear."""
        if "STARTTLS" not in self._offers:
            raise smtp_login.NotLetIn("STARTTLS extension not supported by server")
        reply = await self._ask("STARTTLS")
        if reply.code != 220:
            raise smtp_login.NotLetIn(str(reply))
        if self._buffer or self._replies:  # said before the encryption: somebody in between
            raise smtp_login.NotLetIn("It answered more than it was asked before the encryption began")
        loop = asyncio.get_running_loop()
        assert self._transport is not None
        try:
            encrypted = await loop.start_tls(
                self._transport, self, ssl.create_default_context(), server_hostname=self._server.host,
                ssl_handshake_timeout=self._server.seconds,
            )  # fmt: skip
        except ConnectionError as error:
            raise _Lost(_words(error)) from error
        self._transport = encrypted
        await self._hello()

    def _accept(self, reply: Reply) -> None:
        if 400 <= reply.code < 500:
            raise _Lost(str(reply))
        if reply.code >= 500:
            raise smtp_login.NotLetIn(str(reply))

    # One mail.

    async def start(self, mail: Mail) -> Outcome | None:
        """Everything but the final dot. An outcome means that there is nothing to finish.

        Raises:
            ServerTrouble: login, sender, encryption or policy: the same for every recipient.
            Dropped: not sent; try again on a new connection.
        """
        self.mails += 1
        unfit = self._unfit(mail)
        if unfit is not None:
            return unfit
        try:
            refused = await self._envelope(mail)
            if refused is not None:
                await self._forget()
                return refused
            self._write(_with_doubled_dots(mail.data))
            if self._drained is not None:
                await asyncio.wait_for(self._drained, FINAL_ANSWER_SECONDS)
            if self._lost is not None:
                raise _Lost(self._lost)
        except (_Lost, TimeoutError) as error:
            self.abort()
            raise Dropped(_words(error)) from error
        except BaseException:
            self.abort()  # in the middle of a conversation: what comes next would be misread
            raise
        return None

    async def finish(self) -> Outcome:
        """The final dot, and what the server says to the whole mail.

        Raises:
            ServerTrouble: as :meth:`start`.
            Unanswered: handed over, but the answer never came.
        """
        try:
            self._write(b".\r\n")
        except _Lost as error:  # the dot never left
            raise Dropped(_words(error)) from error
        try:
            reply = await self._reply(FINAL_ANSWER_SECONDS)
        except _Lost as error:
            self.abort()
            raise Unanswered(_words(error)) from error
        if reply.code == CLOSING:
            self.abort()
        if 300 <= reply.code < 400:  # no answer to a mail: it may have taken it
            self.abort()
            raise Unanswered(f"unexpected answer {reply}")
        return Outcome(Fate.SENT, reply) if reply.code < 300 else self._judge(reply)

    def _unfit(self, mail: Mail) -> Outcome | None:
        """What this server cannot carry, known before a word is said. Raises ServerTrouble."""
        if _NO_ADDRESS.search(mail.recipient):
            return Outcome(Fate.REFUSED, Reply(553, "5.1.3 this is not an address"))
        if not mail.recipient.isascii() and "SMTPUTF8" not in self._offers:
            return Outcome(Fate.REFUSED, Reply(553, "5.6.7 the mail server cannot carry this address's letters"))
        most = self._offers.get("SIZE", "")
        if most.isdecimal() and 0 < int(most) < len(mail.data):
            raise ServerTrouble(
                f"The mail server {self._server} takes mails of at most {int(most):,} bytes; this one has {len(mail.data):,}.",
                "552 5.3.4",
            )
        return None

    async def _envelope(self, mail: Mail) -> Outcome | None:
        """MAIL, RCPT and DATA: in one packet where the server offers PIPELINING. None when it waits for the mail."""
        commands = self._commands(mail)
        if "PIPELINING" not in self._offers:
            for verb, command in commands.items():
                refused = self._weigh(verb, await self._ask(command), mail)
                if refused is not None:
                    return refused
            return None
        self._write("".join(f"{command}\r\n" for command in commands.values()).encode())
        # RFC 2920 3.1: every answer is read, also after a refusal.
        replies = {verb: await self._reply(self._server.seconds) for verb in commands}
        try:
            for verb, reply in replies.items():
                refused = self._weigh(verb, reply, mail)
                if refused is not None:
                    break
        except BaseException:
            self.abort()
            raise
        if refused is not None and replies["DATA"].code == 354:
            # It waits for a mail although it refused the recipient: a lone dot ends that (RFC 2920 3.1).
            self._write(b".\r\n")
            await self._reply(self._server.seconds)
        return refused

    def _commands(self, mail: Mail) -> dict[str, str]:
        options = f" SIZE={len(mail.data)}" if "SIZE" in self._offers else ""
        if not mail.recipient.isascii():
            options += " SMTPUTF8"
        return {"MAIL": f"MAIL FROM:<{mail.sender}>{options}", "RCPT": f"RCPT TO:<{mail.recipient}>", "DATA": "DATA"}

    def _weigh(self, verb: str, reply: Reply, mail: Mail) -> Outcome | None:
        """Raises ServerTrouble, Dropped."""
        if reply.code == CLOSING:
            raise _Lost(str(reply))
        if verb == "MAIL":
            try:
                judge_sender(str(self._server), mail.sender, reply)
            except Dropped as busy:
                raise _Lost(str(busy)) from busy
            return None
        if reply.code >= 400:
            return self._judge(reply)
        if verb == "DATA" and reply.code != 354:
            raise _Lost(f"unexpected answer {reply}")
        return None

    def _judge(self, reply: Reply) -> Outcome:
        return judge(str(self._server), reply)

    async def _forget(self) -> None:
        """RSET: the next mail begins anew. One that hangs up after a refusal has refused all the same."""
        try:
            await self._ask("RSET")
        except _Lost:
            self.abort()

    # The end.

    @property
    def is_usable(self) -> bool:
        """Whether another mail may go by this connection."""
        return self._lost is None and self._transport is not None and self.mails < MAILS_PER_CONNECTION

    async def quit(self) -> None:
        """Says goodbye, if there is anybody to say it to."""
        if self._lost is None and self._transport is not None:
            try:
                self._write(b"QUIT\r\n")
                await self._reply(GOODBYE_SECONDS)
            except _Lost:
                pass
        self.abort()

    def abort(self) -> None:
        """Drops the connection without a word."""
        self._end("Connection closed by us")


async def _send_one(server: Server, mail: Mail) -> Outcome:
    connection = Connection(server)
    await connection.open()
    try:
        return await connection.start(mail) or await connection.finish()
    finally:
        await connection.quit()


def send_one(mail: Mail) -> Outcome:
    """Hands over a single mail.

    Raises:
        ServerTrouble, Dropped: it was not sent.
        Unanswered: nobody knows.
    """
    return asyncio.run(_send_one(Server.of_settings(), mail))


def _with_doubled_dots(data: bytes) -> bytes:
    """RFC 5321 4.5.2; ends with a line end, so that only the dot is missing."""
    body = data.replace(b"\r\n.", b"\r\n..")
    if body.startswith(b"."):
        body = b"." + body
    return body if body.endswith(b"\r\n") else body + b"\r\n"


def _words(error: Any) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "it took too long"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        # asyncio wraps the system's words into its own, and those of several addresses into one error.
        number = error.errno or next(iter(re.findall(r"Errno (\d+)", str(error))), None)
        return os.strerror(int(number)) if number and int(number) > 0 else error.strerror or str(error)
    return str(error) or type(error).__name__
