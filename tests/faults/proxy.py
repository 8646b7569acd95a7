"""A TCP proxy whose network can be broken: silent, slow, a trickle, or cut in the middle of an answer."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType

MODES = ("heal", "black hole", "latency", "trickle", "cut")
LATENCY_SECONDS = 5
TRICKLE_BYTES = 1024
"""A second."""


class Proxy:
    """Between the processes and the broker, in a thread of its own.

    ``black hole``: what is open goes silent for good and stays open, without any reset, also after healing, as when a
    router forgot its connections; what is opened anew is silent until then.
    """

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._mode = "heal"
        self._epoch = 0
        """Counts the black holes; a connection older than the latest is lost."""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Proxy:
        self._thread.start()
        if not self._ready.wait(10):
            raise AssertionError("not within 10 s: the proxy listens")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    def set(self, mode: str) -> None:
        """Breaks or heals the network from now on."""
        if mode not in MODES:
            raise ValueError(mode)
        if mode == "black hole":
            self._epoch += 1
        self._mode = mode

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0.05))
            self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        epoch = self._epoch
        try:
            while self._mode == "black hole":
                await asyncio.sleep(0.05)
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except (OSError, asyncio.CancelledError):
            writer.close()
            return
        with suppress(asyncio.CancelledError):  # the proxy is closed: no error of anybody
            await self._join(reader, writer, to_reader, to_writer, epoch)

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_reader: asyncio.StreamReader,
        to_writer: asyncio.StreamWriter,
        epoch: int,
    ) -> None:
        """Passes on what comes from either end until one of them ends."""
        both = [
            asyncio.ensure_future(self._pump(reader, to_writer, epoch, is_answer=False)),
            asyncio.ensure_future(self._pump(to_reader, writer, epoch, is_answer=True)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in both:
                pump.cancel()
            for end in (writer, to_writer):
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, epoch: int, *, is_answer: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                while self._epoch > epoch:  # lost in the black hole
                    await asyncio.sleep(0.2)
                if self._mode == "latency":
                    await asyncio.sleep(LATENCY_SECONDS)
                elif self._mode == "trickle":
                    await self._trickle(data, writer)
                    continue
                elif self._mode == "cut" and is_answer and len(data) > 1:
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            return

    async def _trickle(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        piece = TRICKLE_BYTES // 8
        for first in range(0, len(data), piece):
            writer.write(data[first : first + piece])
            await writer.drain()
            if self._mode == "trickle":
                await asyncio.sleep(piece / TRICKLE_BYTES)
