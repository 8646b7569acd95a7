"""Why a cleaning ended before its end, in the words of its record: those that something else asks about."""

from __future__ import annotations

CANCELLED = "Somebody cancelled it."
SWITCHED_OFF = "It was switched off, or deleted, while it ran."
CUT_SHORT = (CANCELLED, SWITCHED_OFF)
"""A person ended it: what it had deleted by then says nothing of how much there was."""
