"""Ends a query from outside: a thread that counts how long the database is waited for, cancels, and then cuts it off."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

GRACE_SECONDS = 1.0
"""How long a cancelled query may take to end before it is cut off."""


class Watchdog(threading.Thread):
    """Counts only what passes inside :meth:`waiting`: how long the rows take to be written is not the query's fault."""

    def __init__(self, seconds: float, *, cancel: Callable[[], None], cut_off: Callable[[], None]) -> None:
        super().__init__(name="query watchdog", daemon=True)
        self._cancel, self._cut_off = cancel, cut_off
        self._left = seconds
        self._since: float | None = None
        self._is_over = False
        self._changed = threading.Condition()
        self.timed_out = False
        self.was_interrupted = False

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The database is asked and has not answered yet."""
        with self._changed:
            self._since = time.monotonic()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._left -= time.monotonic() - self._since
                self._since = None
                self._changed.notify()

    def interrupt(self) -> None:
        """Ends the query now; may be called from any thread."""
        with self._changed:
            self.was_interrupted = True
            self._changed.notify()

    def stop(self) -> None:
        """The query has ended; nothing is cancelled any more."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(timeout=GRACE_SECONDS * 3)

    def run(self) -> None:
        with self._changed:
            while not (self._is_over or self.was_interrupted):
                left = self._remaining()
                if left is not None and left <= 0:
                    self.timed_out = True
                    break
                self._changed.wait(left)
            if self._is_over:
                return
        self._act(self._cancel)
        with self._changed:
            if self._changed.wait_for(lambda: self._is_over, GRACE_SECONDS):
                return
        self._act(self._cut_off)

    def _remaining(self) -> float | None:
        return None if self._since is None else self._left - (time.monotonic() - self._since)

    def _act(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:
            logger.warning("a query could not be ended", exc_info=True)  # the next, harder step follows
