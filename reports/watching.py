"""Looks after a report in the making, from beside: tells how far it is, and ends its reading when the run must stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from django.db import connection

from runs.ledger import LeaseLost, RunCancelled
from runs.tasks import RunContext

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
TELL_SECONDS = 1.0


class Watch:
    """As a context manager, a thread with a database connection of its own.

    Whoever is busy in one long statement, or in a long computation, cannot look whether the run was cancelled: this
    one looks once a second, and calls ``interrupt`` when it was.
    """

    def __init__(self, run: RunContext, interrupt: Callable[[], None] | None) -> None:
        """Without ``interrupt`` there is no thread: the caller's transaction hides its rows from others."""
        self._run = run
        self._interrupt = interrupt
        self._done = 0
        self._total: int | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name=f"report-{run.id}", daemon=True)

    @property
    def is_beside(self) -> bool:
        """Whether the reader's connection is all the reader's: one that copies can be asked for nothing else."""
        return self._interrupt is not None

    def expect(self, total: int | None) -> None:
        """How many rows there will be."""
        self._total = total

    def at(self, done: int) -> None:
        """So many rows are written. Raises LeaseLost or RunCancelled when the run must stop."""
        self._done = done
        if self._interrupt is None:
            self._run.progress(done, self._expected(), "rows")
        else:
            self._run.checkpoint()

    def _expected(self) -> int | None:
        return None if self._total is None else max(self._total, self._done)

    def __enter__(self) -> Watch:
        if self._interrupt is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        if self._interrupt is not None:
            self._thread.join()  # it must not interrupt what comes after the reading

    def _look_on(self) -> None:
        tell_at = 0.0
        try:
            while not self._is_over.wait(LOOK_SECONDS):
                try:
                    self._run.checkpoint()
                    if time.monotonic() >= tell_at:
                        tell_at = time.monotonic() + TELL_SECONDS
                        self._run.progress(self._done, self._expected(), "rows")
                except (LeaseLost, RunCancelled) as stop:
                    self._stop(stop)
                except Exception:
                    # The database is away for a moment; the one that reads finds out for itself.
                    logger.exception("could not tell how far run %s is", self._run.id)
                    connection.close()
        finally:
            connection.close()

    def _stop(self, stop: Exception) -> None:
        self._run.stop_with(stop)
        assert self._interrupt is not None
        try:
            self._interrupt()
        except Exception:
            logger.exception("could not interrupt the reading of run %s", self._run.id)
