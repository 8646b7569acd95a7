"""Deletes in bounded batches, each in one short transaction together with its count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction

from cleanup import planner, targets
from cleanup.models import CleanupRun
from runs import clock
from runs.locking import skip_locked

BATCH = 500


def clean(cleanup_run: CleanupRun, target: targets.Target, cutoff: datetime, limit: int | None) -> Iterator[int]:
    """Deletes eligible rows oldest first and yields the size of each batch after it is committed.

    The count on the CleanupRun changes in the same transaction as the rows, so that a kill at any moment
    neither loses nor doubles it. Rows that somebody else has locked are left for the next run.
    """
    deleted = 0
    while limit is None or deleted < limit:
        size = BATCH if limit is None else min(BATCH, limit - deleted)
        count = _delete_batch(cleanup_run, target, cutoff, size)
        if not count:
            return
        deleted += count
        yield count


def _delete_batch(cleanup_run: CleanupRun, target: targets.Target, cutoff: datetime, size: int) -> int:
    with transaction.atomic():
        # Holds are read inside the batch: one that was set a moment ago already counts.
        rows = planner.unheld(target, target.eligible(cutoff), clock.now()).order_by(target.date_field, "pk")
        ids = list(skip_locked(rows).values_list("pk", flat=True)[:size])
        if not ids:
            return 0
        model = rows.model
        total, per_model = model._default_manager.filter(pk__in=ids).delete()
        count = per_model.get(model._meta.label, 0)
        stored = CleanupRun.objects.select_for_update().get(pk=cleanup_run.pk)
        stored.deleted = {**stored.deleted, target.key: stored.deleted.get(target.key, 0) + count}
        stored.save(update_fields=["deleted"])
    cleanup_run.deleted = stored.deleted
    return count if total else 0
