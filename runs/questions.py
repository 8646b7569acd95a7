"""A question asked before something is done: a page of its own, or a dialog on the page where the button is.

``scheduler_site/dialog.js`` asks with the header :data:`HEADER`. It then gets only the question, and is told where to go
afterwards instead of being sent there, so that the message of what was done is shown by the page that comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from runs.pages import page

HEADER = "Almanac-Dialog"
GO_TO = "Almanac-Go-To"


def ask(request: HttpRequest, template: str, context: dict[str, Any], *, back: str) -> HttpResponse:
    """Shows the question; ``back`` is the page that asks, and where its answer leads.

    The template extends ``base`` and gives its form the ``action`` ``request.path``.
    """
    context = {**context, "back": back}
    if not _is_dialog(request):
        return page(request, template, {**context, "base": "admin/base_site.html"})
    return TemplateResponse(request, template, {**context, "base": "runs/_dialog.html"}, headers={HEADER: "question"})


def by_post(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Only its button opens this address. Whoever comes otherwise, as after signing in again, is told so in words."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            return view(request, *args, **kwargs)
        answer = page(request, "runs/by_post.html", {"title": "Nothing was changed"}, status=405)
        answer.headers["Allow"] = "POST"
        return answer

    return guarded


def leave(request: HttpRequest, url: str) -> HttpResponse:
    """Ends a question: goes to the page ``url``."""
    if _is_dialog(request):
        return HttpResponse(status=204, headers={GO_TO: url})
    return HttpResponseRedirect(url)


def asked_from(request: HttpRequest, pages: Iterable[str], otherwise: str) -> str:
    """The page that the form names as ``next``, if it is one of ``pages`` (whatever its parameters); never another's."""
    named = urlsplit(request.POST.get("next", ""))
    if named.scheme or named.netloc or named.path not in set(pages):
        return otherwise
    return named._replace(fragment="").geturl()


def _is_dialog(request: HttpRequest) -> bool:
    return HEADER in request.headers
