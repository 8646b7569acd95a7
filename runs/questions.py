"""A question asked before something is done: a page of its own, or a dialog on the page where the button is.

``scheduler_site/dialog.js`` asks with the header :data:`HEADER`. It then gets only the question, and is told where to go
afterwards instead of being sent there, so that the message of what was done is shown by the page that comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse

from runs import typing_kept
from runs.pages import page

HEADER = "Almanac-Dialog"
GO_TO = "Almanac-Go-To"
STILL_TO_DO = "You had to sign in again, so nothing has been done yet. Look at it once more, and confirm it below."


def ask(request: HttpRequest, template: str, context: dict[str, Any], *, back: str) -> HttpResponse:
    """Shows the question; ``back`` is the page that asks, and where its answer leads.

    The template extends ``base`` and gives its form the ``action`` ``request.path``.
    """
    context = {**context, "back": back}
    if not _is_dialog(request):
        return page(request, template, {**context, "base": "admin/base_site.html"})
    return TemplateResponse(request, template, {**context, "base": "runs/_dialog.html"}, headers={HEADER: "question"})


def by_post(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Only its button opens this address.

    Whoever had to sign in again after pressing it sees the question with what they had typed, where the view is one that
    :func:`asks_again`; whoever comes otherwise is told in words that nothing was done.
    """

    @typing_kept.keeps_typing
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            answer = view(request, *args, **kwargs)
            typing_kept.forget(request, answer)
            return answer
        if getattr(view, "asks_again", False) and typing_kept.of(request) is not None:
            return view(request, *args, **kwargs)
        answer = page(request, "runs/by_post.html", {"title": "Nothing was changed"}, status=405)
        answer.headers["Allow"] = "POST"
        return answer

    return guarded


def asks_again(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Marks a view that promises to do nothing but ask when its address is opened by GET."""
    view.asks_again = True  # type: ignore[attr-defined]
    return view


def typed(request: HttpRequest) -> QueryDict:
    """What this person had typed before they had to sign in again, which they are told; empty as a rule."""
    found = typing_kept.of(request)
    if found is None:
        return QueryDict()
    messages.warning(request, STILL_TO_DO)
    return found


def answered(request: HttpRequest, field: str) -> dict[str, Any]:
    """Arguments of the question's form: bound to the answer once ``field`` came, else filled with what was typed before."""
    if request.method == "POST" and field in request.POST:
        return {"data": request.POST}
    return {"initial": typed(request).dict()}


def leave(request: HttpRequest, url: str) -> HttpResponse:
    """Ends a question: goes to the page ``url``."""
    if _is_dialog(request):
        return HttpResponse(status=204, headers={GO_TO: url})
    return HttpResponseRedirect(url)


def asked_from(request: HttpRequest, pages: Iterable[str], otherwise: str) -> str:
    """The page that the form names as ``next``, if it is one of ``pages`` (whatever its parameters); never another's."""
    named = urlsplit((typing_kept.of(request) or request.POST).get("next", ""))
    if named.scheme or named.netloc or named.path not in set(pages):
        return otherwise
    return named._replace(fragment="").geturl()


def _is_dialog(request: HttpRequest) -> bool:
    return HEADER in request.headers
