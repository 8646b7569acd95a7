"""The recipients of one issue, and the same as a file."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from newsletters import recipients
from newsletters.models import Issue
from newsletters.recipients import STATES, Wanted
from runs.pages import page


@require_safe
def index(request: HttpRequest, issue_id: int) -> HttpResponse:
    """One page of the recipients in one state."""
    if not recipients.may_see(request.user):
        raise PermissionDenied
    issue = get_object_or_404(Issue.objects.select_related("newsletter").defer("html", "text"), pk=issue_id)
    wanted = Wanted.of(request.GET)
    rows, following = recipients.page(issue, wanted)
    context = {
        "issue": issue,
        "title": f"Recipients of “{issue}”",
        "wanted": wanted,
        "rows": rows,
        "following": following,
        "tabs": [(key, label, key == wanted.state and not wanted.address) for key, (label, _) in STATES.items()],
        "may_download": recipients.may_download(request.user),
        "state_word": STATES[wanted.state][0].lower(),
    }
    return page(request, "newsletters/admin/recipients.html", context)


@require_POST
def download(request: HttpRequest, issue_id: int) -> StreamingHttpResponse:
    """What the page would list, all of it, as a CSV file."""
    if not recipients.may_download(request.user):
        raise PermissionDenied
    issue = get_object_or_404(Issue.objects.select_related("newsletter").defer("html", "text"), pk=issue_id)
    wanted = Wanted.of(request.POST)
    lines = recipients.download(request.user, issue, wanted)
    name = (
        f"{issue.newsletter.slug}-{timezone.localtime(issue.scheduled_for):%Y-%m-%d}-"
        if issue.scheduled_for
        else "issue-"
    )
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}{wanted.state}.csv"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
