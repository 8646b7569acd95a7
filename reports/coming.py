"""The next reports that schedules will make, each with the days that it will cover."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reports.models import Period, ReportDefinition
from runs import clock
from schedules import coming
from schedules.cron import CronError
from schedules.models import DeskPause, Schedule

LISTED = 5
SCHEDULES = 20
"""Schedules of one report that are looked at: those that are due soonest."""


@dataclass(frozen=True)
class NextReport:
    """One report that is due ahead."""

    due_at: datetime
    schedule_id: int
    schedule_name: str
    days: str = ""
    """Its window in words, in the report's zone."""
    problem: str = ""
    """Why there is none."""


def next_five(definition: ReportDefinition) -> list[NextReport]:
    """The soonest of all its schedules, those left out that will not run; as things stand now."""
    now = clock.now()
    due = sorted(_due(definition, now), key=lambda one: (one[0], one[1].pk))[:LISTED]
    previous_end: datetime | None = None
    rows = []
    for due_at, schedule in due:
        days = problem = ""
        try:
            window = definition.window_at(due_at, previous_end=previous_end)
        except KeyError:
            problem = "Its time zone is not known."
        except ValueError as error:
            problem = f"{str(error)[:1].upper()}{str(error)[1:]}."
        else:
            days = window.words
            # Each is taken to go well: the one after it then begins where it ends.
            previous_end = window.end if definition.period == Period.SINCE_LAST else None
        rows.append(NextReport(due_at, schedule.pk, schedule.name, days, problem))
    return rows


def _due(definition: ReportDefinition, now: datetime) -> list[tuple[datetime, Schedule]]:
    schedules = Schedule.objects.filter(kind="report", target_id=definition.pk, next_due_at__isnull=False)
    soonest = schedules.select_related("periodic_task", "calendar").order_by("next_due_at", "pk")[:SCHEDULES]
    pauses = DeskPause.covering(now)
    found = []
    for schedule in soonest:
        try:
            ahead = coming.coming(schedule, now, LISTED * 2, pauses)
        except CronError:
            continue  # the panel of its schedules says that it cannot be read
        found += [(one.due_at, schedule) for one in ahead if one.why_not is None]
    return found
