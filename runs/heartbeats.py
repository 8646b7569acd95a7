"""Signs of life of beats and workers."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from typing import Any

from runs.models import Heartbeat


def process_name(role: str) -> str:
    """A name unique to this process, readable on the Workers page."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def beat(name: str, role: str, now: datetime, **details: Any) -> None:
    """Notes that the process was alive at ``now``."""
    changed = Heartbeat.objects.filter(name=name).update(seen_at=now, details=details)
    if not changed:
        Heartbeat.objects.update_or_create(
            name=name, defaults={"role": role, "started_at": now, "seen_at": now, "details": details}
        )
