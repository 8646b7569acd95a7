"""The newsletters' own pages in the admin: an issue and what staff may do with it, previews, images."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from newsletters import services
from newsletters.models import Delivery, ImageSize, Issue
from runs.models import Run
from runs.pages import page, verb

TONES = {
    Issue.State.SENT: "good",
    Issue.State.SENT_WITH_PROBLEMS: "warn",
    Issue.State.RUNNING: "live",
    Issue.State.PREPARING: "live",
    Issue.State.PAUSED: "warn",
}
PROBLEMS_SHOWN = 50


@require_GET
def issue(request: HttpRequest, issue_id: int) -> HttpResponse:
    """The whole page, or with ``?part=live`` only the part that changes while the issue is sent."""
    if not request.user.has_perm("newsletters.view_issue"):
        raise PermissionDenied
    found = get_object_or_404(Issue.objects.select_related("newsletter"), pk=issue_id)
    context: dict[str, Any] = {"issue": found, "title": str(found), **_live(found)}
    if request.GET.get("part") == "live":
        return render(request, "newsletters/admin/_issue_live.html", context)
    return page(request, "newsletters/admin/issue.html", context)


def _live(found: Issue) -> dict[str, Any]:
    problems = Delivery.objects.filter(issue=found, state__in=(Delivery.State.FAILED, Delivery.State.UNCERTAIN))
    return {
        "tone": TONES.get(Issue.State(found.state), "quiet"),
        "done": found.planned - found.waiting,
        "percent": 100 * (found.planned - found.waiting) // found.planned if found.planned else 0,
        "counts": [
            ("Sent", found.sent, Delivery.State.SENT),
            ("Failed", found.failed, Delivery.State.FAILED),
            ("Left out", found.skipped, Delivery.State.SKIPPED),
            ("Uncertain", found.uncertain, Delivery.State.UNCERTAIN),
            ("Still waiting", found.waiting, Delivery.State.PENDING),
        ],
        "problems": problems.order_by("pk")[:PROBLEMS_SHOWN] if found.failed or found.uncertain else [],
        "run": Run.objects.filter(pk=found.run_id).first() if found.run_id else None,
        "can_resume": services.can_resume(found),
        "is_live": not found.is_finished,
    }


_verb = verb(Issue, "admin:newsletters_issue_change")
"""A button of the issue page."""


@_verb
def pause(request: HttpRequest, issue_id: int) -> str:
    """Stops after the mail in hand."""
    services.pause_issue(request.user, issue_id, request.POST.get("reason", ""))
    return "Paused. The mail in hand ends, the rest waits."


@_verb
def resume(request: HttpRequest, issue_id: int) -> str:
    """Sends the rest."""
    services.resume_issue(request.user, issue_id)
    return "Resumed. The rest is being sent."


@_verb
def cancel(request: HttpRequest, issue_id: int) -> str:
    """Ends it for good."""
    services.cancel_issue(request.user, issue_id)
    return "Cancelled. Nobody else gets this issue."


@_verb
def retry_failed(request: HttpRequest, issue_id: int) -> str:
    """Tries the failed again."""
    services.retry_failed(request.user, issue_id)
    return "Those who failed are being tried again."


@_verb
def decide_uncertain(request: HttpRequest, issue_id: int) -> str:
    """Settles mails of which nobody knows whether they arrived."""
    send_again = request.POST.get("decision") == "again"
    services.decide_uncertain(request.user, issue_id, send_again=send_again)
    return "They are being sent again." if send_again else "They count as sent."


@require_GET
def image_file(request: HttpRequest, size_id: int) -> FileResponse:
    """One size of an image, for staff who may see the library; never the original with its metadata."""
    if not request.user.has_perm("newsletters.view_image"):
        raise PermissionDenied
    size = get_object_or_404(ImageSize, pk=size_id)
    try:
        file = size.file.open("rb")
    except FileNotFoundError as error:
        raise Http404("The file is gone from the disk.") from error
    response = FileResponse(file, filename=f"{size.image_id}-{size.width}.{str(size.file.name).rpartition('.')[2]}")
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, max-age=300"
    return response
