"""Where report files are kept, and how one becomes visible: complete, synced to disk, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path
from types import TracebackType
from uuid import UUID

from django.conf import settings
from django.template.defaultfilters import filesizeformat


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
    try:
        for leftover in folder().glob(f".run-{run_id}-*.part"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise _in_words(error) from error


def require_room(byte_count: int) -> None:
    """Raises StorageError when so many bytes do not fit on the disk, before the work begins and not at its end."""
    try:
        free = shutil.disk_usage(folder()).free
    except OSError as error:
        raise _in_words(error) from error
    if free < byte_count:
        needed, left = filesizeformat(byte_count), filesizeformat(free)
        raise StorageError(
            f"The disk is almost full: the report needs about {needed}, and {left} are free. "
            "Free some space, then run it again."
        )


class DraftFile:
    """A file that is being written, under a hidden name on the same file system until it is published.

    As a context manager it removes itself unless :meth:`publish` was called. What a killed worker leaves
    behind is removed by the next attempt of the same run (:func:`clear_drafts`).

    Every method raises StorageError when the disk is full or cannot be written.
    """

    def __init__(self, run_id: int, attempt: int, format: str = "csv", part: int = 1) -> None:
        self.byte_count = 0
        self._digest = hashlib.sha256()
        try:
            self._path = folder() / f".run-{run_id}-{attempt}-{format}-{part}.part"
            self._file = self._path.open("wb", buffering=256 * 1024)
        except OSError as error:
            raise _in_words(error) from error

    @property
    def sha256(self) -> str:
        """The fingerprint of everything written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Appends."""
        try:
            self._file.write(data)
        except OSError as error:
            raise _in_words(error) from error
        self._digest.update(data)
        self.byte_count += len(data)

    def seal(self) -> None:
        """Brings every byte to the disk; after this the content is complete."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise _in_words(error) from error

    def publish(self, path: Path) -> None:
        """Gives it its final name in one step, replacing what an attempt that was cut off may have left there."""
        try:
            os.replace(self._path, path)
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise _in_words(error) from error

    def discard(self) -> None:
        """Removes it; harmless when it was published or has gone."""
        try:
            self._file.close()
        except OSError:
            pass  # a full disk refuses the last buffer once more; the file goes anyway
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> DraftFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()


def failure(error: OSError) -> StorageError:
    """What a refusal of the disk means, for whoever else writes there."""
    return _in_words(error)


def _in_words(error: OSError) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = "The disk is full: the report file could not be written. Free some space, then run it again."
    elif error.errno == errno.EFBIG:
        why = "The report file grew larger than this system allows. Choose fewer days or set a limit on the rows."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        why = "The folder for report files cannot be written to. An administrator can put its permissions right."
    else:
        why = f"The report file could not be written ({error.strerror or error})."
    return StorageError(why)
