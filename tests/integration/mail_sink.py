"""A mail server in a process of its own that is as fast as can be, or as far away as one likes.

It takes every mail but those to ``nobody…``. Whom it took one for it writes down before it says so: a mail whose answer
nobody heard counts as well.

    python -m tests.integration.mail_sink PORT MILLISECONDS [FILE]
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections import Counter, deque
from pathlib import Path

from tests.integration.stack import ROOT, free_port, wait_until

ANSWERS = {
    b"EHLO": b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
}
NOBODY = {b"RCPT": b"550 5.1.1 no such user\r\n", b"DATA": b"554 5.5.1 no valid recipients\r\n"}
END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """Answers in order, each so many seconds after its command came, without waiting for those before."""

    seconds = 0.0
    file = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = bytearray()
        self._is_mail = False
        self._searched = 0
        self._answers: deque[bytes] = deque()
        self._recipient = b""
        self._is_refused = False
        self._say(b"220 sink.example\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take():
            pass

    def _take(self) -> bool:
        """One command, or one whole mail."""
        if self._is_mail:
            end = self._buffer.find(END, self._searched)
            if end < 0:
                self._searched = max(0, len(self._buffer) - len(END))
                return False
            del self._buffer[: end + len(END)]
            self._is_mail, self._searched = False, 0
            if self.file >= 0:
                os.write(self.file, self._recipient + b"\n")
            self._say(b"250 2.0.0 taken\r\n")
            return True
        end = self._buffer.find(b"\n")
        if end < 0:
            return False
        verb, line = bytes(self._buffer[:4]).upper(), bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if verb == b"RCPT":
            self._recipient = line.partition(b"<")[2].partition(b">")[0]
            self._is_refused = self._recipient.startswith(b"nobody")
        if self._is_refused and verb in (b"RCPT", b"DATA"):
            self._say(NOBODY[verb])
            return True
        self._say(ANSWERS.get(verb, b"250 2.0.0 ok\r\n"))
        self._is_mail = verb == b"DATA"
        return True

    def _say(self, answer: bytes) -> None:
        if not self.seconds:
            self._transport.write(answer)
            return
        self._answers.append(answer)
        asyncio.get_running_loop().call_later(self.seconds, self._answer)

    def _answer(self) -> None:
        self._transport.write(self._answers.popleft())


async def main(port: int, milliseconds: float, path: str = "") -> None:
    Sink.seconds = milliseconds / 1000
    if path:
        Sink.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port, backlog=100)
    await server.serve_forever()


class Running:
    """One in a process of its own: a context manager."""

    def __init__(self, path: Path | None, milliseconds: float = 0) -> None:
        self.port = free_port()
        self._path = path
        command = [sys.executable, "-m", "tests.integration.mail_sink", str(self.port), str(milliseconds)]
        self._command = command if path is None else [*command, str(path)]

    def __enter__(self) -> Running:
        self._process = subprocess.Popen(self._command, cwd=ROOT)
        wait_until(self._listens, 20, "the mail server listens")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def number(self) -> int:
        """How many mails it took."""
        return self._written().count("\n")

    def arrived(self) -> Counter[str]:
        """Whom it took mails for, and how many."""
        return Counter(self._written().split())

    def _written(self) -> str:
        assert self._path is not None, "it was told to write nothing down"
        return self._path.read_text() if self._path.exists() else ""


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:4]))
