"""What apps have to look after from time to time, whatever else runs: announced here, called with the watchdog's checks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

logger = logging.getLogger(__name__)

Duty = Callable[[datetime], None]

_duties: dict[str, Duty] = {}


def register(name: str, duty: Duty) -> None:
    """From now on it is called about every 15 s, by one process at a time; it must be quick, and leave work to a run."""
    _duties[name] = duty


def see_to_all(now: datetime) -> None:
    """Calls each of them; one that fails does not keep the others from being called."""
    for name, duty in _duties.items():
        try:
            duty(now)
        except Exception:
            logger.exception("the duty %s cannot be seen to", name)
