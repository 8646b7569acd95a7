"""One batch: rows locked, holds read, archive complete, rows gone and the place noted, all in one transaction or none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError, connection, transaction
from django.db.models import QuerySet

from cleanup import held_rows, outbox, reasons, removal, selection, table_sql
from cleanup.archive_file import ArchiveError
from cleanup.archive_writing import PartWriter
from cleanup.models import Archiving, CleanupPolicy, CleanupRun
from cleanup.removal import Keeper, NoKeeper, Removed
from cleanup.selection import Place, Selection
from cleanup.targets import Target
from runs import clock, failpoints
from runs.id_lists import rows_of
from runs.ledger import LeaseLost, RunCancelled
from runs.locking import locked, skip_locked

LOCK_TIMEOUT = "1s"
SHORT_TIMEOUT = "100ms"
"""While it is found out which row is in use."""
_GIVEN_WAY = ("55P03", "40P01", "40001", "57014")
"""PostgreSQL: lock not available, deadlock, serialization failure, statement cancelled."""


class Stopped(Exception):
    """No further batch may begin, in words (:mod:`cleanup.reasons`): it was switched off, or goes by another rule by now."""


class RowsFailed(Exception):
    """The database, or the target's own removal, refuses these rows: one of them at least cannot be deleted."""

    def __init__(self, pks: Sequence[Any], cause: BaseException) -> None:
        super().__init__(str(cause))
        self.pks = list(pks)
        self.cause = cause


class RowsInUse(RowsFailed):
    """Somebody else has something locked that hangs on these rows."""


@dataclass(frozen=True)
class Work:
    """What the batches of one target in one attempt of a run have in common."""

    cleanup_run_id: int
    attempt: int
    chosen: Selection
    archive: str = Archiving.NONE

    @property
    def target(self) -> Target:
        return self.chosen.target


@dataclass(frozen=True)
class Done:
    """A batch that is committed."""

    removed: int
    """Rows of the target itself."""
    found: int
    """Rows that were looked at: some of them may be kept as the last of their group."""
    place: Place | None
    seconds: float


def run_batch(
    work: Work, size: int, place: Place | None, only: Sequence[Any] | None = None, *, timeout: str = LOCK_TIMEOUT
) -> Done:
    """Deletes at most ``size`` rows behind the place, or of those given; the count and the place are written with them.

    Raises:
        RowsFailed: nothing was deleted, because some row of them cannot be (RowsInUse: not just now).
        ArchiveError: nothing was deleted, because the archive could not be written.
        LeaseLost: another attempt owns the run, or it was closed.
        Stopped: nothing was deleted, because the run must not go on.
        OperationalError: somebody else holds a lock for too long, or the database is away.
    """
    began = time.monotonic()
    attempted = _Attempt(work)
    try:
        with transaction.atomic():
            wait_at_most(timeout, by_indexes=True)
            done = attempted.perform(size, place, only)
            failpoints.passing("cleanup_before_commit")
    except BaseException as error:
        attempted.discard()
        if attempted.pks and is_of_rows(error, work.target):
            raise RowsFailed(attempted.pks, error) from error
        if attempted.pks and is_in_the_way(error):
            raise RowsInUse(attempted.pks, error) from error
        raise
    failpoints.passing("cleanup_committed")
    return Done(done.removed, done.found, done.place, time.monotonic() - began)


def own(work: Work, now: datetime) -> CleanupRun:
    """The run's record, as :func:`owned` gives it."""
    return owned(work.cleanup_run_id, work.attempt, now)


def owned(cleanup_run_id: int, attempt: int, now: datetime) -> CleanupRun:
    """The run's record, locked, and its policy with it: who switches that off waits for the batch, and none follows.

    Raises:
        LeaseLost: it belongs to another attempt by now, or was closed.
        Stopped: the run must not go on.
    """
    # The policy first: so does who deletes it.
    policies = locked(CleanupPolicy.objects.filter(runs=cleanup_run_id))
    policy = policies.values_list("is_enabled", "enabled_rule_hash").first()
    stored = locked(CleanupRun.objects.filter(pk=cleanup_run_id, attempt=attempt, finished_at=None)).first()
    if stored is None:
        raise LeaseLost
    is_enabled, enabled_rule_hash = policy or (False, "")
    if not is_enabled:
        raise Stopped(reasons.SWITCHED_OFF)
    if enabled_rule_hash != stored.rule_hash:
        raise Stopped(reasons.CHANGED)
    if stored.started_at > now:
        raise Stopped(reasons.CLOCK_WENT_BACK)  # its cutoff was fixed by a clock that was ahead
    return stored


def note_place(stored: CleanupRun, key: str, place: Place | None) -> None:
    """Where the next batch of the target goes on; written by whoever saves the record."""
    cursor = {**stored.cursor.get(key, {}), "place": place}
    stored.cursor = {**stored.cursor, key: cursor}


def wait_at_most(timeout: str = LOCK_TIMEOUT, *, by_indexes: bool = False) -> None:
    """To the end of the transaction nobody is waited for longer than ``timeout``, as PostgreSQL writes it: "100ms".

    ``by_indexes`` says besides that few rows of large tables are read: PostgreSQL keeps the plans of foreign keys for a session,
    and one made while the table was small reads all of it for each row.
    """
    if connection.vendor == "postgresql":
        also = ", set_config('enable_seqscan', 'off', true)" if by_indexes else ""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT set_config('lock_timeout', %s, true){also}", [timeout])


