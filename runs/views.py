"""The page that explains one run, its live part, and what people may do with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from runs import services, words
from runs.models import Run, RunEvent
from runs.pages import page, verb

DETAIL = "admin:runs_run_change"
LOG_LINES_SHOWN = 200


@require_GET
def detail(request: HttpRequest, run_id: int) -> HttpResponse:
    """The whole page, or with ``?part=live`` only the part that changes while the run goes on."""
    if not request.user.has_perm("runs.view_run"):
        raise PermissionDenied
    run = get_object_or_404(Run.objects.select_related("requested_by", "retry_of"), pk=run_id)
    context = {"run": run, "title": str(run), **_live(run)}
    if request.GET.get("part") == "live":
        return render(request, "runs/_live.html", context)
    return page(request, "runs/detail.html", context)


@require_GET
def log(request: HttpRequest, run_id: int) -> HttpResponse:
    """All log lines as a text file."""
    if not request.user.has_perm("runs.view_run"):
        raise PermissionDenied
    run = get_object_or_404(Run, pk=run_id)
    lines = (f"{event.at.isoformat()} {event.level} {event.message}\n" for event in run.events.iterator())
    response = HttpResponse(lines, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="run-{run.pk}.log"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


@verb(Run, DETAIL)
def cancel(request: HttpRequest, run_id: int) -> str:
    """Cancels it."""
    services.cancel_run(request.user, run_id)
    return "It will stop at the next safe point."


@require_POST
def retry(request: HttpRequest, run_id: int) -> HttpResponse:
    """Runs it again and shows the new run."""
    get_object_or_404(Run, pk=run_id)
    try:
        again = services.retry_run(request.user, run_id)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return _to_run(run_id)
    messages.success(request, "It was started again.")
    return _to_run(again.pk)


@verb(Run, DETAIL)
def acknowledge(request: HttpRequest, run_id: int) -> str:
    """Takes it off the list of things that need attention."""
    services.acknowledge_run(request.user, run_id)
    return "Noted. It no longer asks for attention."


def _live(run: Run) -> dict[str, Any]:
    newest = list(RunEvent.objects.filter(run=run).order_by("-id")[:LOG_LINES_SHOWN])
    return {"events": newest[::-1], "links": run.links.all(), "timeline": _timeline(run)}


@dataclass(frozen=True)
class Step:
    """One point on a run's way, with the wait before it in words."""

    label: str
    at: datetime | None
    wait: str = ""


def _timeline(run: Run) -> list[Step]:
    moments = [
        ("Due", run.due_at),
        ("Sent to a worker", run.published_at),
        ("Started", run.started_at),
        ("Finished", run.finished_at),
    ]
    steps: list[Step] = []
    before: datetime | None = None
    for label, at in moments:
        gap = at - before if at is not None and before is not None else None
        verb = "after" if label == "Finished" else "waited"
        wait = f"{verb} {words.duration(gap)}" if gap is not None and gap.total_seconds() >= 1 else ""
        steps.append(Step(label, at, wait))
        before = at or before
    return steps


def _to_run(run_id: int) -> HttpResponse:
    return HttpResponseRedirect(reverse(DETAIL, args=[run_id]))
