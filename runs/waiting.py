"""Why a run has not started yet, in words, from what the ledger knows."""

from __future__ import annotations

from datetime import datetime, timedelta

from runs import words
from runs.canaries import WORKER_SEEN
from runs.explanations import Explanation, Step
from runs.models import Heartbeat, QueuePause, Run
from runs.states import WAITING, State

TITLE = "What it is waiting for"
UNSENT_FOR = timedelta(seconds=15)


def why(run: Run, now: datetime) -> Explanation | None:
    """What holds it up; None for one that does not wait."""
    if run.state not in WAITING:
        return None
    return _not_before(run, now) or _held(run, now) or _blocked(run) or _nobody_reads(run, now) or _in_line(run, now)


def _not_before(run: Run, now: datetime) -> Explanation | None:
    if run.not_before_at is None or run.not_before_at <= now:
        return None
    soon = words.relative(run.not_before_at, now)
    if run.attempt:
        return Explanation(
            TITLE, f"Attempt {run.attempt} failed. The next one begins {soon}.", "Nothing has to be done meanwhile."
        )
    return Explanation(
        TITLE, f"Its schedule spreads its starts, so that not everything begins at once. This one begins {soon}.",
        "Nothing has to be done.",
    )  # fmt: skip


def _held(run: Run, now: datetime) -> Explanation | None:
    pause = QueuePause.objects.filter(queue=run.queue).first()
    if pause is None:
        return None
    who = f" by {pause.paused_by_name}" if pause.paused_by_name else ""
    since = words.relative(pause.paused_at, now)
    return Explanation(
        TITLE, f"The queue “{run.queue}” was paused{who} {since}: {pause.reason}",
        "It starts when the queue is resumed. Until then it waits here, and nothing is lost.", (Step.QUEUES,),
    )  # fmt: skip


def _blocked(run: Run) -> Explanation | None:
    if run.schedule_id is None or not run.exclusive:
        return None
    before = Run.objects.filter(schedule_id=run.schedule_id, state=State.RUNNING, exclusive=True).exclude(pk=run.pk)
    number = before.values_list("pk", flat=True).first()
    if number is None:
        return None
    return Explanation(
        TITLE, f"Run {number} of the same schedule has not finished, and only one runs at a time.",
        "It starts when that one has ended. Nothing has to be done.", (Step.SCHEDULE,),
    )  # fmt: skip


def _nobody_reads(run: Run, now: datetime) -> Explanation | None:
    alive = Heartbeat.objects.filter(role="worker", seen_at__gte=now - WORKER_SEEN).values_list("details", flat=True)
    if any(run.queue in details.get("queues", ()) for details in alive):
        return None
    return Explanation(
        TITLE, f"No worker that takes runs of the queue “{run.queue}” shows a sign of life.",
        "Tell whoever looks after the server. It starts by itself when a worker is back; nothing is lost.",
        (Step.QUEUES,),
    )  # fmt: skip


def _in_line(run: Run, now: datetime) -> Explanation:
    if run.state == State.PLANNED and run.next_publish_at is not None and run.next_publish_at < now - UNSENT_FOR:
        return Explanation(
            TITLE, "It could not be handed to a worker yet: the message broker or the clock does not answer.",
            "It is tried again every few seconds; nothing is lost. If this lasts, tell whoever looks after the server.",
            (Step.QUEUES,),
        )  # fmt: skip
    return Explanation(TITLE, "A worker that has its hands free. It is in line.", "Nothing has to be done.")
