"""Why a run did not go as expected and what to do next, in words for people who did not set it up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runs.states import Reason, State


class Step(Enum):
    """Where the page can lead to."""

    RESUME = "resume"
    """The schedule's own page, where a pause is ended."""
    EDIT = "edit"
    """The schedule's form."""
    SCHEDULE = "schedule"
    """The schedule's own page."""
    QUEUES = "queues"
    """Workers and queues."""


@dataclass(frozen=True)
class Explanation:
    """What happened, and what somebody can do."""

    title: str
    happened: str
    next: str
    """What to do, or that nothing has to be done."""
    steps: tuple[Step, ...] = ()


_NOT_RUN = "Why it did not run"
_AGAIN = "If it is still wanted, choose Run again."
_FAILED = "What to do now"

_PAUSED = Explanation(
    _NOT_RUN,
    "Its schedule was paused when this was due. While a schedule is paused it starts nothing, and each time that falls "
    "into the pause is noted like this one.",
    f"To let the coming ones run, resume the schedule. This one stays left out. {_AGAIN}",
    (Step.RESUME,),
)
_ALL_PAUSED = Explanation(
    _NOT_RUN,
    "Everything was paused when this was due: no schedule of this house started anything.",
    f"The coming ones run as soon as that pause is ended on the Overview. This one stays left out. {_AGAIN}",
    (Step.SCHEDULE,),
)

_BY_REASON: dict[Reason, Explanation] = {
    Reason.OVERLAP: Explanation(
        _NOT_RUN,
        "The run before it was still going on when this was due, and the schedule says that two must not run at the "
        "same time.",
        "Nothing has to be done if this happens now and then. If it happens often, let it run less often, or let one "
        f"wait until the first has finished: the schedule’s rules offer both. {_AGAIN}",
        (Step.EDIT,),
    ),
    Reason.CALENDAR: Explanation(
        _NOT_RUN,
        "The schedule follows a calendar, and the day is a holiday in it.",
        "Nothing has to be done: this is what the schedule asks for. If holidays should be made up for on the next "
        f"working day, change that in the schedule. {_AGAIN}",
        (Step.EDIT,),
    ),
    Reason.STAFF_SKIPPED: Explanation(
        _NOT_RUN,
        "Somebody chose “Skip the next run” for this one. The schedule’s page says who it was.",
        f"Nothing has to be done: the coming ones run as usual. {_AGAIN}",
        (Step.SCHEDULE,),
    ),
    Reason.NOTHING_RUNNING: Explanation(
        _NOT_RUN,
        "Almanac itself was not running when this was due, and the schedule says that such times are left out.",
        f"The coming ones run as usual. {_AGAIN} If it should be made up for by itself next time, change what happens "
        "“if nothing was running when due” in the schedule.",
        (Step.EDIT, Step.QUEUES),
    ),
    Reason.SUPERSEDED: Explanation(
        _NOT_RUN,
        "Almanac itself was not running when this was due. A later one was run in its place, because the schedule says "
        "that only the latest is made up for.",
        "Nothing has to be done: the later run did the work.",
        (Step.SCHEDULE,),
    ),
    Reason.DEADLINE: Explanation(
        _NOT_RUN,
        "It could not start in time. The schedule says by when it must have started, because later would be worse than "
        "not at all; until then no worker was free, or nothing was running.",
        f"Look whether the workers are well. {_AGAIN} If it may start later, give it more time in the schedule.",
        (Step.QUEUES, Step.EDIT),
    ),
    Reason.BROKEN: Explanation(
        _NOT_RUN,
        "The schedule cannot be read any more, or what it should run no longer exists. Until that is put right, "
        "it starts nothing.",
        f"Edit the schedule and save it; the form says what is wrong. {_AGAIN}",
        (Step.EDIT,),
    ),
    Reason.ENDED: Explanation(
        _NOT_RUN,
        "The schedule has ended: its last day has passed, or it has run as often as it should.",
        f"Nothing has to be done. If it should go on, change when it ends. {_AGAIN}",
        (Step.EDIT,),
    ),
    Reason.WORKER_LOST: Explanation(
        _FAILED,
        "The program that did the work stopped in the middle, again and again: the machine was switched off, ran out "
        "of memory, or was restarted.",
        "What was finished stays done and is not done twice. Look whether the workers are well, then choose Run again.",
        (Step.QUEUES,),
    ),
    Reason.TIME_LIMIT: Explanation(
        _FAILED,
        "It was stopped because it took longer than the schedule allows.",
        "What was finished stays done and is not done twice. Run it again to go on where it stopped, or give it more "
        "time in the schedule.",
        (Step.EDIT,),
    ),
    Reason.ERROR: Explanation(
        _FAILED,
        "The job ended with the error above.",
        "Put right what the error names, then choose Run again; what was finished is not done twice. If somebody else "
        "takes care of it, choose Acknowledge, and it no longer asks for attention.",
    ),
    Reason.UNKNOWN_KIND: Explanation(
        _FAILED,
        "The worker that took it does not know this kind of job. It is probably older or newer than this website.",
        "Ask whoever looks after the server to update all of Almanac at once, then choose Run again.",
        (Step.QUEUES,),
    ),
    Reason.CANCELLED_BY_STAFF: Explanation(
        "Why it was stopped",
        "Somebody cancelled it. What was finished by then stays done.",
        "Nothing has to be done. To go on with the rest, choose Run again.",
    ),
}  # fmt: skip

_ENDED_BADLY = frozenset({State.FAILED, State.MISSED, State.SKIPPED, State.CANCELLED})


def explain(state: str, reason: str, reason_text: str = "", *, has_schedule: bool = True) -> Explanation | None:
    """What to say of a run that ended without success; None for one that is under way or went well."""
    if State(state) not in _ENDED_BADLY or not reason:
        return None
    if reason == Reason.PAUSED:
        found = _ALL_PAUSED if "everything is paused" in reason_text else _PAUSED
    else:
        found = _BY_REASON[Reason(reason)]
    if has_schedule:
        return found
    # One that no schedule asked for has none to look at.
    steps = tuple(step for step in found.steps if step is Step.QUEUES)
    return Explanation(found.title, found.happened, found.next, steps)
