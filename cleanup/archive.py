"""Archived rows: one file per batch, complete on disk and read back before the batch commits."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.text import slugify

from cleanup import archive_lines, archive_parquet
from cleanup.archive_file import ArchiveError, DraftArchive, digest_of, folder, in_words
from cleanup.models import ArchivePart, Archiving, CleanupRun
from cleanup.removal import Removed
from cleanup.targets import Target
from runs import audit, clock, failpoints
from runs.audit import Actor
from runs.locking import locked
from runs.models import Run

logger = logging.getLogger(__name__)

EXPIRED = "its time was over"
LEFTOVER_AFTER = timedelta(hours=1)
"""A file without a record belongs to a batch that never committed; no batch takes so long."""
_EXTENSIONS = {Archiving.JSONL: "jsonl.gz", Archiving.PARQUET: "parquet"}
_TYPES = {Archiving.JSONL: "application/gzip", Archiving.PARQUET: "application/vnd.apache.parquet"}
_NAMED = re.compile(r"^([0-9a-f-]{36})\.(?:jsonl\.gz|parquet)$")


class PartWriter:
    """The archive of one batch. Rows go in as they are deleted; :meth:`publish` before the commit, else :meth:`discard`."""

    def __init__(self, cleanup_run: CleanupRun, target: Target, number: int, format: str) -> None:
        self._run, self._target, self._number, self._format = cleanup_run, target, number, format
        self._key = uuid.uuid4()
        self._draft = DraftArchive(f".run-{cleanup_run.run_id}-{self._key}.part")
        head = {
            "almanac": "cleanup archive", "version": 1, "database": connection.vendor, "policy": cleanup_run.policy_name,
            "run": cleanup_run.run_id, "target": target.key, "part": number,
            "cutoff": cleanup_run.cutoff.isoformat() if cleanup_run.cutoff else "",
        }  # fmt: skip
        self.keeper: archive_lines.LinesWriter | archive_parquet.ParquetWriter
        try:
            if format == Archiving.PARQUET:
                self.keeper = archive_parquet.ParquetWriter(self._draft, head, target.tables())
            else:
                self.keeper = archive_lines.LinesWriter(self._draft, head)
        except BaseException:
            self.discard()
            raise

    def publish(self, removed: Removed, pks: Sequence[Any], now: datetime) -> ArchivePart:
        """Brings it to the disk, reads it back and records it; raises ArchiveError where it does not hold what was deleted."""
        self.keeper.finish()
        failpoints.passing("cleanup_part_written")
        self._draft.seal()
        tables = removed.tables if removed.archived is None else removed.archived
        rows = sum(sum(counts.values()) for counts in tables.values())
        days = self._run.rule.get("archive_days")
        part = ArchivePart(
            cleanup_run=self._run, target=self._target.key, number=self._number, key=self._key, format=self._format,
            database=connection.vendor, rows=tables, row_count=rows, byte_count=self._draft.byte_count,
            sha256=self._draft.sha256, first_pk=str(pks[0])[:64], last_pk=str(pks[-1])[:64], written_at=now,
            expires_at=now + timedelta(days=days) if days else None,
        )  # fmt: skip
        self._draft.publish(path_of(part))
        failpoints.passing("cleanup_part_published")
        verify(part)
        part.save()
        return part

    def discard(self) -> None:
        """Removes it: its batch is not going to commit."""
        self._draft.discard()


def verify(part: ArchivePart) -> None:
    """Raises ArchiveError unless the file on the disk is what was written and holds as many rows as it should."""
    path = path_of(part)
    count = archive_parquet.count(path) if part.format == Archiving.PARQUET else archive_lines.count(path)
    if count != part.row_count or digest_of(path) != part.sha256:
        raise ArchiveError(
            f"The archive holds {count:,} of {part.row_count:,} rows, or is not what was written. "
            "Nothing is deleted without its archive."
        )


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
        return not (number.isdigit() and Run.objects.filter(pk=int(number), state="running").exists())
    named = _NAMED.match(name)
    return named is not None and not ArchivePart.objects.filter(key=named[1]).exists()
