"""Files that no row names: what a crash between writing and committing, or a restore of an older database, leaves over."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from math import inf
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db.models import Q

from cleanup.targets.registry import FileTarget, OrphanFile
from runs.bounded_queries import TookTooLong

AT_ONCE = 500
"""Files that one query asks about."""


@dataclass(frozen=True)
class Folder:
    """A folder of ours, and which rows name its files."""

    path: str
    model: str
    columns: tuple[str, ...]
    """One that holds the path, or a key and an ending."""
    condition: Q = field(default_factory=Q)

    def named(self, paths: Sequence[str]) -> set[str]:
        """Those of the paths, all of this folder, that a row names."""
        rows = apps.get_model(self.model)._default_manager.filter(self.condition)
        if len(self.columns) == 1:
            (column,) = self.columns
            return set(rows.filter(**{f"{column}__in": list(paths)}).values_list(column, flat=True))
        key, ending = self.columns
        keys = {path.rpartition("/")[2].partition(".")[0] for path in paths}
        found = rows.filter(**{f"{key}__in": [one for one in keys if _is_key(one)]}).values_list(key, ending)
        return {f"{self.path}/{one}.{end}" for one, end in found}


FOLDERS = (
    Folder("attachments", "newsletters.Issue", ("attachment_file",)),
    Folder("images/originals", "newsletters.Image", ("file",)),
    Folder("images/sizes", "newsletters.ImageSize", ("file",)),
    Folder("imports", "newsletters.ImportJob", ("file",)),
    # The record of a file that was removed stays; should the file be there again, nothing names it.
    Folder("reports", "reports.Artefact", ("key", "format"), Q(deleted_at=None)),
)


def find(cutoff: datetime, until: float = inf) -> Iterator[OrphanFile]:
    """The files older than the cutoff that no row names, by path.

    Raises:
        TookTooLong: it is later than ``until`` (as time.monotonic() counts), and it has not been everywhere.
    """
    for folder in FOLDERS:
        names = [f"{folder.path}/{name}" for name in _names(folder)]
        for first in range(0, len(names), AT_ONCE):
            if time.monotonic() > until:
                raise TookTooLong
            piece = names[first : first + AT_ONCE]
            named = folder.named(piece)
            yield from filter(None, (_old(path, cutoff) for path in piece if path not in named))


def is_orphan(paths: Sequence[str]) -> set[str]:
    """Those of the paths that no row names now."""
    orphans: set[str] = set()
    for folder in FOLDERS:
        inside = [path for path in paths if path.rpartition("/")[0] == folder.path]
        if inside:
            orphans |= set(inside) - folder.named(inside)
    return orphans


def total() -> int:
    """How many files there are in our folders."""
    return sum(len(_names(folder)) for folder in FOLDERS)


def unreadable() -> list[str]:
    """The files whose names are no text here, spelled so that they can be read: no row could ever name them, or note them."""
    found = (f"{folder.path}/{name}" for folder in FOLDERS for name in _all_names(folder) if not _is_text(name))
    return sorted(os.fsencode(path).decode(errors="backslashreplace") for path in found)


def _names(folder: Folder) -> list[str]:
    return sorted(filter(_is_text, _all_names(folder)))


def _all_names(folder: Folder) -> list[str]:
    try:
        with os.scandir(Path(settings.FILES_DIR) / folder.path) as entries:
            # What begins with a dot is being written; what a killed run left half written goes in another way.
            return [one.name for one in entries if one.is_file(follow_symlinks=False) and one.name[0] != "."]
    except FileNotFoundError:
        return []


def _is_text(name: str) -> bool:
    """Whether the bytes on the disk are letters as we write them; names from other systems may not be."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _old(path: str, cutoff: datetime) -> OrphanFile | None:
    try:
        found = os.lstat(Path(settings.FILES_DIR) / path)
    except FileNotFoundError:
        return None
    modified = datetime.fromtimestamp(found.st_mtime, timezone.utc)
    return OrphanFile(path, found.st_size, modified) if modified < cutoff else None


def _is_key(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4 and not set(text) - set("0123456789abcdef-")


ORPHAN_FILES = FileTarget(
    key="orphan_files",
    label="Files that belong to nothing",
    noun=("file", "files"),
    floor_days=1,
    find=find,
    is_orphan=is_orphan,
    total=total,
    unreadable=unreadable,
    folders=tuple(folder.path for folder in FOLDERS),
    description="Pictures, attachments, uploads and report files on the disk that nothing here names any more.",
    promise="Only our own folders are looked into, files younger than a day stay, and when very many files, more than a "
    "quarter of all, seem to belong to nothing, nothing is removed: then the database is more likely to be wrong.",
    refuse_above_percent=25,
)
