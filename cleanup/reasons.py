"""Why a cleaning ended before its end, in the words of its record: those that something else asks about."""

from __future__ import annotations

CANCELLED = "Somebody cancelled it."
SWITCHED_OFF = "It was switched off, or deleted, while it ran."
CHANGED = "Its rule was changed while it ran: the next run goes by the new one."
CLOCK_WENT_BACK = "The clock went backwards: rows that are still to come would be deleted. Run it again later."
CUT_SHORT = (CANCELLED, SWITCHED_OFF, CHANGED)
"""A person ended it: what it had deleted by then says nothing of how much there was."""
