"""What the page of one run shows, gathered from the ledger: every list in it is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from runs import clock, explanations, job_kinds, services, waiting, words
from runs.addresses import page as address
from runs.attempts import attempts_of
from runs.explanations import Explanation, Step
from runs.models import AuditEntry, Run
from runs.pace import Mark, Pace, first_mark, pace
from runs.row_numbers import row_number
from runs.run_log import LEVELS, LogFilter, since, tail
from runs.states import State

LISTED = 20
GOES_ON = timedelta(seconds=5)
"""For so long after its end the page still looks: the last log lines come after the end itself."""

_LINKS = {
    Step.RESUME: ("Go to the schedule to resume it", "admin:schedules_schedule_detail", "schedules.pause_schedule"),
    Step.EDIT: ("Edit the schedule", "admin:schedules_schedule_change", "schedules.change_schedule"),
}


@dataclass(frozen=True)
class Moment:
    """One point on a run's way, with the wait before it in words."""

    label: str
    at: datetime | None
    wait: str = ""
    own: str = ""
    """What the schedule's own clock showed, where that is not what the reader's shows."""


def whole(request: HttpRequest, run: Run) -> dict[str, Any]:
    """Everything on the page."""
    wanted = LogFilter.of(request.GET)
    number = row_number(request.GET.get("before", ""))
    lines = tail(run, wanted, before=number)
    return {
        **live(request, run),
        "log": lines,
        "log_filter": wanted,
        "levels": LEVELS,
        "is_earlier": number is not None,
        "last_line": lines.last_id,
    }


def refreshed(request: HttpRequest, run: Run) -> dict[str, Any]:
    """What changes while the run goes on, and only the log lines that are new."""
    wanted = LogFilter.of(request.GET)
    lines = since(run, wanted, row_number(request.GET.get("last", "")) or 0)
    return {
        **live(request, run),
        "log": lines,
        "log_filter": wanted,
        "last_line": lines.last_id,
        "is_new_state": run.state != request.GET.get("state"),
    }


def live(request: HttpRequest, run: Run) -> dict[str, Any]:
    """The facts of the run as they are now."""
    now = clock.now()
    retries = list(Run.objects.filter(retry_of_id=run.pk).order_by("-id")[:LISTED])
    start = _start(run, Mark.read(request.GET.get("start", "")), now)
    why = waiting.why(run, now) or explanations.explain(
        run.state, run.reason, run.reason_text, has_schedule=run.schedule_id is not None
    )
    return {
        "run": run,
        "kind": job_kinds.label(run.kind),
        "is_watched": run.is_open or (run.finished_at is not None and now - run.finished_at < GOES_ON),
        "pace": _pace(run, start, now),
        "pace_start": start,
        "links": run.links.all()[:LISTED],
        "made_page": job_kinds.page_of(run.kind, request.user, run.pk),
        "timeline": timeline(run, now),
        "zone_name": timezone.get_current_timezone_name(),
        "log_from": run.started_at or run.due_at,
        "attempts": attempts_of(run) if run.attempt > 1 else [],
        "retries": retries,
        "why": why,
        "why_links": _links(request, run, why),
        "deeds": _deeds(run),
        "may_run_again": not run.is_open
        and run.state != State.SUCCEEDED
        and services.may_run_again(request.user, run)
        and not any(retry.is_open for retry in retries),
        "queues_url": address("admin:queues"),
    }


def timeline(run: Run, now: datetime) -> list[Moment]:
    """Due, sent, started, finished, each with the wait before it; the step that is under way says how long by now."""
    moments = [
        ("Due", run.due_at),
        ("Sent to a worker", run.published_at),
        ("Started" if run.attempt < 2 else f"Started, attempt {run.attempt}", run.started_at),
        ("Finished" if run.started_at else "Decided", run.finished_at),
    ]
    steps: list[Moment] = []
    before: datetime | None = None
    for label, at in moments:
        until = at or (now if run.is_open and before is not None else None)
        gap = until - before if until is not None and before is not None else None
        said = words.duration(gap) if gap is not None and gap.total_seconds() >= 1 else ""
        words_of = {"Finished": f"ran for {said}", "Decided": f"{said} later"}
        wait = f"so far {said}" if at is None else words_of.get(label, f"waited {said}")
        own = words.own_clock(run.due_at, run.time_zone) if label == "Due" and run.schedule_id is not None else ""
        steps.append(Moment(label, at, wait if said else "", own))
        # Only the step that is under way says how long it has taken by now.
        before = None if at is None and run.is_open else at or before
    return steps


def _start(run: Run, seen: Mark | None, now: datetime) -> Mark | None:
    """From where the rate counts: the start, or for a later attempt, which goes on where another stopped, this look."""
    if run.state != State.RUNNING or run.started_at is None:
        return None
    if first := first_mark(run.started_at, run.attempt):
        return first
    return (
        seen if seen is not None and seen.at <= now and seen.done <= run.progress_done else Mark(now, run.progress_done)
    )


def _pace(run: Run, start: Mark | None, now: datetime) -> Pace | None:
    if not run.progress_total and not run.progress_done:
        return None
    return pace(run.progress_done, run.progress_total, run.progress_unit, start=start, now=now)


def _links(request: HttpRequest, run: Run, why: Explanation | None) -> list[tuple[str, str]]:
    """The explanation's steps as links; where somebody may not do the step, to the page that shows the thing."""
    found: dict[str, str] = {}
    for step in why.steps if why is not None else ():
        label, name, permission = _LINKS.get(step, ("Open the schedule", "admin:schedules_schedule_detail", ""))
        if step is Step.QUEUES:
            found["Look at the workers"] = address("admin:queues")
        elif run.schedule_id is not None:
            if permission and not request.user.has_perm(permission):
                label, name = "Open the schedule", "admin:schedules_schedule_detail"
            found[label] = reverse(name, args=[run.schedule_id])
    return [(label, url) for label, url in found.items() if url]


def _deeds(run: Run) -> list[AuditEntry]:
    """What people did with this run, the latest first."""
    return list(AuditEntry.objects.filter(object_type="runs.run", object_id=str(run.pk)).order_by("-id")[:LISTED])
