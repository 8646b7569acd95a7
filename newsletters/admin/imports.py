"""Imports of subscribers: the list of them, and the addresses of their pages."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from newsletters import import_views as views
from newsletters.models import ImportJob
from runs import words
from runs.admin import ReadOnlyAdmin
from runs.pages import chip


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnlyAdmin):
    """Files that were uploaded, the newest first; a file's pages are in import_views.py."""

    when_empty = (
        "No file was brought in yet. An import takes subscribers from a table: every row is tried first, and "
        "only then anybody is added."
    )
    list_display = ("name", "state_chip", "of_rows", "outcome", "uploaded")
    list_display_links = None
    list_filter = ("state",)
    search_fields = ("original_name",)
    search_help_text = "Search by the file's name"
    list_select_related = ("owner",)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        verbs = {
            "columns": views.columns, "problems": views.problems,
        }  # fmt: skip
        buttons = {
            "start": views.start, "continue": views.go_on, "cancel": views.cancel, "delete-file": views.delete_file,
        }  # fmt: skip
        own = [
            path("add/", wrap(views.upload), name="newsletters_importjob_add"),
            path("<int:job_id>/change/", wrap(views.show), name="newsletters_importjob_change"),
            *(
                path(f"<int:job_id>/{verb}/", wrap(view), name=f"newsletters_importjob_{verb}")
                for verb, view in verbs.items()
            ),
            *(
                path(f"<int:object_id>/{verb}/", wrap(view), name=f"newsletters_importjob_{verb.replace('-', '_')}")
                for verb, view in buttons.items()
            ),
        ]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The list's button leads to the upload."""
        user = request.user
        return not isinstance(user, AnonymousUser) and user.has_perm("newsletters.add_importjob")

    @admin.display(description="File", ordering="id")
    def name(self, obj: ImportJob) -> SafeString:
        address = reverse("admin:newsletters_importjob_change", args=[obj.pk])
        return format_html('<a class="al-name" href="{}">{}</a>', address, obj)

    @admin.display(description="State", ordering="state")
    def state_chip(self, obj: ImportJob) -> SafeString:
        return chip(views.TONES[ImportJob.State(obj.state)], obj.get_state_display())

    @admin.display(description="Rows", ordering="rows")
    def of_rows(self, obj: ImportJob) -> str:
        return "Not known yet" if obj.rows is None else f"{obj.rows:,}"

    @admin.display(description="Outcome")
    def outcome(self, obj: ImportJob) -> str:
        if obj.state not in (ImportJob.State.DONE, ImportJob.State.CANCELLED, ImportJob.State.RUNNING):
            return obj.problem or "Nothing imported yet"
        counted = ((obj.added, "added"), (obj.updated, "changed"), (obj.suppressed, "opted out"), (obj.wrong, "wrong"))
        return ", ".join(f"{number:,} {word}" for number, word in counted if number) or "Nothing new"

    @admin.display(description="Uploaded", ordering="created_at")
    def uploaded(self, obj: ImportJob) -> SafeString:
        return format_html('{}<span class="al-sub">{}</span>', words.relative(obj.created_at), obj.owner or "")
