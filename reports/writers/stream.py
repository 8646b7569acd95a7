"""A sink as the file that other libraries want to write to."""

from __future__ import annotations

import io

from reports.writers.writer import Sink


class SinkFile(io.RawIOBase):
    """Can be written from the beginning to the end, and nothing else; closing it leaves the sink as it is."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self._count = 0
        self._has_failed = False

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._count

    def write(self, data: object) -> int:
        content = bytes(data)  # type: ignore[call-overload]
        if not self._has_failed:  # a library that tidies up after a full disk must not fail a second time
            self._has_failed = True
            self._sink.write(content)
            self._has_failed = False
            self._count += len(content)
        return len(content)
