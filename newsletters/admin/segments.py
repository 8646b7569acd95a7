"""The list of segments; a segment's page is in segment_views.py."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from newsletters import segment_views, segments
from newsletters.models import Segment
from newsletters.segment_leaves import Known
from runs import words


class SegmentList(ChangeList):
    """Looks up what all the rules name at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        known = Known.by({"all": [row.rule for row in rows]})
        for row in rows:
            row.sentence = segments.describe(row.rule, known)
        self.result_list = rows


@admin.register(Segment)
class SegmentAdmin(ModelAdmin):  # type: ignore[misc]
    """Segments with their sentence, their size and who uses them."""

    when_empty = (
        "No segment yet. A segment is a part of your readers, by rules: those of the harbour district, those "
        "who joined this year."
    )
    list_display = ("segment", "size", "users")
    list_display_links = None
    list_before_template = "newsletters/admin/segment_list.html"
    search_fields = ("name", "description")
    search_help_text = "Search by name"
    actions = None
    list_per_page = 50
    list_fullwidth = True

    class Media:
        css = {"all": ("newsletters/audience.css",)}

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("add/", wrap(segment_views.add), name="newsletters_segment_add"),
            path("rules/", wrap(segment_views.rules), name="newsletters_segment_rules"),
            path("preview/", wrap(segment_views.preview), name="newsletters_segment_preview"),
            path("<int:segment_id>/change/", wrap(segment_views.change), name="newsletters_segment_change"),
        ]
        return [*own, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SegmentList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Segment]:
        rows: QuerySet[Segment] = super().get_queryset(request)
        return rows.prefetch_related("newsletters")

    def delete_model(self, request: HttpRequest, obj: Segment) -> None:
        segments.delete_segment(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Segment | None = None) -> bool:
        """Only one that no newsletter goes to; its page says which do."""
        may = bool(super().has_delete_permission(request, obj))
        return may and obj is not None and not segments.used_by(obj)

    @admin.display(description="Segment", ordering="name")
    def segment(self, obj: Any) -> SafeString:
        return format_html(
            '<a class="al-name" href="{}">{}</a><span class="al-sub">{}</span>',
            reverse("admin:newsletters_segment_change", args=[obj.pk]), obj.name, obj.sentence,
        )  # fmt: skip

    @admin.display(description="Subscribers", ordering="count")
    def size(self, obj: Segment) -> SafeString | str:
        if obj.count is None or obj.counted_at is None:
            return "Not counted yet"
        who = f"{reverse('admin:newsletters_subscriber_changelist')}?segment={obj.pk}"
        return format_html(
            '<a class="al-name" href="{}">{}</a><span class="al-sub">counted {}</span>',
            who, f"{obj.count:,}", words.relative(obj.counted_at),
        )  # fmt: skip

    @admin.display(description="Used by")
    def users(self, obj: Segment) -> str:
        return ", ".join(str(newsletter) for newsletter in obj.newsletters.all()) or "No newsletter"
