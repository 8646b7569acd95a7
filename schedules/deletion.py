"""What deleting a schedule stops, for the page that asks."""

from __future__ import annotations

from typing import Any

from runs import clock
from runs.models import Run
from runs.states import State, Trigger
from schedules.coming import Coming, coming
from schedules.cron import CronError
from schedules.models import DeskPause, Schedule

SHOWN = 3
"""Due times ahead that the page names."""
COUNTED = 1000
"""Past runs are counted up to here; beyond it the page says "more than"."""


def what_stops(schedule: Schedule) -> dict[str, Any]:
    """The runs that will not take place any more, those that wait, the one that runs, and how many are kept."""
    open_runs = Run.objects.filter(schedule_id=schedule.pk, finished_at=None).order_by()
    found = list(open_runs.values_list("state", "trigger")[:COUNTED])
    running = sum(state == State.RUNNING for state, _ in found)
    by_clock = sum(state != State.RUNNING and trigger == Trigger.SCHEDULE for state, trigger in found)
    kept = len(Run.objects.filter(schedule_id=schedule.pk).order_by().values_list("pk")[: COUNTED + 1])
    return {
        "schedule": schedule,
        "following": _following(schedule),
        "running": running,
        "waiting": by_clock,
        "started_by_people": len(found) - running - by_clock,
        "kept": min(kept, COUNTED),
        "is_more_kept": kept > COUNTED,
    }


def _following(schedule: Schedule) -> list[Coming]:
    """Its next due times, each with the reason where it would not have run anyway."""
    if schedule.next_due_at is None:
        return []
    now = clock.now()
    try:
        has_target = schedule.target() is not None
        return coming(schedule, now, SHOWN, DeskPause.covering(now), has_target=has_target)
    except CronError:
        return []
