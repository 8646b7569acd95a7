"""The list of archives; what each holds stands on the page of the cleaning that wrote it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cleanup import archive_views, targets
from cleanup.models import ArchivePart
from runs import words
from runs.admin import ReadOnlyAdmin
from runs.pages import when


@admin.register(ArchivePart)
class ArchivePartAdmin(ReadOnlyAdmin):
    """Every copy that a cleaning kept, the newest first."""

    when_empty = "No archive yet. A policy that keeps a copy of what it deletes writes one with each run."
    list_display = ("written", "source", "what", "rows_kept", "size", "kept", "file")
    list_display_links = None
    list_select_related = ("cleanup_run",)
    ordering = ("-id",)
    list_before_template = "cleanup/archives_before.html"

    class Media:
        css: ClassVar = {"all": ("cleanup/cleanup.css",)}

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("<int:part_id>/change/", wrap(archive_views.to_run), name="cleanup_archivepart_change"),
            # Cacheable as far as the admin is concerned: the view sets its own, stricter, header.
            path(
                "<uuid:key>/download/",
                wrap(archive_views.download, cacheable=True),
                name="cleanup_archivepart_download",
            ),
            path("<int:part_id>/delete-file/", wrap(archive_views.delete_file), name="cleanup_archivepart_delete_file"),
        ]
        return [*own, *super().get_urls()]

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.list_display if request.user.has_perm(archive_views.DOWNLOAD) else self.list_display[:-1]

    @admin.display(description="Written", ordering="id")
    def written(self, obj: ArchivePart) -> SafeString:
        return when(obj.written_at)

    @admin.display(description="Policy")
    def source(self, obj: ArchivePart) -> SafeString:
        url = reverse("admin:cleanup_cleanuprun_change", args=[obj.cleanup_run_id])
        return format_html(
            '<a class="al-name" href="{}">{}</a><span class="al-sub">Part {} of run {}</span>',
            url,
            obj.cleanup_run.policy_name,
            obj.number,
            obj.cleanup_run.run_id,
        )

    @admin.display(description="Holds")
    def what(self, obj: ArchivePart) -> str:
        return targets.label(obj.target)

    @admin.display(description="Rows")
    def rows_kept(self, obj: ArchivePart) -> str:
        return f"{obj.row_count:,}"

    @admin.display(description="Size")
    def size(self, obj: ArchivePart) -> str:
        return f"{filesizeformat(obj.byte_count)}"

    @admin.display(description="Kept")
    def kept(self, obj: ArchivePart) -> SafeString | str:
        if obj.deleted_at is not None:
            return format_html('Deleted<span class="al-sub">{}</span>', words.here(obj.deleted_at))
        return format_html("until {}", words.here(obj.expires_at)) if obj.expires_at else "until it is deleted"

    @admin.display(description="File")
    def file(self, obj: ArchivePart) -> SafeString | str:
        if obj.deleted_at is not None:
            return "–"
        url = reverse("admin:cleanup_archivepart_download", args=[obj.key])
        return format_html(
            '<a class="al-button" href="{}">Download<span class="al-hidden"> part {} of {}</span></a>',
            url, obj.number, obj.cleanup_run,
        )  # fmt: skip
