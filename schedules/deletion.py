"""What deleting a schedule stops, for the page that asks."""

from __future__ import annotations

from typing import Any

from runs import clock
from runs.models import Run
from runs.states import State, Trigger
from schedules.coming import coming
from schedules.cron import CronError
from schedules.models import Schedule

COUNTED = 1000
"""Past runs are counted up to here; beyond it the page says "more than"."""


def what_stops(schedule: Schedule) -> dict[str, Any]:
    """The runs that will not take place any more, those that wait, the one that runs, and how many are kept."""
    open_runs = Run.objects.filter(schedule_id=schedule.pk, finished_at=None).order_by()
    found = list(open_runs.values_list("state", "trigger")[:COUNTED])
    running = sum(state == State.RUNNING for state, _ in found)
    by_clock = sum(state != State.RUNNING and trigger == Trigger.SCHEDULE for state, trigger in found)
    try:
        following = [] if schedule.next_due_at is None else coming(schedule, clock.now(), 3)
    except CronError:
        following = []
    kept = len(Run.objects.filter(schedule_id=schedule.pk).order_by().values_list("pk")[: COUNTED + 1])
    return {
        "schedule": schedule,
        "following": following,
        "running": running,
        "waiting": by_clock,
        "started_by_people": len(found) - running - by_clock,
        "kept": min(kept, COUNTED),
        "is_more_kept": kept > COUNTED,
    }
