"""The newsletters' own pages in the admin: previews and images. Those of an issue are in issue_views.py."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from newsletters.models import ImageSize


@require_GET
def image_file(request: HttpRequest, size_id: int) -> FileResponse:
    """One size of an image, for staff who may see the library; never the original with its metadata."""
    if not request.user.has_perm("newsletters.view_image"):
        raise PermissionDenied
    size = get_object_or_404(ImageSize, pk=size_id)
    try:
        file = size.file.open("rb")
    except FileNotFoundError as error:
        raise Http404("The file is gone from the disk.") from error
    response = FileResponse(file, filename=f"{size.image_id}-{size.width}.{str(size.file.name).rpartition('.')[2]}")
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, max-age=300"
    return response
