"""A mail server that takes every mail, counts, and answers each command after a while: as far away as one likes.

python benchmarks/sink.py PORT MILLISECONDS
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque

ANSWERS = {
    b"EHLO": b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
}
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


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:4]))
