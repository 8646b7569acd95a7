"""Occurrences of the past that somebody wants to run after all: which they are, and their runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError

from runs import ledger, retired, words
from runs.audit import Actor
from runs.models import Run
from runs.states import OPEN, Reason, State, Trigger
from schedules import targets
from schedules.models import Schedule

WITHDRAWN = timedelta(days=7)
"""A run that waited for a worker when the pause began was left out as well; none waits longer than this."""
MOST = 100
"""At most this many due times are run after all at once; more would hold up what is due now."""


def due_times(schedule: Schedule, start: datetime, end: datetime, now: datetime) -> list[datetime]:
    """The due times from ``start`` to ``end`` that no run has succeeded in, or waits to, or its calendar leaves out.

    Raises:
        ValidationError: the stretch reaches into the future, into what a cleanup removed, runs backwards, or holds more
            than :data:`MOST`.
        CronError: the schedule's timing cannot be read.
    """
    if start > end:
        raise ValidationError({"end": "The end lies before the beginning."})
    gone = retired.before()
    if gone is not None and start < gone:
        since = words.local(gone, schedule.time_zone)
        raise ValidationError(
            {"start": f"Runs from before {since} were cleaned up, so nobody knows which of them ran. Begin after that."}
        )
    if end > now:
        raise ValidationError({"end": "Only the past can be made up for. Choose an end that has passed."})
    found = schedule.timing.between(start - timedelta(microseconds=1), end, 10 * MOST + 1)
    if len(found) > 10 * MOST:
        raise ValidationError({"start": f"That is more than {10 * MOST:,} due times. Choose a shorter stretch."})
    done = set(
        Run.objects.filter(
            schedule_id=schedule.pk, due_at__gte=start, due_at__lte=end, state__in=(*OPEN, State.SUCCEEDED)
        ).values_list("due_at", flat=True)
    )
    left = [due for due in found if due not in done and not schedule.why_day_off(due)]
    if len(left) > MOST:
        raise ValidationError(
            {"start": f"That is {len(left)} runs; at most {MOST} go at once. Choose a shorter stretch."}
        )
    return left


def left_out_by_pause(schedule: Schedule) -> list[datetime]:
    """The due times that the pause it is in has left out, oldest first; the latest ones when there are very many."""
    if schedule.paused_at is None:
        return []
    skipped = Run.objects.filter(
        schedule_id=schedule.pk, finished_at__gte=schedule.paused_at, state=State.SKIPPED, reason=Reason.PAUSED,
        trigger=Trigger.SCHEDULE, due_at__gte=schedule.paused_at - WITHDRAWN,
    )  # fmt: skip
    return sorted(skipped.order_by("-due_at").values_list("due_at", flat=True)[:MOST])


def plan(actor: Actor, schedule: Schedule, wanted: Sequence[datetime], key: str) -> list[Run]:
    """One run per due time, beside the row that says why it did not run then; the same key plans it once.

    Raises:
        ValidationError: what the schedule should run no longer exists.
    """
    if not wanted:
        return []
    target = schedule.target()
    if target is None:
        raise ValidationError(targets.CHOOSE_ANOTHER)
    return [
        ledger.plan(
            ledger.NewRun(
                **{**schedule.run_values(), "exclusive": True},  # one after another, whatever the overlap rule
                target_label=str(target)[:200],
                trigger=Trigger.BACKFILL,
                due_at=due,
                requested_by=actor,
                idempotency_key=f"{key}-{schedule.pk}-{int(due.timestamp())}"[:64] if key else None,
            )
        )
        for due in wanted
    ]
