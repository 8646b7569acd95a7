"""The ledger of a schedule's due times until a worker takes them: planned, skipped or missed, withdrawn, expired."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction

from runs import bulk, clock, outcomes
from runs.locking import locked
from runs.models import Run
from runs.states import WAITING, Reason, State, Trigger

BATCH = 500
"""Runs that one statement ends."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One due time of a schedule and what became of it: planned, or skipped or missed with a reason."""

    schedule_id: int
    schedule_name: str
    kind: str
    due_at: datetime
    target_id: int | None = None
    target_label: str = ""
    time_zone: str = "UTC"
    spec_version: int = 1
    state: str = State.PLANNED
    reason: str = ""
    reason_text: str = ""
    queue: str = "default"
    exclusive: bool = True
    next_publish_at: datetime | None = None
    not_before_at: datetime | None = None
    finished_at: datetime | None = None
    deadline_at: datetime | None = None
    time_limit_seconds: int = 3600
    max_attempts: int = 1
    retry_delay_seconds: int = 60
    folded_count: int = 0
    """How many further due times this row sums up."""


_OCCURRENCE_COLUMNS = tuple(field.name for field in fields(Occurrence))


class Unsent(NamedTuple):
    """A planned run: what its message says, and where it goes."""

    pk: int
    queue: str
    time_limit_seconds: int


def plan_many(occurrences: Sequence[Occurrence], now: datetime, *, hold: timedelta | None = None) -> list[Unsent]:
    """Inserts occurrences; one that exists already (same schedule, same due time) is left as it is.

    With ``hold`` the caller undertakes to send what it gets back within that time; after it, any beat does. Where the
    database cannot say what it inserted (SQLite) nothing comes back, and nothing is held.
    """
    if not occurrences:
        return []
    columns = {name: [getattr(one, name) for one in occurrences] for name in _OCCURRENCE_COLUMNS}
    if hold is None or not bulk.CAN_RETURN[connection.vendor]:
        bulk.insert_ignoring(Run, columns, {"created_at": now})
        return []
    held = now + hold
    columns["next_publish_at"] = [held if at is not None and at <= now else at for at in columns["next_publish_at"]]
    inserted = bulk.insert_ignoring(
        Run, columns, {"created_at": now}, returning=("id", "queue", "time_limit_seconds", "next_publish_at")
    )
    return [Unsent(pk, queue, limit) for pk, queue, limit, send_at in inserted if send_at == held]


def withdraw(schedule_id: int | None, reason: Reason, reason_text: str) -> int:
    """Skips the waiting runs that no worker has claimed, of one schedule or of all (None); returns how many."""
    waiting = Run.objects.filter(finished_at=None, state__in=WAITING, trigger=Trigger.SCHEDULE).order_by("pk")
    if schedule_id is not None:
        waiting = waiting.filter(schedule_id=schedule_id)
    else:
        waiting = waiting.filter(next_publish_at__isnull=False)  # the index of what waits
    # Locked in the order in which the publisher marks them, so that the two never wait for each other.
    found = [run.pk for run in locked(waiting).only("pk")]
    ended = {
        "state": State.SKIPPED, "reason": reason, "reason_text": reason_text[:300], "finished_at": clock.now(),
        "next_publish_at": None,
    }  # fmt: skip
    pieces = [found[first : first + BATCH] for first in range(0, len(found), BATCH)]
    return sum(waiting.filter(pk__in=piece).order_by().update(**ended) for piece in pieces)


def expire_unstarted(now: datetime, run_ids: Iterable[int] | None = None) -> int:
    """Ends waiting runs whose start deadline has passed as missed; returns how many."""
    waiting = Run.objects.filter(next_publish_at__isnull=False, state__in=WAITING).order_by()
    late = waiting.filter(deadline_at__lt=now, attempt=0)
    if run_ids is not None:
        late = late.filter(pk__in=list(run_ids))
    found = list(late.values_list("pk", flat=True)[:BATCH])
    if not found:  # nearly always: no write lock then
        return 0
    with transaction.atomic():
        expired = [
            pk
            for pk in found
            if late.filter(pk=pk).update(
                state=State.MISSED, reason=Reason.DEADLINE, reason_text=Reason.DEADLINE.label, finished_at=now,
                next_publish_at=None,
            )
        ]  # fmt: skip
        outcomes.tell(expired)
    return len(expired)
