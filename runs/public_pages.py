"""What all pages for people without an account share: the headers, and whose pages they are."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parseaddr
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
View = Callable[..., HttpResponseBase]


def public(view: View) -> View:
    """GET, HEAD and POST only; nothing is kept by caches, nothing from elsewhere is loaded.

    There is no session here that a foreign page could borrow. What lets somebody in is a signed token in the address,
    or in the form, so mail programs and readers without cookies are as welcome as anybody.
    """

    @csrf_exempt
    @never_cache
    @require_http_methods(["GET", "HEAD", "POST"])
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return guarded


def organisation() -> str:
    """Whose pages these are: the name that our mails come from."""
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[0] or urlsplit(settings.PUBLIC_URL).hostname or "Almanac"
