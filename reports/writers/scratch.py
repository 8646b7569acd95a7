"""A folder for what a writer keeps beside its file: gone when it is done, or when its process is no more."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from reports import storage

_PREFIX = ".scratch-"
_YOUNG_SECONDS = 60


class Scratch:
    """On the file system of the reports, so that a disk is full for both or for neither.

    Opening one removes those that killed workers left. Raises storage.StorageError.
    """

    def __init__(self) -> None:
        with storage.told_in_words():
            home = storage.folder()
            for leftover in home.glob(f"{_PREFIX}*"):
                _remove_abandoned(leftover)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home))
            # The lock goes with the process, however that ends: a folder without one is nobody's.
            self._lock = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """With everything in it; harmless a second time."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _remove_abandoned(folder: Path) -> None:
    try:
        if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
            return  # it may have been made a moment ago, and not be locked yet
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # somebody works in it
    finally:
        os.close(lock)
