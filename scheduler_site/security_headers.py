"""Adds the content security policy: strict for readers' pages, as strict as Unfold allows for the admin.

Unfold's Alpine build evaluates attribute expressions, hence 'unsafe-eval' there and only there.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_COMMON = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'"
ADMIN_POLICY = (
    f"{_COMMON}; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "frame-src 'self'; frame-ancestors 'none'"
)
PUBLIC_POLICY = f"{_COMMON}; script-src 'none'; style-src 'self'; frame-ancestors 'none'"


class SecurityHeaders:
    """Sets the policy where a view has not set its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        policy = ADMIN_POLICY if request.path.startswith("/admin/") else PUBLIC_POLICY
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        return response
