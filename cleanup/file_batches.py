"""Cleans files that no row names: noted for removal batch by batch, then removed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from math import inf
from pathlib import PurePosixPath

from django.db import transaction

from cleanup import batches, held_rows, outbox
from cleanup.batches import Done
from cleanup.models import CleanupRun, FileOutbox
from cleanup.selection import Place
from cleanup.targets import FileTarget, OrphanFile
from runs import clock
from runs.ledger import LeaseLost
from runs.locking import locked


class FileCleaning:
    """The batches of one file target; what was yielded is committed."""

    def __init__(
        self, cleanup_run_id: int, attempt: int, target: FileTarget, *, bound: int, place: Place | None = None
    ) -> None:
        self._run_id, self._attempt, self._target = cleanup_run_id, attempt, target
        self._bound, self._place = min(bound, target.most_per_batch), place

    def batches(self, left: int | None = None) -> Iterator[Done]:
        """Removes orphans behind the place, in the order of their paths. Raises LeaseLost, Stopped."""
        stored = CleanupRun.objects.get(pk=self._run_id)
        assert stored.cutoff is not None
        before = min(stored.cutoff, clock.now() - self._target.grace)
        start = self._place[0] if self._place else ""
        found = (file for file in self._target.find(before, inf) if file.path > start)
        while left is None or left > 0:
            batch = list(islice(found, self._bound if left is None else min(self._bound, left)))
            if not batch:
                return
            done = self._note(batch)
            # Those that cannot be removed just now count here all the same: they may go in a moment.
            left = None if left is None else left - done.removed
            outbox.work_off(clock.now(), limit=10 * self._target.most_per_batch)
            self._leave_out_failed(batch)
            yield done

    def _note(self, files: Sequence[OrphanFile]) -> Done:
        began = time.monotonic()
        target, key = self._target, self._target.key
        with transaction.atomic():
            batches.wait_at_most()
            now = clock.now()
            stored = batches.owned(self._run_id, self._attempt, now)
            held_rows.freeze()
            holds = held_rows.biting(target, now)
            paths = [file.path for file in files]
            still = target.is_orphan(paths) - outbox.waiting(paths)
            going = [
                file for file in files
                if file.path in still and _is_ours(target, file.path) and not held_rows.is_held(target, file.path, holds)
            ]  # fmt: skip
            outbox.add(
                [(file.path, []) for file in going], target=key, why=f"left over, found by “{stored.policy_name}”",
                cleanup_run_id=stored.pk, now=now,
            )  # fmt: skip
            place = [files[-1].path]
            if going:
                stored.deleted = {**stored.deleted, key: stored.deleted.get(key, 0) + len(going)}
                stored.batches += 1
            batches.note_place(stored, key, place)
            stored.save(update_fields=["deleted", "batches", "cursor"])
        return Done(len(going), len(files), place, time.monotonic() - began)

    def _leave_out_failed(self, files: Sequence[OrphanFile]) -> None:
        """A file that is still there was not deleted: it stays noted, and counts among the files once it has gone."""
        key, paths = self._target.key, [file.path for file in files]
        failed = FileOutbox.objects.filter(cleanup_run=self._run_id, path__in=paths, tries__gt=0).count()
        if not failed:
            return
        with transaction.atomic():
            own = CleanupRun.objects.filter(pk=self._run_id, attempt=self._attempt, finished_at=None)
            stored = locked(own).first()
            if stored is None:
                raise LeaseLost
            stored.deleted = {**stored.deleted, key: max(stored.deleted.get(key, 0) - failed, 0)}
            stored.save(update_fields=["deleted"])


def _is_ours(target: FileTarget, path: str) -> bool:
    """Whether the path lies below one of the target's own folders, however it is written."""
    parts = PurePosixPath(path).parts
    if not parts or parts[0] == "/" or ".." in parts:
        return False
    return any(parts[: len(PurePosixPath(folder).parts)] == PurePosixPath(folder).parts for folder in target.folders)
