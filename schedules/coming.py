"""The due times that a schedule still has ahead, and why one of them will not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schedules.models import Schedule
from schedules.policies import Pause


@dataclass(frozen=True)
class Coming:
    """One due time ahead."""

    due_at: datetime
    why_not: str = ""
    """Why it will be left out, as things stand now; empty when it will run."""


def coming(schedule: Schedule, after: datetime, count: int, desk_pauses: Sequence[Pause] = ()) -> list[Coming]:
    """At most ``count`` due times after ``after``, up to the schedule's end.

    Raises:
        CronError: its timing cannot be read.
    """
    policy = schedule.policy(desk_pauses)
    left = policy.runs_left
    found: list[Coming] = []
    for due in schedule.timing.upcoming(after, count):
        if left == 0 or (schedule.ends_at is not None and due > schedule.ends_at):
            break
        if due == policy.skip_at:
            why_not = "will be skipped"
        elif (pause := policy.pause_at(due)) is not None:
            why_not = f"paused: {pause.reason}" if pause.reason else "paused"
        else:
            why_not = schedule.why_day_off(due)
        if not why_not and left is not None:
            left -= 1
        found.append(Coming(due, why_not))
    return found
