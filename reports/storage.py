"""Where report files are kept, and how one becomes visible: complete, synced to disk, or not at all."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.template.defaultfilters import filesizeformat

from runs import draft_file


class StorageError(Exception):
    """A file could not be written, in words for staff."""


def folder() -> Path:
    """The folder of all report files; made when it is missing."""
    path = Path(settings.FILES_DIR) / "reports"
    path.mkdir(parents=True, exist_ok=True)
    return path


def path_of(key: UUID, extension: str = "csv") -> Path:
    """Where the file of the artefact with this key is, or would be."""
    return Path(settings.FILES_DIR) / "reports" / f"{key}.{extension}"


def is_intact(path: Path, sha256: str) -> bool:
    """Whether the file is there with exactly the content that was published."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def clear_drafts(run_id: int) -> None:
    """Removes what an attempt of the run that was killed left behind. Raises StorageError."""
    with told_in_words():
        for leftover in folder().glob(f".run-{run_id}-*.part"):
            leftover.unlink(missing_ok=True)


def require_room(byte_count: int) -> None:
    """Raises StorageError when so many bytes do not fit on the disk, before the work begins and not at its end."""
    with told_in_words():
        free = shutil.disk_usage(folder()).free
    if free < byte_count:
        needed, left = filesizeformat(byte_count), filesizeformat(free)
        raise StorageError(
            f"The disk is almost full: the report needs about {needed}, and {left} are free. "
            "Free some space, then run it again."
        )


class DraftFile(draft_file.DraftFile):
    """A report's file that is being written. What a killed worker leaves of it, the next attempt of its run removes.

    Every method raises StorageError when the disk is full or cannot be written.
    """

    def __init__(self, run_id: int, attempt: int, format: str = "csv", part: int = 1) -> None:
        with told_in_words():
            path = folder() / f".run-{run_id}-{attempt}-{format}-{part}.part"
        super().__init__(path, told_in_words)


def failure(error: OSError) -> StorageError:
    """What a refusal of the disk means."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = "The disk is full: the report file could not be written. Free some space, then run it again."
    elif error.errno == errno.EFBIG:
        why = "The report file grew larger than this system allows. Choose fewer days or set a limit on the rows."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        why = "The folder for report files cannot be written to. An administrator can put its permissions right."
    else:
        why = f"The report file could not be written ({error.strerror or error})."
    return StorageError(why)


@contextmanager
def told_in_words() -> Iterator[None]:
    """Says a full or broken disk in the words of StorageError."""
    try:
        yield
    except OSError as error:
        raise failure(error) from error
