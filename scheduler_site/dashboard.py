"""The overview: is everything up, what runs, what needs somebody, what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from runs import clock, queries, words
from runs.models import Alert, Notice, Run
from runs.states import OPEN, WAITING, State
from scheduler_site import health
from schedules.models import Schedule

LISTED = 10
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


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the overview shows besides the admin's own context."""
    may_see = request.user.has_perm("runs.view_run")
    context |= {"title": "Overview", "may_see": may_see}
    context["notices"] = list(Notice.objects.filter(user=request.user.pk, read_at=None)[:5])
    return context | (overview() if may_see else {})


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Only the part of the overview that changes by itself."""
    if not request.user.has_perm("runs.view_run"):
        raise PermissionDenied
    return render(request, "scheduler_site/_overview.html", overview())


def overview() -> dict[str, Any]:
    """The facts of the overview; every query is bounded."""
    now = clock.now()
    alerts = list(Alert.objects.filter(resolved_at=None)[:LISTED])
    broken = Schedule.objects.exclude(broken_reason="")
    alerted = [alert.schedule_id for alert in alerts if alert.schedule_id is not None]
    return {
        "signs": signs(now),
        "figures": _figures(now),
        "running": queries.running()[:LISTED],
        "attention": queries.needing_attention(now - timedelta(days=7))[:LISTED],
        "alerts": alerts,
        "broken": broken.exclude(pk__in=alerted).select_related("periodic_task")[:LISTED],
        "coming": coming(now),
        "recent": Run.objects.exclude(state__in=OPEN).order_by("-due_at", "-id")[:LISTED],
        "has_schedules": Schedule.objects.exists(),
    }


def signs(now: datetime) -> list[Sign]:
    """The health strip in words."""
    names = {"beat": "Clock", "broker": "Message broker", "workers": "Workers"}
    parts = health.status(*names)  # not the migrations: reading their files would cost more than the whole page
    strip = [
        Sign(name, "Up" if parts[key]["ok"] else "Down", "good" if parts[key]["ok"] else "bad", parts[key]["words"])
        for key, name in names.items()
    ]
    oldest = Run.objects.filter(state__in=WAITING, due_at__lte=now).order_by("due_at").first()
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
    runs = Run.objects.filter(due_at__gte=today, due_at__lte=now).order_by()
    runs_url, schedules_url = reverse("admin:runs_run_changelist"), reverse("admin:schedules_schedule_changelist")
    return [
        Figure("Succeeded today", runs.filter(state=State.SUCCEEDED).count(), f"{runs_url}?shown=succeeded"),
        Figure("Failed today", runs.filter(state=State.FAILED).count(), f"{runs_url}?shown=failed"),
        Figure("Running now", Run.objects.filter(state=State.RUNNING).count(), f"{runs_url}?shown=open"),
        Figure(
            "Paused schedules",
            Schedule.objects.filter(paused_at__isnull=False).count(),
            f"{schedules_url}?status=paused",
        ),
    ]


def coming(now: datetime) -> list[Schedule]:
    """The schedules that run within the next 24 hours, the next one first."""
    soon = Schedule.objects.filter(next_due_at__lte=now + timedelta(hours=24), paused_at=None)
    return list(soon.select_related("periodic_task").order_by("next_due_at")[:LISTED])
