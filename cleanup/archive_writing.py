"""The archive of one batch: one file, complete on the disk and read back before the batch commits."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from cleanup import archive_lines, archive_parquet
from cleanup.archive import path_of
from cleanup.archive_file import ArchiveError, DraftArchive, digest_of
from cleanup.models import ArchivePart, Archiving, CleanupRun
from cleanup.removal import Removed
from cleanup.targets import Target
from runs import failpoints


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
