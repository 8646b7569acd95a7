"""The frame of the pages for readers, shown without session or cookie."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from runs.public_pages import POLICY as POLICY
from runs.public_pages import organisation as organisation
from runs.public_pages import public as public

LETTER_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' https: http: data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""For pages that show a letter: its styles are attributes, its pictures may be anywhere. No script in any case."""


def show(template: str, context: dict[str, Any] | None = None, *, status: int = 200) -> HttpResponse:
    """A page for readers. Not rendered with the request: what is not asked for its user sets no cookie."""
    frame = {"organisation": organisation()}
    return HttpResponse(render_to_string(f"newsletters/{template}.html", {**frame, **(context or {})}), status=status)


def is_from_elsewhere(request: HttpRequest) -> bool:
    """Whether the browser says that the form stood on somebody else's page."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
    ours = urlsplit(settings.PUBLIC_URL)
    return origin not in (f"{ours.scheme}://{ours.netloc}", f"{request.scheme}://{request.get_host()}")
