"""The schedule's own page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from runs import clock, job_kinds, queries
from runs.models import AuditEntry, Run
from runs.pages import page
from runs.words import duration, here, tone
from runs.words import state as state_word
from schedules import change_words, target_panel
from schedules.coming import WhyNot, coming, why_not
from schedules.cron import CronError
from schedules.models import DeskPause, Schedule
from schedules.status import status_of

RUNS_LISTED = 25
BARS = 50
UPCOMING_LISTED = 10
CHANGES_LISTED = 50
TABS = {"runs": "Runs", "upcoming": "Upcoming", "changes": "Changes"}


@require_safe
def detail(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Everything about one schedule; ``?tab=`` says which of its three lists is open."""
    schedule = visible(request, schedule_id)
    tab = request.GET.get("tab", "runs")
    tab = tab if tab in TABS else "runs"
    lists: dict[str, Callable[[Schedule], dict[str, Any]]] = {
        "runs": _runs, "upcoming": _upcoming, "changes": _changes,
    }  # fmt: skip
    reader_zone, target = timezone.get_current_timezone_name(), schedule.target()
    context = {
        "schedule": schedule,
        "status": status_of(schedule, has_target=target is not None),
        "kind": job_kinds.label(schedule.kind),
        "target": target,
        "why_not": _why_not(schedule, has_target=target is not None),
        "target_url": target_panel.page_for(request.user, schedule),
        "impact": impact(schedule),
        "reader_zone": "" if reader_zone == schedule.time_zone else reader_zone,
        "tab": tab,
        "tabs": [(key, label, f"?tab={key}") for key, label in TABS.items()],
        "title": schedule.name,
        **lists[tab](schedule),
    }
    return page(request, "schedules/detail.html", context)


@dataclass(frozen=True)
class Bar:
    """One run in the row of bars: how long it took compared with the others, and how it ended."""

    url: str
    tone: str
    step: int
    """From 1 to 10."""
    words: str


def _runs(schedule: Schedule) -> dict[str, Any]:
    runs = list(queries.runs_of_schedule(schedule.pk)[:BARS])
    return {"runs": runs[:RUNS_LISTED], "bars": _bars(runs)}


def _bars(runs: list[Run]) -> list[Bar]:
    """Oldest first, as time is read; the longest is as high as the row."""
    took = {run.pk: (run.finished_at - run.started_at) for run in runs if run.started_at and run.finished_at}
    longest = max([*took.values(), timedelta(seconds=1)])
    bars = []
    for run in reversed(runs):
        span = took.get(run.pk)
        words = f"{here(run.due_at)}: {state_word(run)}" + (f", took {duration(span)}" if span else "")
        step = 1 if span is None else max(1, round(10 * (span / longest)))
        bars.append(Bar(reverse("admin:runs_run_change", args=[run.pk]), tone(run.state), step, words))
    return bars


def _why_not(schedule: Schedule, *, has_target: bool) -> WhyNot | None:
    """Why its next due time will not run."""
    if schedule.next_due_at is None:
        return None
    policy = schedule.policy(DeskPause.covering(clock.now()))
    return why_not(schedule, schedule.next_due_at, policy, has_target=has_target)


def _upcoming(schedule: Schedule) -> dict[str, Any]:
    if schedule.next_due_at is None:
        return {"upcoming": []}
    now = clock.now()
    try:
        has_target = schedule.target() is not None
        return {"upcoming": coming(schedule, now, UPCOMING_LISTED, DeskPause.covering(now), has_target=has_target)}
    except CronError as error:
        return {"upcoming": [], "unreadable": str(error)}


def _changes(schedule: Schedule) -> dict[str, Any]:
    # What was refused changed nothing; it stands in the activity log.
    entries = AuditEntry.objects.filter(object_type="schedules.schedule", object_id=str(schedule.pk), was_refused=False)
    return {
        "changes": [(entry, change_words.differences(entry, schedule.time_zone)) for entry in entries[:CHANGES_LISTED]]
    }


def visible(request: HttpRequest, schedule_id: int, permission: str = "schedules.view_schedule") -> Schedule:
    """The schedule, if this person may; services check and record the same once more."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return get_object_or_404(
        Schedule.objects.select_related("periodic_task", "paused_by", "owner", "calendar"), pk=schedule_id
    )


def impact(schedule: Schedule) -> str:
    """What one run of it would do, in words; empty when what it runs is gone."""
    kind, target = schedule.job_kind, schedule.target()
    return "" if kind is None or target is None else kind.describe_impact(target)
