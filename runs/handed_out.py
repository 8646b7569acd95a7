"""A kept file as the answer to a browser: whole or in part, never a changed one, and never without its record."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, parse_etags

from runs import accelerated, ranges

CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class KeptFile:
    """A file on the disk, and what is known of it since it was written."""

    path: Path
    name: str
    """What it is called where it is saved."""
    content_type: str
    byte_count: int
    sha256: str

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'

    @property
    def described(self) -> str:
        """Its type as browsers are told it."""
        return f"{self.content_type}; charset=utf-8" if self.content_type.startswith("text/") else self.content_type


def hand_out(request: HttpRequest, kept: KeptFile, record: Callable[[str], None]) -> HttpResponseBase | None:
    """The file for whoever may have it; None when it is missing or damaged. ``record`` is told which part is sent.

    416 for a part beyond the end, 304 and 412 by the fingerprint (RFC 9110).
    """
    try:
        file = kept.path.open("rb")
    except OSError:
        return None
    try:
        size = os.fstat(file.fileno()).st_size
        if size != kept.byte_count:  # somebody changed it behind our back: never hand out half of it
            file.close()
            return None
        response = _answer(request, kept, file, record)
    except BaseException:
        file.close()
        raise
    if not response.streaming:
        file.close()
    return response


def _answer(request: HttpRequest, kept: KeptFile, file: BinaryIO, record: Callable[[str], None]) -> HttpResponseBase:
    size = kept.byte_count
    if handed_on := accelerated.answer(kept.path, kept.described):
        if request.method == "GET":
            record(request.headers.get("Range", "")[:60])
        handed_on["Content-Disposition"] = content_disposition_header(True, kept.name)
        return _guarded(handed_on)
    conditional = get_conditional_response(request, etag=kept.etag)
    if conditional is not None:
        return _with_headers(conditional, kept)
    part: ranges.Part | None = None
    try:
        if request.method == "GET" and _range_applies(request, kept.etag):
            part = ranges.parse(request.headers.get("Range", ""), size)
    except ranges.CannotSatisfy:
        refused = _with_headers(HttpResponse(status=416, content_type="text/plain; charset=utf-8"), kept)
        refused["Content-Range"] = f"bytes */{size}"
        return refused
    sent = part or ranges.Part(0, size - 1)
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(content_type=kept.described)
    else:
        record(f"{part.first}-{part.last}" if part else "")
        response = StreamingHttpResponse(_Slice(file, sent), content_type=kept.described)
    if part is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    response["Content-Length"] = str(sent.length)
    response["Content-Disposition"] = content_disposition_header(True, kept.name)
    return _with_headers(response, kept)


def _with_headers(response: HttpResponseBase, kept: KeptFile) -> HttpResponseBase:
    response["ETag"] = kept.etag
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
