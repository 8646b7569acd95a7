"""The only way to a report file: the permission is checked each time, and each download is noted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, parse_etags
from django.views.decorators.http import require_http_methods

from reports import accelerated, content_types, ranges, services, storage
from reports.models import Artefact
from runs import client_address
from runs.pages import page

CHUNK_BYTES = 64 * 1024


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
    try:
        file = storage.path_of(artefact.key, artefact.format).open("rb")
    except OSError:
        return None
    try:
        size = os.fstat(file.fileno()).st_size
        if size != artefact.byte_count:  # somebody changed it behind our back: never hand out half a report
            file.close()
            return None
        response = _answer(request, artefact, file, record)
    except BaseException:
        file.close()
        raise
    if not response.streaming:
        file.close()
    return response


def _answer(
    request: HttpRequest, artefact: Artefact, file: BinaryIO, record: Callable[[str], None]
) -> HttpResponseBase:
    size, etag = artefact.byte_count, f'"{artefact.sha256}"'
    if handed_on := accelerated.answer(storage.path_of(artefact.key, artefact.format), _content_type(artefact)):
        if request.method == "GET":
            record(request.headers.get("Range", "")[:60])
        handed_on["Content-Disposition"] = content_disposition_header(True, artefact.file_name)
        return _guarded(handed_on)
    conditional = get_conditional_response(request, etag=etag)
    if conditional is not None:
        return _with_headers(conditional, artefact, etag)
    part: ranges.Part | None = None
    try:
        if request.method == "GET" and _range_applies(request, etag):
            part = ranges.parse(request.headers.get("Range", ""), size)
    except ranges.CannotSatisfy:
        refused = _with_headers(HttpResponse(status=416, content_type="text/plain; charset=utf-8"), artefact, etag)
        refused["Content-Range"] = f"bytes */{size}"
        return refused
    sent = part or ranges.Part(0, size - 1)
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(content_type=_content_type(artefact))
    else:
        record(f"{part.first}-{part.last}" if part else "")
        response = StreamingHttpResponse(_Slice(file, sent), content_type=_content_type(artefact))
    if part is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    response["Content-Length"] = str(sent.length)
    response["Content-Disposition"] = content_disposition_header(True, artefact.file_name)
    return _with_headers(response, artefact, etag)


def _content_type(artefact: Artefact) -> str:
    found = content_types.of(artefact.format)
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


def _with_headers(response: HttpResponseBase, artefact: Artefact, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    return _guarded(response)


def _guarded(response: HttpResponseBase) -> HttpResponseBase:
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _range_applies(request: HttpRequest, etag: str) -> bool:
    """A part is only sent when it fits what the browser already has (If-Range; dates never match here)."""
    condition = request.headers.get("If-Range")
    return condition is None or parse_etags(condition) == [etag]


class _Slice:
    """Part of an open file in chunks; Django closes it when the answer is done or broken off."""

    def __init__(self, file: BinaryIO, part: ranges.Part) -> None:
        self._file = file
        self._part = part

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._part.first)
        left = self._part.length
        while left > 0 and (chunk := self._file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        self._file.close()


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
