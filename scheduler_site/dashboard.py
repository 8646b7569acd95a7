"""The overview: is everything all right, what runs, what needs somebody, and what happens next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from runs import clock, job_kinds, pace, queries, words
from runs.models import Alert, Notice, QueuePause, Run
from runs.states import OPEN, State
from scheduler_site import health, overview_chart
from schedules import desk_pause, status, targets, templates_offered
from schedules.coming import WhyNot, why_not
from schedules.models import DeskPause, Schedule

LISTED = 10
COMING = 15
SOONEST = 100
"""Schedules that are looked at for things that are gone; the watchdog looks at more."""
FINISHED = 6
LOOKED_THROUGH = 200
"""Failed and missed runs among which those of one schedule are put together."""
LATE_AFTER = timedelta(minutes=2)


@dataclass(frozen=True)
class Sign:
    """One part of the house in the strip at the top."""

    name: str
    word: str
    tone: str
    detail: str


@dataclass(frozen=True)
class Figure:
    """One of today's numbers."""

    label: str
    value: int
    url: str


@dataclass(frozen=True)
class Verdict:
    """Whether everything is all right, in one line."""

    word: str
    tone: str
    detail: str = ""


@dataclass(frozen=True)
class Next:
    """The next due time of one schedule."""

    schedule: Schedule
    at: datetime
    kind: str
    is_late: bool
    why_not: WhyNot | None
    """Why nothing is to run then; None when it runs."""


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the overview shows besides the admin's own context."""
    may_see = request.user.has_perm("runs.view_run")
    context |= {"title": "Overview", "may_see": may_see}
    context["notices"] = list(Notice.objects.filter(user=request.user.pk, read_at=None)[:5])
    if not may_see:
        return context
    return context | overview(request) | {"chart": overview_chart.chart()}


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Only the part of the overview that changes by itself."""
    if not request.user.has_perm("runs.view_run"):
        raise PermissionDenied
    return render(request, "scheduler_site/_overview.html", overview(request))


def overview(request: HttpRequest) -> dict[str, Any]:
    """The facts of the overview; every query is bounded. Schedules are named to those who may see them."""
    now = clock.now()
    sees_schedules = request.user.has_perm("schedules.view_schedule")
    alerts = list(Alert.objects.filter(resolved_at=None)[:LISTED])
    alerted = [alert.schedule_id for alert in alerts if alert.schedule_id is not None]
    broken = status.broken(Schedule.objects.exclude(pk__in=alerted), SOONEST).select_related("periodic_task")
    facts: dict[str, Any] = {
        "now": now,
        "zone_name": timezone.get_current_timezone_name(),
        "signs": signs(now),
        "figures": _figures(now),
        "running": [(run, _left(run, now)) for run in queries.running()[:LISTED]],
        "attention": attention(now),
        "alerts": alerts,
        "broken": list(broken[:LISTED]) if sees_schedules else [],
        "coming": coming(now) if sees_schedules else [],
        "recent": Run.objects.exclude(state__in=OPEN).order_by("-due_at", "-id")[:FINISHED],
        "desk_pause": desk_pause.current(),
        "queue_pauses": list(QueuePause.objects.all()[:LISTED]),
        "sees_schedules": sees_schedules,
        "has_schedules": Schedule.objects.exists(),
        "no_target": targets.NO_TARGET,
        "templates": templates_offered.offered(request.user),
    }
    return facts | {"verdict": verdict(facts), "next": next((one for one in facts["coming"] if not one.why_not), None)}


def verdict(facts: dict[str, Any]) -> Verdict:
    """The worst first: a part of the house that is down, then a pause of everything, then what needs somebody."""
    down = [sign.name.lower() for sign in facts["signs"] if sign.tone == "bad"]
    if down:
        return Verdict("Something is down", "bad", f"Not working: {', '.join(down)}.")
    if facts["desk_pause"] is not None:
        return Verdict("Everything is paused", "warn", facts["desk_pause"].reason)
    lists: Sequence[Sequence[Any]] = (facts["alerts"], facts["broken"], facts["attention"])
    if count := sum(map(len, lists)):
        more = "at least " if any(len(rows) == LISTED for rows in lists) else ""
        verb = "needs" if count == 1 else "need"
        return Verdict(f"{more}{words.counted(count, 'thing')} {verb} you".capitalize(), "bad", "")
    if facts["queue_pauses"]:
        return Verdict("All is well, with a pause", "warn", "A queue is paused; its runs wait.")
    return Verdict("All is well", "good", "Nothing failed or was missed in the last seven days.")


def signs(now: datetime) -> list[Sign]:
    """The health strip in words."""
    names = {"beat": "Clock", "broker": "Message broker", "workers": "Workers"}
    parts = health.status(*names)  # not the migrations: reading their files would cost more than the whole page
    strip = [
        Sign(name, "Up" if parts[key]["ok"] else "Down", "good" if parts[key]["ok"] else "bad", parts[key]["words"])
        for key, name in names.items()
    ]
    oldest = queries.oldest_waiting(now)
    if oldest is None:
        return [*strip, Sign("Waiting", "Nothing", "good", "Every due run has been taken by a worker.")]
    age = now - oldest.due_at
    tone = "warn" if age > LATE_AFTER else "good"
    return [
        *strip,
        Sign("Waiting", words.duration(age), tone, f"The oldest is {oldest.schedule_name or oldest.target_label}."),
    ]


def _figures(now: datetime) -> list[Figure]:
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    ended = Run.objects.filter(due_at__gte=today, due_at__lte=now).order_by()
    counts = dict(ended.values_list("state").annotate(Count("pk")))
    paused = Schedule.objects.filter(paused_at__isnull=False).count()
    runs, schedules = reverse("admin:runs_run_changelist"), reverse("admin:schedules_schedule_changelist")
    running = Run.objects.filter(state=State.RUNNING).count()
    return [
        Figure("Succeeded today", counts.get(State.SUCCEEDED, 0), f"{runs}?shown=succeeded"),
        Figure("Failed today", counts.get(State.FAILED, 0), f"{runs}?shown=failed"),
        Figure("Running now", running, f"{runs}?shown=open"),
        Figure("Paused schedules", paused, f"{schedules}?status=paused"),
    ]


def coming(now: datetime) -> list[Next]:
    """The schedules that are due within the next 24 hours, the next one first; also those that will not run then."""
    soon = Schedule.objects.filter(next_due_at__lte=now + timedelta(hours=24)).order_by("next_due_at")
    desk_pauses = DeskPause.covering(now)
    found = []
    schedules = list(soon.select_related("periodic_task", "calendar")[:COMING])
    gone = targets.without(schedules)
    for schedule in schedules:
        assert schedule.next_due_at is not None
        policy, has_target = schedule.policy(desk_pauses), schedule.pk not in gone
        why = why_not(schedule, schedule.next_due_at, policy, has_target=has_target)
        is_late = schedule.next_due_at <= now
        found.append(Next(schedule, schedule.next_due_at, job_kinds.label(schedule.kind), is_late, why))
    return found


def attention(now: datetime) -> list[tuple[Run, int]]:
    """Failed and missed runs nobody has acknowledged: the latest of each schedule, and how many more there are."""
    latest: dict[tuple[Any, ...], Run] = {}
    further: Counter[tuple[Any, ...]] = Counter()
    for run in queries.needing_attention(now - timedelta(days=7))[:LOOKED_THROUGH]:
        source = (run.schedule_id or run.pk, run.schedule_name, run.state)
        further[source] += source in latest
        latest.setdefault(source, run)
    return [(run, further[source]) for source, run in latest.items()][:LISTED]


def _left(run: Run, now: datetime) -> str:
    """ "about 3 min left", at the pace so far; empty while nobody can say."""
    start = pace.first_mark(run.started_at, run.attempt)
    return pace.pace(run.progress_done, run.progress_total, run.progress_unit, start=start, now=now).left
