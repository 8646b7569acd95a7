"""Pages that belong to no app: notices read, and the error pages in the house's own face."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from runs.models import Notice


@require_POST
def read_notices(request: HttpRequest) -> HttpResponse:
    """Marks the person's own notices as read."""
    Notice.objects.filter(user=request.user.pk, read_at=None).update(read_at=timezone.now())
    return HttpResponseRedirect(reverse("admin:index"))


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: says what is missing where the refusal says so itself."""
    reason = str(exception or "").strip()
    text = reason or "You may not open this page. An administrator can give you the permission."
    return render(request, "error.html", {"code": 403, "title": "Not allowed", "text": text}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404."""
    text = "There is nothing at this address. It may have been deleted, or the link is not complete."
    return render(request, "error.html", {"code": 404, "title": "Not found", "text": text}, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: rendered without the database, which may be what failed."""
    text = "Something went wrong on our side. Nothing you typed was changed; try again in a moment."
    return render(None, "error.html", {"code": 500, "title": "Something went wrong", "text": text}, status=500)
