"""Which process holds a lane, and whether it still lives: told by this computer's own process table."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path


def this_process() -> str:
    """Unique among all processes of all computers: the boot, where its number counts, the number, when it started."""
    return f"{boot()}:{_numbered_in()}:{os.getpid()}:{_started_at(os.getpid())}"


def is_of_this_boot(holder: str) -> bool:
    """Whether it ran, or runs, on this computer since it was started."""
    return holder.partition(":")[0] == boot()


def is_gone(holder: str) -> bool:
    """Whether it certainly ended; False wherever that cannot be told from here."""
    if not is_of_this_boot(holder) or not Path("/proc/self/stat").exists():
        return False
    *_, numbered_in, number, started_at = holder.split(":")
    return numbered_in == _numbered_in() and _started_at(int(number)) != started_at


@functools.cache
def boot() -> str:
    """This computer since it was started; the same in all containers on it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace(":", "-")
    except OSError:
        return socket.gethostname().replace(":", "-")


@functools.cache
def _numbered_in() -> str:
    """Containers on one computer number their processes each for themselves, and see none of the others'."""
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return ""


def _started_at(number: int) -> str:
    """In clock ticks since the boot; empty for a process that ended, or only waits to be buried."""
    try:
        # The name, in brackets, may hold anything; the fields are counted from behind it.
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
