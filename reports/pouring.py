"""One pass over the rows of a report: from the database to every file, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any

from reports import copying
from reports.datasets.registry import Row
from reports.outputs import Outputs
from reports.watching import Watch

MOST_ROWS = 1_000
QUICK_SECONDS = 0.1
"""A batch that takes longer is made smaller: between two of them it is seen that the run was cancelled."""
FIRST_ROWS = 61
"""Kept for charts, which show one row less and say that there are more."""


class Pouring:
    """What has become of the rows so far."""

    def __init__(self, outputs: Outputs, watch: Watch, summary: Mapping[str, Any], most_rows: int | None) -> None:
        """No more than ``most_rows`` are written. ``summary`` is what the first of several parts end with."""
        self.is_capped = False
        """Whether there were more."""
        self.first_rows: list[Row] = []
        self._outputs, self._watch, self._summary, self._most = outputs, watch, summary, most_rows

    def rows(self, rows: Iterator[Row]) -> None:
        """Writes rows that Python reads."""
        size = 10
        while (room := self._room()) != 0:
            begun = time.monotonic()
            batch = list(islice(rows, size if room is None else min(size, room)))
            if not batch:
                return
            self.first_rows += batch[: FIRST_ROWS - len(self.first_rows)]
            self._outputs.write(batch, self._summary)
            self._watch.at(self._outputs.row_count)
            size = min(size * 2, MOST_ROWS) if time.monotonic() - begun < QUICK_SECONDS else max(size // 2, 1)
        self.is_capped = next(rows, None) is not None

    def copy(self, copy: copying.Copy, zone: str) -> None:
        """Writes lines that the database makes."""
        limit = None if self._most is None else self._most + 1
        # Closed at once when something goes wrong: nothing else can be asked of a connection that copies.
        with closing(copying.blocks(copy, zone, limit, self._room_to_look)) as blocks:
            for lines, count in blocks:
                if self._room() == 0:
                    self.is_capped = True
                    continue
                self._outputs.write_lines(lines, count, self._summary)
                self._watch.at(self._outputs.row_count)

    def _room_to_look(self) -> int | None:
        """As :meth:`_room`, and one more where that is none: whether there is another row."""
        room = self._room()
        return 1 if room == 0 else room

    def _room(self) -> int | None:
        """How many rows may come next; None for any number."""
        left = None if self._most is None else self._most - self._outputs.row_count
        of_part = self._outputs.room
        return left if of_part is None else of_part if left is None else min(left, of_part)
