"""One word for how a schedule stands, with the tone it is shown in and a sentence that explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import BooleanField, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.utils import timezone

from runs import words
from runs.models import Run
from runs.queries import PastRun
from runs.states import EXCEPTIONS, State
from schedules import targets
from schedules.models import Schedule

LATE = timedelta(minutes=1)
"""A due time is decided within seconds; after this long, nothing is deciding."""
LOOKED_AT = 1000
"""How many of the schedules due soonest are looked at for things that are gone."""
LATEST_FAILURES = 2000
"""How many of the newest failed runs are looked through for schedules whose last run is one of them."""
_STATES = ", ".join(f"'{state.value}'" for state in EXCEPTIONS)
_IS_EXCEPTION = RawSQL(f"state IN ({_STATES})", (), BooleanField())  # noqa: S611 - our own words


@dataclass(frozen=True)
class Status:
    """A word, its colour (never the only sign), and a sentence that explains it."""

    word: str
    tone: str
    detail: str = ""


def status_of(
    schedule: Schedule,
    runs: Sequence[PastRun] = (),
    now: datetime | None = None,
    *,
    is_all_paused: bool = False,
    has_target: bool = True,
) -> Status:
    """The state that staff must act on comes first: broken, paused, failing, late, then what is usual.

    ``runs`` are its last ones, newest first; without them a running one is not seen, and a failing one only by its count.
    """
    now = now or timezone.now()
    if schedule.broken_reason:
        return Status("Broken", "bad", schedule.broken_reason)
    if not has_target:
        return Status("Broken", "bad", targets.NO_TARGET)
    if schedule.is_paused:
        return Status("Paused", "warn", schedule.pause_reason)
    if failures := _failures(schedule, runs):
        return Status("Failing", "bad", failures)
    if schedule.next_due_at is None:
        return Status("Ended", "quiet", "It has no further run.")
    if schedule.next_due_at < now - LATE:
        return Status("Late", "bad", f"Due {words.relative(schedule.next_due_at, now)} and not started")
    if running := next((run for run in runs if run.state == State.RUNNING), None):
        since = f"Since {words.duration(now - running.started_at)}" if running.started_at else ""
        return Status("Running", "live", since)
    if is_all_paused:
        return Status("Active", "warn", "Everything is paused")
    return Status("Active", "good")


def _failures(schedule: Schedule, runs: Sequence[PastRun]) -> str:
    """Why it counts as failing; empty when it does not."""
    if schedule.consecutive_failures > 1:
        return f"{schedule.consecutive_failures} failures in a row"
    last = next((run for run in runs if run.state in (State.SUCCEEDED, State.FAILED)), None)
    is_failed = last is not None and last.state == State.FAILED
    return "The last run failed" if schedule.consecutive_failures or is_failed else ""


def broken(schedules: QuerySet[Schedule], among: int = LOOKED_AT) -> QuerySet[Schedule]:
    """Those that :func:`status_of` calls broken; whose thing is gone is looked for ``among`` the ones due soonest."""
    known = schedules.exclude(broken_reason="")
    gone = targets.soonest_without(schedules.filter(broken_reason=""), among)
    return schedules.filter(Q(pk__in=known.values("pk")) | Q(pk__in=gone)) if gone else known


def sound(schedules: QuerySet[Schedule]) -> QuerySet[Schedule]:
    """Those that are not :func:`broken`."""
    rows = schedules.filter(broken_reason="")
    gone = targets.soonest_without(rows, LOOKED_AT)
    return rows.exclude(pk__in=gone) if gone else rows


def active(schedules: QuerySet[Schedule]) -> QuerySet[Schedule]:
    """Those that have a next run and are not stopped by a pause of their own."""
    return sound(schedules).filter(paused_at=None, next_due_at__isnull=False)


def failing(schedules: QuerySet[Schedule]) -> QuerySet[Schedule]:
    """Those that :func:`status_of` calls failing, as far as the newest failures tell."""
    ended = Run.objects.filter(schedule_id=OuterRef("pk"), state__in=(State.SUCCEEDED, State.FAILED))
    last_state = Subquery(ended.order_by("-due_at", "-id").values("state")[:1])
    # The first condition names the index of ends other than success; SQLite knows it only by the same words.
    failed = Run.objects.filter(_IS_EXCEPTION, state=State.FAILED, schedule_id__isnull=False)
    newest = failed.order_by("-due_at").values("schedule_id")[:LATEST_FAILURES]
    is_last = Q(pk__in=schedules.model.objects.filter(pk__in=newest).alias(last=last_state).filter(last=State.FAILED))
    return sound(schedules).filter(Q(consecutive_failures__gt=0) | is_last, paused_at=None)
