"""The due times that a schedule still has ahead, and why one of them will not run: the one answer for every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from runs.states import Reason
from schedules.models import Schedule
from schedules.policies import Pause, Policy, left_out
from schedules.targets import GONE

_WORDS = {Reason.STAFF_SKIPPED: "Skipped", Reason.PAUSED: "Paused", Reason.CALENDAR: "Day off"}


@dataclass(frozen=True)
class WhyNot:
    """Why a due time ahead will not run, as things stand now: "Paused: New logo"."""

    word: str
    """For a coloured chip."""
    detail: str = ""
    tone: str = "warn"

    def __str__(self) -> str:
        return f"{self.word}: {self.detail}" if self.detail else self.word


@dataclass(frozen=True)
class Coming:
    """One due time ahead."""

    due_at: datetime
    why_not: WhyNot | None = None
    """Why it will be left out; None when it will run."""


def why_not(schedule: Schedule, due_at: datetime, policy: Policy, *, has_target: bool = True) -> WhyNot | None:
    """Why the schedule will not run at this due time, as things stand now; None when it will.

    ``policy`` is the schedule's own, with the pauses of everything. Whether the run before it will have finished by
    then, nobody can tell.
    """
    if not has_target:
        return WhyNot("Broken", GONE, "bad")
    if schedule.ends_at is not None and due_at > schedule.ends_at:
        return WhyNot("Ended", "its end comes before this")
    if policy.runs_left == 0:
        return WhyNot("Ended", "it has run as often as it should")
    try:
        left = left_out(due_at, policy)
    except ValueError as error:  # its zone or calendar cannot be read: the planner will find it broken
        return WhyNot("Broken", str(error), "bad")
    if left is None:
        return None
    if left.pause is None:
        return WhyNot(_WORDS[left.reason], left.detail)
    return WhyNot("Everything is paused" if left.pause.is_of_all else "Paused", left.pause.reason)


def coming(
    schedule: Schedule, after: datetime, count: int, desk_pauses: Sequence[Pause] = (), *, has_target: bool = True
) -> list[Coming]:
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
        why = why_not(schedule, due, policy, has_target=has_target)
        if why is None and left is not None:
            left -= 1
        found.append(Coming(due, why))
    return found