class _Attempt:
    """One try at one batch, with the archive that goes if the try does."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._part: PartWriter | None = None
        self.pks: list[Any] = []
        """What it is about to delete."""

    def perform(self, size: int, place: Place | None, only: Sequence[Any] | None) -> Done:
        began = time.monotonic()
        work = self._work
        now = clock.now()
        stored = own(work, now)
        # Holds before rows: from here on nobody sets one, so what is read now is what counts at the commit.
        held_rows.freeze()
        found, deletable = self._lock_rows(size, place, only, now)
        failpoints.passing("cleanup_locked")
        self.pks = deletable
        through = only or found
        end = (selection.place_at(work.target, through[-1]) if through else None) or place
        removed = self._remove(stored, deletable, now) if deletable else Removed()
        failpoints.passing("cleanup_deleted")
        self._checkpoint(stored, removed, len(deletable), end, began)
        return Done(len(deletable), len(found), end, 0)

    def discard(self) -> None:
        """The archive of a batch that did not commit."""
        if self._part is not None:
            self._part.discard()

    def _lock_rows(
        self, size: int, place: Place | None, only: Sequence[Any] | None, now: datetime
    ) -> tuple[list[Any], list[Any]]:
        """Primary keys: (looked at, to delete), in order. Rows that somebody else has locked are left out."""
        chosen, target = self._work.chosen, self._work.target
        meant: QuerySet[Any] = chosen.unheld(now)
        rows = meant.filter(selection.after(target, place)) if only is None else meant.filter(pk__in=only)
        rows = skip_locked(rows.order_by(*selection.order_of(target)))
        if not chosen.keep_last or not target.group_by:
            found = list(rows.values_list("pk", flat=True)[:size])
            return found, self._still(found, meant)
        taken = list(rows.values_list("pk", chosen.group_order, target.group_by)[:size])
        kept = chosen.kept(taken) if taken else set()
        found = [row[0] for row in taken]
        return found, self._still([pk for pk in found if pk not in kept], meant)

    def _still(self, pks: list[Any], meant: QuerySet[Any]) -> list[Any]:
        """Those that the rule still means now that they are locked.

        What other tables say of a row (who is on a list) was read before it was locked, and may be new since: whoever adds
        something to it has to wait only from now on.
        """
        if not pks or not connection.features.has_select_for_update:
            return pks  # SQLite: nobody else writes
        rows = meant.order_by().values_list("pk", flat=True)
        statement, _ = rows.query.sql_with_params()
        if statement.count("SELECT ") == 1 and " JOIN " not in statement:
            return pks  # what the row itself says PostgreSQL looks at again as it locks it
        still = set(rows.filter(pk__in=rows_of(pks) if isinstance(pks[0], (int, str)) else pks))
        return [pk for pk in pks if pk in still]

    def _remove(self, stored: CleanupRun, pks: Sequence[Any], now: datetime) -> Removed:
        work, target = self._work, self._work.target
        keeper: Keeper = NoKeeper()
        if work.archive != Archiving.NONE and target.may_archive:
            number = stored.parts.count() + 1
            self._part = PartWriter(stored, target, number, work.archive)
            keeper = self._part.keeper
        removed = self._take_away(keeper, pks, now)
        if connection.vendor == "postgresql":
            connection.check_constraints()  # now: what the commit refuses it cannot say half so well
        if removed.files:
            outbox.add(
                removed.files, target=target.key, why=f"deleted with its row by “{stored.policy_name}”",
                cleanup_run_id=stored.pk, now=now,
            )  # fmt: skip
        if self._part is not None:
            self._part.publish(removed, pks, now)
        return removed

    def _take_away(self, keeper: Keeper, pks: Sequence[Any], now: datetime) -> Removed:
        target = self._work.target
        if target.before_batch is not None:
            target.before_batch(pks, now)
        if target.remove is None:
            return removal.remove(target, pks, keeper)
        keys = removal.keys_of(target.table, pks)
        kept = keeper.keep(target.table, f"{table_sql.pk_of(target.table)} {keys.sql}", keys.parameters)
        removed = Removed()
        for label, count in target.remove(pks, now).items():
            removed.count(label, "deleted", count)
        removed.archived = {target.table._meta.label: {"deleted": kept}} if kept else {}
        return removed

    def _checkpoint(self, stored: CleanupRun, removed: Removed, rows: int, place: Place | None, began: float) -> None:
        key = self._work.target.key
        if rows:
            stored.deleted = {**stored.deleted, key: stored.deleted.get(key, 0) + rows}
            for label, counts in removed.tables.items():
                known = stored.tables.get(label, {})
                stored.tables[label] = {**known, **{name: known.get(name, 0) + count for name, count in counts.items()}}
            stored.batches += 1
        took = int((time.monotonic() - began) * 1000)
        stored.longest_batch_ms = max(stored.longest_batch_ms, took)
        stored.spent_ms += took
        note_place(stored, key, place)
        stored.save(update_fields=["deleted", "tables", "batches", "longest_batch_ms", "spent_ms", "cursor"])


def is_of_rows(error: BaseException, target: Target) -> bool:
    """Whether trying fewer rows can help: a constraint, a trigger or the target's own removal refuses some of them."""
    if isinstance(error, (OperationalError, InterfaceError, ProgrammingError)):
        return False
    if isinstance(error, DatabaseError):
        return True
    has_own_ways = target.remove is not None or target.before_batch is not None
    passes_through = (ArchiveError, LeaseLost, RunCancelled, SoftTimeLimitExceeded, OSError, MemoryError)
    return has_own_ways and isinstance(error, Exception) and not isinstance(error, passes_through)


def is_in_the_way(error: BaseException) -> bool:
    """Whether somebody else's lock is the reason, rather than a database that is away."""
    if not isinstance(error, OperationalError):
        return False
    if connection.vendor == "sqlite":
        return "locked" in str(error) or "busy" in str(error)
    return getattr(error.__cause__, "sqlstate", None) in _GIVEN_WAY
