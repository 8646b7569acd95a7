"""What all pages for readers share: the headers, the frame, and a way to be shown without session or cookie."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parseaddr
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
LETTER_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' https: http: data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""For pages that show a letter: its styles are attributes, its pictures may be anywhere. No script in any case."""
View = Callable[..., HttpResponse]


def public(view: View) -> View:
    """GET, HEAD and POST only; nothing is kept by caches, nothing from elsewhere is loaded.

    There is no session here that a foreign page could borrow. What lets somebody in is a signed token in the address,
    or in the form, so mail programs and readers without cookies are as welcome as anybody.
    """

    @csrf_exempt
    @never_cache
    @require_http_methods(["GET", "HEAD", "POST"])
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return guarded


def show(template: str, context: dict[str, Any] | None = None, *, status: int = 200) -> HttpResponse:
    """A page for readers. Not rendered with the request: what is not asked for its user sets no cookie."""
    frame = {"organisation": organisation()}
    return HttpResponse(render_to_string(f"newsletters/{template}.html", {**frame, **(context or {})}), status=status)


def organisation() -> str:
    """Whose pages these are: the name that our mails come from."""
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[0] or urlsplit(settings.PUBLIC_URL).hostname or "Newsletters"


def is_from_elsewhere(request: HttpRequest) -> bool:
    """Whether the browser says that the form stood on somebody else's page."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
    ours = urlsplit(settings.PUBLIC_URL)
    return origin not in (f"{ours.scheme}://{ours.netloc}", f"{request.scheme}://{request.get_host()}")
