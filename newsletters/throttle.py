"""The line of claimed mails, let through as fast as the newsletter's rate and those of single mail providers allow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from newsletters import rates
from newsletters.deliveries import Row
from newsletters.models import Newsletter

AHEAD_SECONDS = 10
"""Rows are claimed so long before their time: who leaves until then is left out, and other processes find the rest."""


class Throttle:
    """Rows wait for their mail provider first and then for the newsletter's rate, so that neither is overdrawn."""

    def __init__(self, newsletter: Newsletter) -> None:
        self._limit = rates.of(newsletter)
        self._domains = rates.of_domains()
        self._held: dict[str, deque[Row]] = {}
        self._line: deque[Row] = deque()
        self._opens_in = 0.0

    @property
    def waiting(self) -> int:
        """Rows that were put in and not let through."""
        return len(self._line) + sum(map(len, self._held.values()))

    @property
    def is_short(self) -> bool:
        """Whether nothing waits for the newsletter's own rate: more can be claimed."""
        return not self._line

    def room(self, most: int) -> int:
        """How many of so many rows are worth claiming: what the newsletter's own rate allows soon; 0 while it allows none."""
        self._opens_in = 0.0
        if not self._limit.rate:
            return most
        _, wait = self._limit.take(0)
        if wait > AHEAD_SECONDS:
            self._opens_in = wait
            return 0
        return min(most, self._soon)

    def shed(self) -> list[Row]:
        """Takes out those that wait for long, because staff made the rate slower."""
        kept = self._soon if self._limit.rate else len(self._line)
        return [self._line.pop() for _ in range(len(self._line) - kept)]

    @property
    def _soon(self) -> int:
        """How many mails the newsletter's rate allows soon."""
        return max(1, int(AHEAD_SECONDS * self._limit.rate / self._limit.period))

    def put(self, rows: Iterable[Row]) -> None:
        """Adds claimed rows."""
        for row in rows:
            domain = row.email_norm.rpartition("@")[2]
            (self._held.setdefault(domain, deque()) if domain in self._domains else self._line).append(row)

    def let_through(self) -> tuple[list[Row], float]:
        """The rows that may go now, and in how many seconds it is worth asking again; 0 where nothing is limited."""
        wait = self._release_held() if self._held else 0.0
        if not self._limit:
            rows = list(self._line)
            self._line.clear()
            return rows, wait
        if not self._line:
            return [], wait or self._opens_in
        granted, until_next = self._limit.take(len(self._line))
        return [self._line.popleft() for _ in range(granted)], until_next

    def _release_held(self) -> float:
        """Lets rows of limited providers into the line, but only when they need not wait in it."""
        waits = []
        for domain, held in list(self._held.items()):
            granted, wait = self._domains[domain].take(len(held)) if self.is_short or not self._limit else (0, 0.1)
            self._line.extend(held.popleft() for _ in range(granted))
            waits.append(wait)
            if not held:
                del self._held[domain]
        return min(waits)

    def look(self, newsletter: Newsletter) -> None:
        """Notices that staff changed the rate, or that another process was asked to slow down."""
        present = rates.of(newsletter)
        if present.key != self._limit.key:
            self._limit = present
        self._limit.look()

    def slow_down(self, per_second: float) -> None:
        """A server asked for it."""
        self._limit.slow_down(per_second)
