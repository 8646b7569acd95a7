"""One word for how a schedule stands, with the tone it is shown in and the reason."""

from __future__ import annotations

from dataclasses import dataclass

from schedules.models import Schedule


@dataclass(frozen=True)
class Status:
    """A word, its colour (never the only sign), and a sentence that explains it."""

    word: str
    tone: str
    detail: str = ""


def status_of(schedule: Schedule) -> Status:
    """Broken before paused before ended before active: the one that staff must act on comes first."""
    if schedule.broken_reason:
        return Status("Broken", "bad", schedule.broken_reason)
    if schedule.is_paused:
        return Status("Paused", "warn", schedule.pause_reason)
    if schedule.next_due_at is None:
        return Status("Ended", "quiet", "It has no further run.")
    return Status("Active", "good")
