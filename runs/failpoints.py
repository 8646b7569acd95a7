"""Places at which the fault tests kill this process, as a power cut would: named by the environment, else nothing.

``FAILPOINT=after_insert`` kills the process the first time it passes there, ``FAILPOINT=after_insert:3`` the third time.
"""

from __future__ import annotations

import os
import signal

_left: dict[str, int] = {}


def arm(setting: str) -> None:
    """Reads a setting such as ``after_insert:3``; an empty one disarms everything."""
    _left.clear()
    if setting:
        name, _, count = setting.partition(":")
        _left[name] = int(count or 1)


def passing(name: str) -> None:
    """Marks a place where a crash is worth trying."""
    if name not in _left:
        return
    _left[name] -= 1
    if _left[name] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("FAILPOINT", ""))
