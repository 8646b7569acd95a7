"""The page that explains one run, its live part, and what people may do with it."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from runs import run_log, run_page, services
from runs.models import Run
from runs.pages import page, verb
from runs.states import State

DETAIL = "admin:runs_run_change"


@require_GET
def detail(request: HttpRequest, run_id: int) -> HttpResponse:
    """The whole page, or with ``?part=live`` only what changed while the run goes on."""
    run = _visible(request, run_id)
    if request.GET.get("part") == "live":
        return render(request, "runs/_refreshed.html", run_page.refreshed(request, run))
    name = run.schedule_name or run.target_label or run.kind
    return page(request, "runs/detail.html", {"title": f"{name}, run {run.pk}", **run_page.whole(request, run)})


@require_GET
def log(request: HttpRequest, run_id: int) -> StreamingHttpResponse:
    """All log lines as a text file, however many."""
    run = _visible(request, run_id)
    # Named here: the lines are written when the reader's clock is no longer the current one.
    lines = run_log.as_text(run, timezone.get_current_timezone())
    response = StreamingHttpResponse(lines, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="run-{run.pk}.log"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


@verb(Run, DETAIL)
def cancel(request: HttpRequest, run_id: int) -> str:
    """Cancels it."""
    if services.cancel_run(request.user, run_id) == State.CANCELLED:
        return "It is cancelled."
    return "It was asked to stop and does so at its next safe point."


@require_POST
def retry(request: HttpRequest, run_id: int) -> HttpResponse:
    """Runs it again and shows the new run; the same button pressed twice leads to the same one."""
    get_object_or_404(Run, pk=run_id)
    seen = request.POST.get("retries", "")
    key = f"retry-{run_id}-{int(seen)}" if seen.isascii() and seen.isdigit() and len(seen) < 7 else None
    try:
        again = services.retry_run(request.user, run_id, idempotency_key=key)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return _to_run(run_id)
    messages.success(request, "It was started again. This is the new run.")
    return _to_run(again.pk)


@verb(Run, DETAIL)
def acknowledge(request: HttpRequest, run_id: int) -> str:
    """Takes it off the list of things that need attention."""
    services.acknowledge_run(request.user, run_id)
    return "Noted. It no longer asks for attention."


def _visible(request: HttpRequest, run_id: int) -> Run:
    if not request.user.has_perm("runs.view_run"):
        raise PermissionDenied
    return get_object_or_404(Run.objects.select_related("retry_of"), pk=run_id)


def _to_run(run_id: int) -> HttpResponse:
    return HttpResponseRedirect(reverse(DETAIL, args=[run_id]))
