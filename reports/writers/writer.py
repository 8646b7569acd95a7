"""What every format's writer does: it takes the heads, then batches of rows, and ends with what is known of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from reports.datasets.registry import Row


class Sink(Protocol):
    """Where the bytes go; written from the beginning to the end, as :class:`reports.storage.DraftFile` is."""

    def write(self, data: bytes) -> object:
        """Appends. Raises storage.StorageError."""


@dataclass(frozen=True)
class About:
    """What a file says about itself."""

    title: str
    """The name of the report."""
    period: str
    """The window in words."""
    zone: str
    """The time zone in which instants are written."""
    made_at: datetime
    is_guarded: bool = True
    """Whether text that a spreadsheet would run is made harmless."""
    formats: tuple[str, ...] = ()
    """All formats that the same rows are written in, so that a file which has not all of them can say which one has."""


class Writer(Protocol):
    """One file in the making. Memory stays small however many rows there are. Every method may raise StorageError."""

    def write(self, rows: Sequence[Row]) -> None:
        """The next rows."""

    def end(self, summary: Mapping[str, Any]) -> None:
        """No more rows come; ``summary`` is the report run's (see :mod:`reports.summaries`)."""

    def discard(self) -> None:
        """Removes what it keeps beside the sink; harmless after :meth:`end`, and needed where that is not reached."""
