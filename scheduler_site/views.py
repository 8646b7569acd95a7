"""Pages that belong to no app: notices read, one's own password, and the error pages in the house's own face."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from runs import audit
from runs.models import Notice
from runs.pages import page

logger = logging.getLogger(__name__)


@require_POST
def read_notices(request: HttpRequest) -> HttpResponse:
    """Marks the person's own notices as read."""
    Notice.objects.filter(user=request.user.pk, read_at=None).update(read_at=timezone.now())
    return HttpResponseRedirect(reverse("admin:index"))


def change_password(request: HttpRequest) -> HttpResponseBase:
    """The admin's own page; a change signs every other browser out and leaves an entry."""
    response = admin.site.password_change(request, {"title": "Change your password"})
    if request.method == "POST" and response.status_code == 302 and isinstance(request.user, User):
        audit.record(request.user, "changed their own password", request.user)
    return response


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400."""
    text = "The address or the form was not complete. Go back, load the page again, and try once more."
    return _error(request, 400, "This could not be read", text)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: says what is missing where the refusal says so itself."""
    text = "You may not open this page. An administrator can give you the permission."
    return _error(request, 403, "Not allowed", str(exception or "").strip() or text)


def csrf_failed(request: HttpRequest) -> HttpResponse:
    """403 for a form that was not sent from our own, current page."""
    text = (
        "Nothing was changed. The page was open while you were signed out or signed in again, or your browser keeps no "
        "cookies. Go back, load the page again, and send it once more; a schedule's form offers you what you typed."
    )
    return _error(request, 403, "Please load the page again", text)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404."""
    text = "There is nothing at this address. It may have been deleted, or the link is not complete."
    return _error(request, 404, "Not found", text)


def wrong_method(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """405: somebody opened the address of a button."""
    text = "This address belongs to a button. Nothing was changed. Go back to the page and press the button there."
    shown = _error(request, 405, "Use the button", text)
    shown.headers["Allow"] = response.headers.get("Allow", "POST")
    return shown


def too_many_attempts(request: HttpRequest, wait: str) -> HttpResponse:
    """429 after too many wrong passwords."""
    text = (
        f"The password was wrong too many times for this name. Wait {wait} and try again, "
        "or ask an administrator to let you in sooner or to give you a new password."
    )
    return _alone(429, "Too many wrong passwords", text)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: rendered without the database, which may be what failed."""
    text = "Something went wrong on our side. What you sent was not saved. Try again in a moment; if it happens again, tell an administrator."
    return _alone(500, "Something went wrong", text)


def _error(request: HttpRequest, code: int, title: str, text: str) -> HttpResponse:
    """Inside the admin's frame where staff are signed in, on a page of its own everywhere else, a line for programs."""
    if not request.accepts("text/html"):
        return _line(code, title, text)
    user = getattr(request, "user", None)
    if request.path.startswith("/admin/") and user is not None:
        try:
            if user.is_authenticated and user.is_staff:
                context: dict[str, Any] = {"code": code, "title": title, "text": text}
                return page(request, "scheduler_site/error.html", context, status=code).render()
        except Exception:  # the frame asks the database, which may be what is wrong
            logger.exception("the error page could not be shown in its frame")
    return _alone(code, title, text)


def _alone(code: int, title: str, text: str) -> HttpResponse:
    try:
        return render(None, "error.html", {"code": code, "title": title, "text": text}, status=code)
    except Exception:  # such as styles that were never collected: the words still arrive
        logger.exception("the error page could not be shown in its face")
        return _line(code, title, text)


def _line(code: int, title: str, text: str) -> HttpResponse:
    return HttpResponse(f"{title}. {text}\n", status=code, content_type="text/plain; charset=utf-8")
