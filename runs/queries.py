"""The read side of the ledger, for lists and pages. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Max, QuerySet

from runs.models import Run
from runs.states import State


def last_runs(schedule_ids: Sequence[int]) -> dict[int, Run]:
    """The latest run of each schedule, in two queries whatever their number."""
    latest = (
        Run.objects.filter(schedule_id__in=schedule_ids).order_by().values("schedule_id").annotate(run_id=Max("id"))
    )
    runs = Run.objects.in_bulk([row["run_id"] for row in latest])
    return {run.schedule_id: run for run in runs.values() if run.schedule_id is not None}


def runs_of_schedule(schedule_id: int) -> QuerySet[Run]:
    """A schedule's runs, newest first."""
    return Run.objects.filter(schedule_id=schedule_id).order_by("-due_at", "-id")


def running() -> QuerySet[Run]:
    """Runs that a worker is performing now."""
    return Run.objects.filter(state=State.RUNNING).order_by("-started_at")


def needing_attention(since: datetime) -> QuerySet[Run]:
    """Failed and missed runs since then that nobody has acknowledged."""
    return Run.objects.filter(state__in=(State.FAILED, State.MISSED), due_at__gte=since, acknowledged_at=None).order_by(
        "-due_at"
    )
