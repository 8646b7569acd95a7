"""How large the next batch is, so that none of them keeps others waiting."""

from __future__ import annotations

import time

from django.db import connection

FIRST = 500
"""Rows of the first batch, of which nobody knows yet how long it takes."""
AIM_SECONDS = {"postgresql": 0.25, "sqlite": 0.1}
"""Half a second at most is promised. SQLite has one writer: while a batch works, everybody else waits."""

LEAST = 20
"""Fewer rows are not asked for because of one slow moment,"""
TOO_LONG = 1.0
"""unless they took this long: rows with very many children."""


class Pace:
    """Doubles and halves towards the aim, never above the bound."""

    def __init__(self, bound: int, first: int = FIRST) -> None:
        self._bound = max(1, bound)
        self.size = min(first, self._bound)

    def took(self, rows: int, seconds: float) -> None:
        """A batch of so many rows took so long."""
        aim = AIM_SECONDS[connection.vendor]
        if rows < self.size and seconds < aim:
            return  # a last batch that was not full says nothing
        fitting = min(max(rows * aim / max(seconds, 0.001), self.size / 2), self.size * 2)
        least = 1 if seconds > TOO_LONG else LEAST
        self.size = min(self._bound, max(int(fitting), least))

    def halve(self) -> None:
        """Somebody else was in the way: a smaller batch meets fewer."""
        self.size = max(1, self.size // 2)


def rest(seconds: float, asked_ms: int) -> None:
    """What staff asked for; on SQLite at least as long as the batch took, or its other writers would never get a turn."""
    least = min(max(seconds, 0.01), 0.2) if connection.vendor == "sqlite" else 0.0
    time.sleep(max(asked_ms / 1000, least))
