"""Archives that are kept: how their files are called, and how they go, by a person's word or when their time is over."""

from __future__ import annotations

import logging
import re
import time
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.text import slugify

from cleanup.archive_file import ArchiveError, folder, in_words
from cleanup.models import ArchivePart, Archiving
from runs import audit, clock
from runs.audit import Actor
from runs.locking import locked
from runs.models import Run
from runs.states import State

logger = logging.getLogger(__name__)

EXPIRED = "its time was over"
LEFTOVER_AFTER = timedelta(hours=1)
"""A file without a record belongs to a batch that never committed; no batch takes so long."""
_EXTENSIONS = {Archiving.JSONL: "jsonl.gz", Archiving.PARQUET: "parquet"}
_TYPES = {Archiving.JSONL: "application/gzip", Archiving.PARQUET: "application/vnd.apache.parquet"}
_NAMED = re.compile(r"^([0-9a-f-]{36})\.(?:jsonl\.gz|parquet)$")


def path_of(part: ArchivePart) -> Path:
    """Where its file is, or was."""
    return Path(settings.FILES_DIR) / "archives" / f"{part.key}.{_EXTENSIONS[Archiving(part.format)]}"


def file_name(part: ArchivePart) -> str:
    """What it is called when it is handed out: "old-runs-run-31-part-2.jsonl.gz"."""
    policy = slugify(part.cleanup_run.policy_name)[:60] or "cleanup"
    return f"{policy}-run-{part.cleanup_run.run_id}-part-{part.number}.{_EXTENSIONS[Archiving(part.format)]}"


def content_type(part: ArchivePart) -> str:
    """Its media type."""
    return _TYPES[Archiving(part.format)]


def delete_part(actor: Actor, part_id: int) -> None:
    """Removes its file for good and keeps the record (permission cleanup.delete_archivepart).

    Raises:
        ArchiveError: the disk refuses.
    """
    part = ArchivePart.objects.select_related("cleanup_run").get(pk=part_id)
    audit.require(actor, "cleanup.delete_archivepart", "delete the archive", part)
    why = f"deleted by {actor}" if actor is not None else "deleted by the system"
    with transaction.atomic():
        if _remove(part, why):
            audit.record(actor, "deleted the archive", part, before={"rows": part.rows, "sha256": part.sha256})


def sweep(now: datetime, *, leftover_after: timedelta = LEFTOVER_AFTER) -> int:
    """Removes the files of parts whose time is over, and what killed runs left behind; returns how many files."""
    removed = 0
    due = ArchivePart.objects.filter(deleted_at=None, expires_at__lte=now).select_related("cleanup_run")
    for part in due.order_by("expires_at", "id")[:1000]:
        try:
            with transaction.atomic():
                removed += _remove(part, EXPIRED)
        except ArchiveError as error:
            logger.warning("the archive %s cannot be removed (%s); trying again later", part.key, error)
    return removed + _remove_leftovers(leftover_after)


def is_anything_due(now: datetime) -> bool:
    """Whether a sweep would find an archive whose time is over."""
    return ArchivePart.objects.filter(deleted_at=None, expires_at__lte=now).exists()


def clear_drafts(run_id: int) -> None:
    """Removes what an attempt of the run that was killed left half written."""
    with in_words():
        for draft in folder().glob(f".run-{run_id}-*.part"):
            draft.unlink(missing_ok=True)


def _remove(part: ArchivePart, why: str) -> bool:
    there = ArchivePart.objects.filter(pk=part.pk, deleted_at=None)
    if not locked(there).exists():
        return False
    with in_words():
        path_of(part).unlink(missing_ok=True)
    there.update(deleted_at=clock.now(), deleted_why=why[:200])
    return True


def _remove_leftovers(after: timedelta) -> int:
    edge = time.time() - after.total_seconds()
    removed = 0
    for path in folder().iterdir():
        try:
            if path.stat().st_mtime <= edge and _is_leftover(path.name):
                path.unlink(missing_ok=True)
                removed += 1
        except OSError as error:
            logger.warning("the file %s cannot be removed (%s)", path, error)
    return removed


def _is_leftover(name: str) -> bool:
    if name.startswith(".run-"):
        number = name.split("-")[1]
        return not (number.isdigit() and Run.objects.filter(pk=int(number), state=State.RUNNING).exists())
    named = _NAMED.match(name)
    return named is not None and not ArchivePart.objects.filter(key=named[1]).exists()
