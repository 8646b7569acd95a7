"""Tells the processes of a worker's pool that the worker was asked to stop.

A byte of memory shared through fork, without any lock: a child that is killed can then never block the others.
"""

from __future__ import annotations

import mmap

_flag: mmap.mmap | None = None


def prepare() -> None:
    """Called in the worker's main process before its pool starts."""
    global _flag
    _flag = mmap.mmap(-1, 1)


def announce() -> None:
    """Called in the main process when it is asked to stop."""
    if _flag is not None:
        _flag[0] = 1


def is_announced() -> bool:
    """Whether this worker is stopping; asked in the pool's processes."""
    return _flag is not None and _flag[0] == 1
