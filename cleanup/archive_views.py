"""The only way to an archive's file: the permission is checked each time, and each download is on record."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from cleanup import archive
from cleanup.archive_file import ArchiveError
from cleanup.models import ArchivePart
from runs import audit, clock, handed_out, questions, words
from runs.handed_out import KeptFile
from runs.pages import page

VIEW = "cleanup.view_archivepart"
DOWNLOAD = "cleanup.download_archivepart"
DELETE = "cleanup.delete_archivepart"


@require_http_methods(["GET", "HEAD"])
def download(request: HttpRequest, key: UUID) -> HttpResponseBase:
    """The file, or the part of it that was asked for; 410 with a page when it is no longer kept."""
    part = ArchivePart.objects.select_related("cleanup_run").filter(key=key).first()
    if part is None:
        raise Http404("There is no such archive.")
    audit.require(request.user, DOWNLOAD, "download the archive", part)

    def record(byte_range: str) -> None:
        after = {"sha256": part.sha256, "bytes": byte_range or f"all {part.byte_count}"}
        audit.record(request.user, "downloaded the archive", part, after=after)

    if part.deleted_at is not None or (part.expires_at is not None and part.expires_at <= clock.now()):
        return _gone(request, part)
    kept = KeptFile(
        archive.path_of(part), archive.file_name(part), archive.content_type(part), part.byte_count, part.sha256
    )
    return handed_out.hand_out(request, kept, record) or _gone(request, part, is_missing=True)


@require_safe
def to_run(request: HttpRequest, part_id: int) -> HttpResponse:
    """An archive has no page of its own: it stands on that of the cleaning that wrote it."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    return HttpResponseRedirect(_page(get_object_or_404(ArchivePart, pk=part_id)))


@questions.by_post
@questions.asks_again
def delete_file(request: HttpRequest, part_id: int) -> HttpResponse:
    """Asks; then deletes the copy for good and keeps its record."""
    part = get_object_or_404(ArchivePart.objects.select_related("cleanup_run"), pk=part_id)
    audit.require(request.user, DELETE, "delete the archive", part)
    if "confirmed" in request.POST:
        try:
            archive.delete_part(request.user, part_id)
        except ArchiveError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, "The copy is deleted. What it held cannot be put back any more.")
        return questions.leave(request, _page(part))
    facts = [
        f"It is the only copy of {words.counted(part.row_count, 'row')} that were deleted. Without it nobody can put them back.",
        "That it was there, and who deleted it, stays on record.",
    ]
    context = {
        "title": f"Delete this copy of “{part.cleanup_run.policy_name}”?", "facts": facts, "button": "Delete the copy",
        "form": forms.Form(), "is_danger": True, "confirmed": True,
    }  # fmt: skip
    return questions.ask(request, "cleanup/question.html", context, back=_page(part))


def _page(part: ArchivePart) -> str:
    return reverse("admin:cleanup_cleanuprun_change", args=[part.cleanup_run_id])


def _gone(request: HttpRequest, part: ArchivePart, *, is_missing: bool = False) -> HttpResponse:
    context = {"part": part, "is_missing": is_missing, "title": "This archive is no longer here"}
    response = page(request, "cleanup/archive_gone.html", context, status=410)
    response["Cache-Control"] = "private, no-store"
    return response
