"""The only way to a report file: the permission is checked each time, and each download is noted."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_http_methods

from reports import content_types, services, storage
from reports.models import Artefact
from runs import client_address, handed_out
from runs.pages import page


@require_http_methods(["GET", "HEAD"])
def download(request: HttpRequest, key: UUID) -> HttpResponseBase:
    """The file, or the part of it that was asked for.

    Answers 403 without the permission, 410 with a page when the file is no longer kept, 416 for a part
    beyond the end, 304 and 412 by the fingerprint (RFC 9110).
    """
    artefact = Artefact.objects.select_related("report_run").filter(key=key).first()
    if artefact is None:
        raise Http404("There is no such report file.")
    services.require_download(request.user, artefact)

    def record(byte_range: str) -> None:
        services.record_download(request.user, artefact, ip=client_address.of(request), byte_range=byte_range)

    if not artefact.is_available:
        return _gone(request, artefact)
    return hand_out(request, artefact, record) or _gone(request, artefact, is_missing=True)


def hand_out(request: HttpRequest, artefact: Artefact, record: Callable[[str], None]) -> HttpResponseBase | None:
    """The file for whoever may have it; None when it is missing or damaged. ``record`` is told which part is sent."""
    kept = handed_out.KeptFile(
        storage.path_of(artefact.key, artefact.format), artefact.file_name, content_types.of(artefact.format),
        artefact.byte_count, artefact.sha256,
    )  # fmt: skip
    return handed_out.hand_out(request, kept, record)


def _gone(request: HttpRequest, artefact: Artefact, *, is_missing: bool = False) -> HttpResponse:
    context = {
        "artefact": artefact,
        "report_run": artefact.report_run,
        "is_missing": is_missing,
        "title": "This file is no longer here",
    }
    response = page(request, "reports/gone.html", context, status=410)
    response["Cache-Control"] = "private, no-store"
    return response
