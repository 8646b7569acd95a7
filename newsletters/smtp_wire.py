"""The bytes of an SMTP conversation: commands go out, whole replies come in, however the network cuts them."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from typing import Any, cast

from newsletters import smtp_tls
from newsletters.smtp_replies import Reply

LONGEST_LINE = 8192
"""Sixteen times what RFC 5321 allows; what says more without an end is no mail server."""
MOST_LINES = 500
_ENDLESS = "It answers without an end"
_REPLY_LINE = re.compile(rb"([2-5]\d\d)([ -]?)(.*)", re.DOTALL)


class Lost(Exception):
    """The connection ended, was silent for too long, or said what is no SMTP; ``reply`` is what it said, if anything."""

    def __init__(self, words: str | None, reply: Reply | None = None) -> None:
        super().__init__(words)
        self.reply = reply


class Wire(asyncio.Protocol):
    """One connection. Replies are kept until somebody asks for them, also after its end."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._replies: list[Reply] = []
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._buffer = bytearray()
        self._lines: list[str] = []

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(in_words(exc) if exc else "Connection unexpectedly closed")

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._lost is None and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            self._take_line(line)
        if len(self._buffer) > LONGEST_LINE:
            self._end(_ENDLESS)

    def _take_line(self, line: bytes) -> None:
        if len(line) > LONGEST_LINE:
            self._end(_ENDLESS)
            return
        match = _REPLY_LINE.fullmatch(line)
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

    # What the conversation is made of.

    @property
    def is_open(self) -> bool:
        return self._lost is None and self._transport is not None

    @property
    def has_unasked(self) -> bool:
        """Whether it said something that nobody waited for."""
        return bool(self._buffer or self._lines or self._replies)

    def next_reply(self) -> Reply | None:
        """The next one that came already."""
        return self._replies.pop(0) if self._replies else None

    def write(self, data: bytes) -> None:
        """Raises Lost."""
        if self._lost is not None or self._transport is None:
            raise Lost(self._lost or "Connection unexpectedly closed")
        self._transport.write(data)

    async def written(self, seconds: float) -> None:
        """Waits until what was written is on its way, and not in our own memory. Raises Lost."""
        if self._drained is not None:
            try:
                await asyncio.wait_for(self._drained, seconds)
            except TimeoutError as error:
                raise Lost("It takes the mail too slowly") from error
        if self._lost is not None:
            raise Lost(self._lost)

    async def reply(self, seconds: float) -> Reply:
        """The next reply; those that came before the end count. Raises Lost."""
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
            raise Lost(self._lost)
        return self._replies.pop(0)

    async def ask(self, command: str, seconds: float) -> Reply:
        """Says one line; the reply to it. Raises Lost."""
        self.write(f"{command}\r\n".encode("utf-8", "surrogatepass"))
        return await self.reply(seconds)

    async def encrypt(self, host: str, seconds: float) -> None:
        """STARTTLS was answered with 220. Raises ssl.SSLError, Lost."""
        assert self._transport is not None
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                self._transport, self, smtp_tls.context(), server_hostname=host, ssl_handshake_timeout=seconds
            )
        except ConnectionError as error:
            raise Lost(in_words(error)) from error
        self._transport = cast(asyncio.Transport, encrypted)

    def abort(self) -> None:
        """Drops the connection without a word."""
        self._end("Connection closed by us")


def in_words(error: Any) -> str:
    """What went wrong, in the system's words without asyncio's around them."""
    if isinstance(error, TimeoutError) and not str(error):
        return "it took too long"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        number = error.errno or next(iter(re.findall(r"Errno (\d+)", str(error))), None)
        return os.strerror(int(number)) if number and int(number) > 0 else error.strerror or str(error)
    return str(error) or type(error).__name__
