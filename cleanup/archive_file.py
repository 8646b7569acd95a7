"""A file of archived rows while it is being written, the room that it takes, and what a refusal of the disk means."""

from __future__ import annotations

import errno
import hashlib
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.template.defaultfilters import filesizeformat

from runs.draft_file import DraftFile

ALWAYS_FREE = 64 * 1024 * 1024
"""An archive leaves so much of the disk to the rest of the house."""


class ArchiveError(Exception):
    """An archive could not be written or read, in words for staff."""


def folder() -> Path:
    """Where archives are kept, below the folder of all files; made when it is missing."""
    path = Path(settings.FILES_DIR) / "archives"
    with in_words():
        path.mkdir(parents=True, exist_ok=True)
    return path


def require_room(byte_count: int) -> None:
    """Raises ArchiveError when so many bytes more would leave the disk (almost) full."""
    with in_words():
        free = shutil.disk_usage(folder()).free
    if free < byte_count + ALWAYS_FREE:
        raise ArchiveError(
            f"The disk is almost full: the archive needs about {filesizeformat(byte_count)}, and {filesizeformat(free)} "
            "are free. Nothing more is deleted until there is room."
        )


class Piece(NamedTuple):
    """What an archive gives back at once: rows of one table, or links of it that were cut."""

    table: str
    """The model: "runs.RunEvent"."""
    is_links: bool
    rows: list[Any]
    """Rows as their format gives them; links as {"pk", "column", "value"}."""


class DraftArchive(DraftFile):
    """An archive on its way to the disk, as whatever writes to a binary file takes it."""

    def __init__(self, hidden_name: str) -> None:
        self._is_gone = False
        super().__init__(folder() / hidden_name, in_words, buffering=1024 * 1024)

    @property
    def closed(self) -> bool:
        return False  # whoever writes through it may not close it: that is for publish and discard

    def write(self, data: bytes) -> int:
        # What a writer still had in its hands comes after the end.
        return len(data) if self._is_gone else super().write(bytes(data))

    def tell(self) -> int:
        return self.byte_count

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def publish(self, path: Path) -> None:
        """As every draft; :meth:`discard` still removes it, for a batch that is not committed."""
        super().publish(path)
        self.path = path

    def discard(self) -> None:
        self._is_gone = True
        super().discard()


def digest_of(path: Path) -> str:
    """The fingerprint of what is on the disk now."""
    with in_words(), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def in_words() -> Iterator[None]:
    """Says what a refusal of the disk means."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            why = "The disk is full: the archive could not be written, and nothing was deleted without it. Free some space."
        elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
            why = "The folder of the archives cannot be written to. An administrator can put its permissions right."
        elif number == errno.ENOENT:
            why = "The file of the archive is not there."
        else:
            why = f"The archive could not be written or read ({getattr(error, 'strerror', None) or error})."
        raise ArchiveError(why) from error
