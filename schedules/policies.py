"""Pure: which due times run, which do not, and why. Knows no database and no clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from runs.states import Reason, State

ON_TIME = timedelta(seconds=60)
"""An occurrence found within this time of its due time is simply run; later than that, nothing was running."""

MISSED_CHOICES = [
    ("skip", "Leave them out"),
    ("latest", "Run the latest one once"),
    ("all", "Run each of them, one after another"),
]
OVERLAP_CHOICES = [
    ("skip", "Leave the new one out"),
    ("queue", "Let one wait until the first has finished"),
    ("allow", "Run both at the same time"),
]
CALENDAR_CHOICES = [
    ("skip", "Leave it out"),
    ("move", "Run it on the next working day, at the same time"),
]
RESUME_CHOICES = [
    ("none", "Run nothing of what was due in the pause"),
    ("latest", "Run the latest one once"),
    ("all", "Run each of them, one after another"),
]


@dataclass(frozen=True)
class Pause:
    """A stretch of time whose due times do not run."""

    start: datetime
    end: datetime | None = None
    """Not included; None while nobody knows."""
    reason: str = ""
    is_of_all: bool = False
    """Whether it stops every schedule, not only one."""

    @property
    def recorded(self) -> str:
        """As the runs give it that it left out."""
        if not self.reason:
            return Reason.PAUSED.label
        return f"paused: everything is paused: {self.reason}" if self.is_of_all else f"paused: {self.reason}"

    def covers(self, due_at: datetime) -> bool:
        """Whether this due time falls into it."""
        return self.start <= due_at and (self.end is None or due_at < self.end)


@dataclass(frozen=True)
class Policy:
    """How one schedule treats occurrences that cannot simply run."""

    missed: str = "latest"
    """skip, latest or all: what happens to occurrences that fell due while nothing was running."""
    missed_cap: int = 10
    """With missed="all", at most this many of the latest ones run."""
    start_deadline: timedelta | None = None
    """An occurrence that cannot start within this time of being due is missed."""
    overlap: str = "skip"
    """skip, queue or allow: what happens when the previous run has not finished."""
    pauses: Sequence[Pause] = ()
    """Of the schedule itself and of the whole desk."""
    skip_at: datetime | None = None
    """The one due time that staff chose to skip."""
    day_off: Callable[[datetime], str] = field(default=lambda due: "")
    """Why the schedule's calendar does not let it run at a due time; empty when it does."""
    runs_left: int | None = None
    """How many more runs may be planned before the schedule ends; None for no limit."""

    @property
    def places(self) -> int:
        """How many of the occurrences that fell due while nothing was running are run after all."""
        return {"latest": 1, "all": self.missed_cap}.get(self.missed, 0)

    def pause_at(self, due_at: datetime) -> Pause | None:
        """The pause that covers this due time."""
        return next((pause for pause in self.pauses if pause.covers(due_at)), None)


@dataclass(frozen=True)
class LeftOut:
    """Why the rules leave a due time out, whatever else happens."""

    reason: Reason
    detail: str = ""
    pause: Pause | None = None
    """The one that covers it, if that is why."""


def left_out(due: datetime, policy: Policy) -> LeftOut | None:
    """Why nothing runs at this due time; None when it may run. Whoever asks beforehand gets the planner's own answer."""
    if due == policy.skip_at:
        return LeftOut(Reason.STAFF_SKIPPED, Reason.STAFF_SKIPPED.label)
    if pause := policy.pause_at(due):
        return LeftOut(Reason.PAUSED, pause.recorded, pause)
    if day_off := policy.day_off(due):
        return LeftOut(Reason.CALENDAR, day_off)
    return None


@dataclass(frozen=True)
class Decision:
    """What becomes of one due time."""

    due_at: datetime
    state: State
    reason: Reason | None = None
    reason_text: str = ""

    @property
    def is_planned(self) -> bool:
        return self.state == State.PLANNED


def decide(
    due_times: Sequence[datetime],
    *,
    now: datetime,
    policy: Policy,
    running: int = 0,
    waiting: int = 0,
    places_taken: int = 0,
) -> list[Decision]:
    """One decision per due time, in order.

    ``running`` and ``waiting`` count the schedule's unfinished runs; ``places_taken`` are those of
    :attr:`Policy.places` that go to later due times, which are decided in another call.
    """
    taking = [due for due in due_times if takes_place(due, now, policy)]
    places = max(0, policy.places - places_taken)
    # A punctual one that takes the only place simply runs; it is not caught up.
    caught_up = {due for due in taking[len(taking) - min(places, len(taking)) :] if now - due > ON_TIME}

    decisions: list[Decision] = []
    planned = 0
    for due in due_times:
        decision = _decide_one(due, now, policy, caught_up, running, waiting)
        if decision.is_planned and policy.runs_left is not None and planned >= policy.runs_left:
            decision = _skip(due, Reason.ENDED)
        if decision.is_planned:
            waiting += 1
            planned += 1
        decisions.append(decision)
    return decisions


def takes_place(due: datetime, now: datetime, policy: Policy) -> bool:
    """Whether this due time takes one of :attr:`Policy.places`: with "latest", so does one that is on time."""
    return (policy.missed == "latest" or now - due > ON_TIME) and _is_candidate(due, now, policy)


def _is_candidate(due: datetime, now: datetime, policy: Policy) -> bool:
    too_late = policy.start_deadline is not None and now - due > max(policy.start_deadline, ON_TIME)
    return not too_late and left_out(due, policy) is None


def _decide_one(
    due: datetime, now: datetime, policy: Policy, caught_up: set[datetime], running: int, waiting: int
) -> Decision:
    if left := left_out(due, policy):
        return Decision(due, State.SKIPPED, left.reason, left.detail)
    if not _is_candidate(due, now, policy):
        return Decision(due, State.MISSED, Reason.DEADLINE, Reason.DEADLINE.label)
    if now - due > ON_TIME:
        if due in caught_up:
            return Decision(due, State.PLANNED)  # catching up goes one after another, whatever the overlap rule
        reason = Reason.NOTHING_RUNNING if policy.missed == "skip" else Reason.SUPERSEDED
        return Decision(
            due,
            State.MISSED,
            reason,
            f"nothing was running then; {reason.label}" if reason == Reason.SUPERSEDED else reason.label,
        )
    if policy.overlap == "skip" and running + waiting > 0:
        return _skip(due, Reason.OVERLAP)
    if policy.overlap == "queue" and waiting > 0:
        return Decision(
            due, State.SKIPPED, Reason.OVERLAP, "the previous run had not finished and another was already waiting"
        )
    return Decision(due, State.PLANNED)


def _skip(due: datetime, reason: Reason) -> Decision:
    return Decision(due, State.SKIPPED, reason, reason.label)
