"""The working process of a real worker, and what it holds in memory."""

from __future__ import annotations

import time
from pathlib import Path

import psutil


def working_process(pid: int) -> int:
    """The process that performs the runs of the worker with this pid, once it has settled."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = psutil.Process(pid).children()
        if children:
            return _settled(int(children[0].pid))
        time.sleep(0.2)
    raise AssertionError("the worker has no process that works")


def _settled(pid: int) -> int:
    """What it loads at its start is loaded: it has not grown for three seconds."""
    quiet, held = 0, -1
    while quiet < 6:
        time.sleep(0.5)
        now = kilobytes(pid, "VmRSS")
        quiet, held = (quiet + 1 if now == held else 0), now
    return pid


def kilobytes(pid: int, name: str) -> int:
    """VmRSS (now) or VmHWM (the most it ever held)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
