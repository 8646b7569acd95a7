"""Up to when runs may have been removed from the ledger: before that, a missing row says nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

_ask: list[Callable[[], datetime | None]] = []


def ask(answer: Callable[[], datetime | None]) -> None:
    """Registers who knows; called by whoever removes runs, once the apps are loaded."""
    if answer not in _ask:
        _ask.append(answer)


def before() -> datetime | None:
    """Runs that ended before this instant may be gone; None when none was ever removed."""
    return max((moment for answer in _ask if (moment := answer()) is not None), default=None)
