"""The files of one attempt: each batch of rows goes to every format, and a full part makes way for the next."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded

from reports import storage
from reports.datasets.registry import Row
from reports.models import Format
from reports.sources import Head
from reports.writers import registry
from reports.writers.writer import About, Writer
from runs import words
from runs.ledger import LeaseLost, RunCancelled

MOST_PARTS = 200
_NOT_ITS_FAULT = (storage.StorageError, LeaseLost, RunCancelled, SoftTimeLimitExceeded)


class CannotWrite(Exception):
    """A file could not be made of the rows, in words for staff."""


class _Sink:
    """Hands bytes to a draft, and looks at each turn whether the run must stop: the end of a large file takes long."""

    def __init__(self, draft: storage.DraftFile | None, checkpoint: Callable[[], None]) -> None:
        self._draft = draft
        self._checkpoint = checkpoint
        self.content: Any = None
        """What takes the fingerprint of the rows, once the head is written."""

    def write(self, data: bytes) -> None:
        self._checkpoint()
        if self._draft is not None:
            self._draft.write(data)
        if self.content is not None:
            self.content.update(data)


@dataclass
class Output:
    """One file."""

    format: str
    part: int
    draft: storage.DraftFile
    sink: _Sink
    writer: Writer
    row_count: int = 0
    is_of_many: bool = False
    """Whether the rows went into several files of this format."""


class Outputs:
    """As a context manager it removes every file that was not published.

    Every method may raise storage.StorageError, CannotWrite, LeaseLost and RunCancelled.
    """

    def __init__(
        self,
        run: tuple[int, int],
        formats: Sequence[str],
        heads: Sequence[Head],
        about: About,
        checkpoint: Callable[[], None],
        *,
        rows_per_part: int | None = None,
        has_content_hash: bool = False,
    ) -> None:
        """``run`` is its number and attempt. The rows' fingerprint is that of the CSV's lines, and free where there is one."""
        self.done: list[Output] = []
        self.row_count = 0
        self.formats = list(formats)
        self._run, self._heads, self._about = run, heads, about
        self._checkpoint = checkpoint
        self._rows_per_part = rows_per_part
        self._content = hashlib.sha256() if has_content_hash or Format.CSV in formats else None
        self._open: list[Output] = []
        self._hashing: Writer | None = None
        storage.clear_drafts(run[0])
        try:
            if self._content is not None and Format.CSV not in formats:
                sink = _Sink(None, checkpoint)
                self._hashing = registry.open_writer(Format.CSV, sink, heads, about)
                sink.content = self._content
            self._begin_part(1)
        except BaseException:
            self.discard()
            raise

    @property
    def content_sha256(self) -> str:
        """Of all rows, whatever the formats and parts; empty where nobody asked for it."""
        return "" if self._content is None else self._content.hexdigest()

    @property
    def room(self) -> int | None:
        """How many more rows the next batch may have; None for any number."""
        if self._rows_per_part is None:
            return None
        return self._rows_per_part - self.row_count % self._rows_per_part

    def write(self, rows: Sequence[Row], summary: Mapping[str, Any]) -> None:
        """Adds rows, not more than there is :attr:`room` for. ``summary`` is what a part that is full ends with."""
        self._make_room(summary)
        if self._hashing is not None:
            self._hashing.write(rows)
        for output in self._open:
            with _blaming(output.format):
                output.writer.write(rows)
        self._count(len(rows))

    def write_lines(self, lines: bytes, count: int, summary: Mapping[str, Any]) -> None:
        """Adds rows that are lines of CSV already; only where CSV is the one format."""
        self._make_room(summary)
        for output in self._open:
            output.sink.write(lines)
        self._count(count)

    def end(self, summary: Mapping[str, Any]) -> None:
        """No more rows come: every file is complete, and on the disk."""
        for output in self._open:
            with _blaming(output.format):
                output.writer.end(summary)
            output.draft.seal()
        self.done += self._open
        self._open = []
        for output in self.done:
            output.is_of_many = len(self.done) > len(self.formats)

    def discard(self) -> None:
        """Removes every file that was not published."""
        for output in self._open:
            try:
                output.writer.discard()
            finally:
                output.draft.discard()
        for output in self.done:
            output.draft.discard()

    def _count(self, rows: int) -> None:
        self.row_count += rows
        for output in self._open:
            output.row_count += rows

    def _make_room(self, summary: Mapping[str, Any]) -> None:
        if self._rows_per_part is None or not self._open or self._open[0].row_count < self._rows_per_part:
            return
        part = self._open[0].part + 1
        if part > MOST_PARTS:
            raise CannotWrite(
                f"The report would be more than {MOST_PARTS} files of {words.counted(self._rows_per_part, 'row')}. "
                "Allow more rows in a file, or choose fewer days."
            )
        self.end(summary)
        self._begin_part(part)

    def _begin_part(self, part: int) -> None:
        for format in self.formats:
            draft = storage.DraftFile(*self._run, format, part)
            sink = _Sink(draft, self._checkpoint)
            try:
                with _blaming(format):
                    writer = registry.open_writer(format, sink, self._heads, self._about)
            except BaseException:
                draft.discard()
                raise
            sink.content = self._content if format == Format.CSV else None
            self._open.append(Output(format, part, draft, sink, writer))

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()


@contextmanager
def _blaming(format: str) -> Iterator[None]:
    """What goes wrong inside is the fault of this format's file."""
    try:
        yield
    except _NOT_ITS_FAULT:
        raise
    except OSError as error:
        raise storage.failure(error) from error
    except Exception as error:
        name = dict(Format.choices).get(format, format)
        raise CannotWrite(f"The {name} file could not be written ({type(error).__name__}: {error}).") from error
