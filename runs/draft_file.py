"""A file while it is being written: hidden and unfinished, or complete on the disk under its name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self


class DraftFile:
    """Bytes on their way to the disk, under a hidden name on the same file system until they are published.

    As a context manager it removes itself unless :meth:`publish` was called. Every method raises what ``in_words``, a
    context manager, makes of an OSError: a disk that is full, or cannot be written.
    """

    def __init__(
        self, path: Path, in_words: Callable[[], AbstractContextManager[None]], *, buffering: int = 256 * 1024
    ) -> None:
        self.byte_count = 0
        self.path = path
        """Where it is now."""
        self._in_words = in_words
        self._digest = hashlib.sha256()
        with in_words():
            self._file = path.open("wb", buffering=buffering)

    @property
    def sha256(self) -> str:
        """The fingerprint of everything written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        """Appends; returns how many bytes, which is all of them."""
        with self._in_words():
            self._file.write(data)
        self._digest.update(data)
        self.byte_count += len(data)
        return len(data)

    def seal(self) -> None:
        """Brings every byte to the disk; after this the content is complete."""
        with self._in_words():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def publish(self, path: Path) -> None:
        """Gives it its final name, in one step that survives a power cut; what stands there is replaced."""
        with self._in_words():
            os.replace(self.path, path)
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def discard(self) -> None:
        """Removes it from where it is; harmless when it has gone."""
        try:
            self._file.close()
        except OSError:
            pass  # a full disk refuses the last buffer once more; the file goes anyway
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()
