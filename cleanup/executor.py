"""Cleans one target batch by batch: finds the right size, goes round what is locked, and isolates rows that cannot go."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from django.db import OperationalError, transaction

from cleanup import batches, selection
from cleanup.batches import Done, RowsFailed, RowsInUse, Work
from cleanup.pace import Pace
from cleanup.selection import Place
from runs import clock

logger = logging.getLogger(__name__)

MOST_POISON = 100
"""More rows than this that cannot be deleted are no exceptions any more: the run stops and says so."""
ROUNDS = 3
"""So often rows that were locked are come back to within one run."""
_TRIES = 10
_WAIT_SECONDS = 0.5
"""Somebody who sets a hold, or SQLite's other writer, is waited for about so often and so long."""


class TooManyRefused(Exception):
    """So many rows cannot be deleted that something else must be wrong."""


class Cleaning:
    """The batches of one target. Stop iterating anywhere: what was yielded is committed, and so is its place."""

    def __init__(self, work: Work, *, bound: int, place: Place | None = None) -> None:
        self._work = work
        self._pace = Pace(min(bound, work.target.most_per_batch or bound))
        self._place = place

    def batches(self, left: int | None = None) -> Iterator[Done]:
        """Deletes behind the place until nothing is left or ``left`` rows are deleted; yields each committed batch.

        Raises:
            TooManyRefused, ArchiveError, LeaseLost, Stopped; OperationalError when the database is away.
        """
        while left is None or left > 0:
            size = self._pace.size if left is None else min(self._pace.size, left)
            is_over = True
            for done, asked in self._next(size):
                self._place = done.place
                left = None if left is None else left - done.removed
                is_over = asked is not None and done.found < asked
                yield done
            if is_over:
                return

    def _next(self, size: int) -> Iterator[tuple[Done, int | None]]:
        """One batch of at most this size, or the batches that it falls into; each with the size it was asked for, None
        where that says nothing about whether more is left."""
        for tries_left in reversed(range(_TRIES)):
            try:
                done = batches.run_batch(self._work, size, self._place)
            except RowsFailed as failed:
                if isinstance(failed, RowsInUse):
                    logger.info("a batch of %s gave way (%s)", self._work.target.key, failed)
                    self._pace.halve()
                for part in self._isolate(failed):
                    yield part, None
                return
            except OperationalError as error:
                if not batches.is_in_the_way(error) or not tries_left:
                    raise
                logger.info("a batch of %s waits (%s)", self._work.target.key, error)
                time.sleep(_WAIT_SECONDS)
                continue
            self._pace.took(done.found, done.seconds)
            yield done, size
            return

    def _isolate(self, failed: RowsFailed) -> Iterator[Done]:
        """Halves what failed until the row that cannot go is alone; everything beside it goes."""
        pks, is_in_use = failed.pks, isinstance(failed, RowsInUse)
        if len(pks) == 1:
            # One that is in use is come back to in the next round.
            yield self._go_behind(pks[0]) if is_in_use else self._name(pks[0], failed.cause)
            return
        middle = len(pks) // 2
        timeout = batches.SHORT_TIMEOUT if is_in_use else batches.LOCK_TIMEOUT
        for half in (pks[:middle], pks[middle:]):
            try:
                yield batches.run_batch(self._work, len(half), self._place, only=half, timeout=timeout)
            except RowsFailed as again:
                yield from self._isolate(again)

    def _name(self, pk: Any, cause: BaseException) -> Done:
        """Writes down which row it is, and goes on behind it."""
        target = self._work.target
        entry = {
            "target": target.key, "table": target.table._meta.label, "pk": str(pk),
            "error": str(cause).strip().split("\n")[0][:300],
        }  # fmt: skip
        return self._go_behind(pk, entry)

    def _go_behind(self, pk: Any, poison: dict[str, str] | None = None) -> Done:
        work = self._work
        with transaction.atomic():
            stored = batches.own(work, clock.now())
            if poison and not any(
                (one["target"], one["pk"]) == (poison["target"], poison["pk"]) for one in stored.poison
            ):
                stored.poison = [*stored.poison, poison]
            place = selection.place_at(work.target, pk) or self._place
            batches.note_place(stored, work.target.key, place)
            stored.save(update_fields=["poison", "cursor"])
        if poison and len(stored.poison) >= MOST_POISON:
            raise TooManyRefused(poison["error"])
        return Done(0, 1, place, 0)
