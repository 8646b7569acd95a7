"""Files whose rows are deleted: removed after the commit, and tried again until they are gone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import transaction
from django.db.models import F

from cleanup import targets
from cleanup.models import CleanupRun, FileOutbox
from cleanup.targets import FileTarget
from runs import failpoints
from runs.locking import skip_locked

logger = logging.getLogger(__name__)

_AT_ONCE = 100
_LONGEST_WAIT = timedelta(hours=6)


class OutsideFolder(Exception):
    """A path that leads out of the folder of our files: nothing is ever removed there."""


def add(
    files: Sequence[tuple[str, list[Any]]], *, target: str, why: str, cleanup_run_id: int | None, now: datetime
) -> None:
    """Notes files that are to go, inside the transaction that deletes their rows."""
    FileOutbox.objects.bulk_create(
        [
            FileOutbox(
                path=path, named_by=named_by, target=target, why=why[:200], cleanup_run_id=cleanup_run_id, next_try_at=now
            )
            for path, named_by in files
        ],
        batch_size=500,
    )  # fmt: skip


def waiting(paths: Sequence[str]) -> set[str]:
    """Those of the paths that are noted already."""
    return set(FileOutbox.objects.filter(path__in=paths).values_list("path", flat=True))


def tried(target: str) -> set[str]:
    """The paths of a target that could not be removed so far."""
    return set(FileOutbox.objects.filter(target=target, tries__gt=0).values_list("path", flat=True))


def work_off(now: datetime, *, limit: int = 1000) -> tuple[int, int]:
    """Removes files that are due, in any process; returns (files, bytes). Files that a row names again stay."""
    files = size = seen = 0
    while seen < limit:
        with transaction.atomic():
            due = FileOutbox.objects.filter(next_try_at__lte=now).order_by("next_try_at", "pk")
            batch = list(skip_locked(due)[: min(_AT_ONCE, limit - seen)])
            if not batch:
                break
            seen += len(batch)
            for one in batch:
                freed = _try(one, now)
                if freed is not None:
                    files, size = files + 1, size + freed
                    if one.cleanup_run_id is not None:
                        CleanupRun.objects.filter(pk=one.cleanup_run_id).update(
                            files_removed=F("files_removed") + 1, bytes_removed=F("bytes_removed") + freed
                        )
    return files, size


def inside(path: str) -> Path:
    """The whole path. Raises OutsideFolder."""
    root = Path(settings.FILES_DIR).resolve()
    whole = (root / path).resolve()
    if not path or root not in whole.parents:
        raise OutsideFolder(path)
    return whole


def _try(one: FileOutbox, now: datetime) -> int | None:
    """The bytes that were freed; None when the file stays, or stays for now."""
    try:
        if _is_named(one):
            one.delete()  # another row needs it: it goes with the last of them
            return None
        whole = inside(one.path)
        freed = whole.stat().st_size if whole.is_file() else 0
        whole.unlink(missing_ok=True)
    except (OSError, OutsideFolder, LookupError, FieldError, ValueError) as error:
        # A table or column that is gone, or is elsewhere now, cannot say whether it needs the file: so the file stays.
        logger.warning("the file %s cannot be removed (%s); trying again later", one.path, error)
        wait = min(timedelta(minutes=1) * 2 ** min(one.tries, 20), _LONGEST_WAIT)
        one.tries, one.next_try_at, one.error = one.tries + 1, now + wait, str(error)[:300]
        one.save(update_fields=["tries", "next_try_at", "error"])
        return None
    failpoints.passing("cleanup_file_removed")
    one.delete()
    return freed


def _is_named(one: FileOutbox) -> bool:
    if targets.is_known(one.target):
        target = targets.get(one.target)
        if isinstance(target, FileTarget):
            return one.path not in target.is_orphan([one.path])
    return any(apps.get_model(label)._default_manager.filter(**values).exists() for label, values in one.named_by)
