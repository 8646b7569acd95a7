"""Pictures as readers' mail programs fetch them: by an address that nobody can guess, kept by caches for a year."""

from __future__ import annotations

import uuid

from django.http import FileResponse, Http404, HttpRequest
from django.views.decorators.http import require_safe

from newsletters.models import Image, ImageSize

TYPES = {"jpg": "image/jpeg", "png": "image/png"}


@require_safe
def public(request: HttpRequest, public_id: uuid.UUID, width: int, extension: str) -> FileResponse:
    """One made size of a picture that is ready; the original, with its metadata, is never handed out."""
    size = ImageSize.objects.filter(image__public_id=public_id, image__state=Image.State.READY, width=width).first()
    if size is None or extension not in TYPES or not str(size.file.name).endswith(f".{extension}"):
        raise Http404("There is no such picture.")
    try:
        file = size.file.open("rb")
    except FileNotFoundError as error:
        raise Http404("The file is gone from the disk.") from error
    response = FileResponse(file, content_type=TYPES[extension])
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Robots-Tag"] = "noindex"
    # Mail programs that run in a browser show it from a page of theirs.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
