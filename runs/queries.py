"""The read side of the ledger, for lists and pages. Writes nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from runs.models import Run
from runs.states import WAITING, State

# Of each schedule only its newest runs are read, from the index that has them in this order, however many there are.
_NEWEST = {
    "postgresql": """
        SELECT run.schedule_id, run.id, run.due_at, run.state, run.since
        FROM unnest(%s::bigint[]) AS wanted (schedule_id)
        CROSS JOIN LATERAL (
            SELECT schedule_id, id, due_at, state, CASE state WHEN 'running' THEN started_at END AS since FROM runs_run
            WHERE runs_run.schedule_id = wanted.schedule_id ORDER BY due_at DESC LIMIT %s
        ) AS run""",
    "sqlite": """
        SELECT run.schedule_id, run.id, run.due_at, run.state, CASE run.state WHEN 'running' THEN run.started_at END
        FROM json_each(%s) AS wanted
        CROSS JOIN runs_run AS run ON run.id IN (
            SELECT id FROM runs_run AS one WHERE one.schedule_id = wanted.value ORDER BY one.due_at DESC LIMIT %s
        )""",
}


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a list of schedules shows of one run."""

    id: int
    due_at: datetime
    state: State
    started_at: datetime | None = None
    """Of a running one; nobody asks it of the others, and reading a thousand instants takes longer than the query."""


def newest_runs(schedule_ids: Sequence[int], count: int) -> dict[int, list[PastRun]]:
    """The last ``count`` runs of each schedule, newest first, in one query whatever their number."""
    found: dict[int, list[PastRun]] = defaultdict(list)
    if not schedule_ids:
        return found
    wanted: Any = list(schedule_ids) if connection.vendor == "postgresql" else json.dumps(list(schedule_ids))
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST[connection.vendor], [wanted, count])
        for schedule_id, run_id, due_at, state, started_at in cursor.fetchall():
            started = _aware(started_at) if started_at else None
            found[schedule_id].append(PastRun(run_id, _aware(due_at), State(state), started))
    for runs in found.values():
        runs.sort(key=lambda run: (run.due_at, run.id), reverse=True)
    return found


def _aware(moment: datetime | str) -> datetime:
    """SQLite keeps instants without a zone, in UTC, and says them as text where they are computed."""
    moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def runs_of_schedule(schedule_id: int) -> QuerySet[Run]:
    """A schedule's runs, newest first."""
    return Run.objects.filter(schedule_id=schedule_id).order_by("-due_at", "-id")


def running() -> QuerySet[Run]:
    """Runs that a worker is performing now."""
    return Run.objects.filter(state=State.RUNNING).order_by("-started_at")


def oldest_waiting(now: datetime) -> Run | None:
    """The due run that has waited longest for a worker."""
    # From the small index of what is not finished: by the order of their due times every run ever made would be read.
    waiting = Run.objects.filter(finished_at=None).order_by().values("pk")
    return Run.objects.filter(pk__in=waiting, state__in=WAITING, due_at__lte=now).order_by("due_at").first()


def needing_attention(since: datetime) -> QuerySet[Run]:
    """Failed and missed runs since then that nobody has acknowledged."""
    return Run.objects.filter(state__in=(State.FAILED, State.MISSED), due_at__gte=since, acknowledged_at=None).order_by(
        "-due_at", "-id"
    )
