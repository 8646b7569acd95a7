"""The layouts of letters."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from newsletters import editor_views, layouts
from newsletters.editor_forms import LayoutForm
from newsletters.models import LetterTemplate
from runs import words


@admin.register(LetterTemplate)
class LayoutAdmin(ModelAdmin):  # type: ignore[misc]
    """What stands around the text of newsletters: name, preview, and who uses it."""

    when_empty = (
        "No layout of your own yet. Letters are sent in ours until you add one: colours, a logo, a footer "
        "around the text."
    )
    form = LayoutForm
    list_display = ("title", "written_in", "used", "changed")
    list_display_links = None
    search_fields = ("name", "description")
    search_help_text = "Search by name or description"
    list_per_page = 50
    actions = None
    warn_unsaved_form = True
    list_fullwidth = True
    compressed_fields = False
    change_form_show_cancel_button = True
    change_form_outer_after_template = "newsletters/admin/layout_editor.html"
    fieldsets = (("Layout", {"fields": ("name", "description", "format", "source")}),)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(editor_views.preview_layout)
        urls: list[URLPattern] = [path("preview/", view, name="newsletters_lettertemplate_preview")]
        return [*urls, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[LetterTemplate]:
        rows: QuerySet[LetterTemplate] = super().get_queryset(request)
        return rows.defer("source").annotate(users=Count("newsletters")) if self._is_list(request) else rows

    def _is_list(self, request: HttpRequest) -> bool:
        match = request.resolver_match
        return match is not None and match.url_name == "newsletters_lettertemplate_changelist"

    def save_model(self, request: HttpRequest, obj: LetterTemplate, form: Any, change: bool) -> None:
        layouts.save_layout(request.user, obj)

    def delete_model(self, request: HttpRequest, obj: LetterTemplate) -> None:
        layouts.delete_layout(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: LetterTemplate | None = None) -> bool:
        """Only a layout that nothing uses can be deleted."""
        may = bool(super().has_delete_permission(request, obj))
        return may and obj is not None and not layouts.used_by(obj)

    @admin.display(description="Layout", ordering="name")
    def title(self, obj: LetterTemplate) -> SafeString:
        return format_html(
            '<a class="al-name" href="{}/change/">{}</a><span class="al-sub">{}</span>',
            obj.pk,
            obj.name,
            obj.description,
        )

    @admin.display(description="Written in", ordering="format")
    def written_in(self, obj: LetterTemplate) -> str:
        return obj.get_format_display()

    @admin.display(description="Used by")
    def used(self, obj: Any) -> str:
        return words.counted(obj.users, "newsletter") if obj.users else "Nothing yet"

    @admin.display(description="Last changed", ordering="changed_at")
    def changed(self, obj: LetterTemplate) -> str:
        return words.relative(obj.changed_at)
