"""The list of SQL queries; a query's page is in views.py."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from reports.models import ReportDefinition, ReportQuery
from reports.queries import approval, page_words, services, verbs, views
from runs.pages import chip

LISTED = 3
"""Reports that the list names."""


@admin.register(ReportQuery)
class ReportQueryAdmin(ModelAdmin):  # type: ignore[misc]
    """Each query: what it answers, where it stands, who wrote it and who approved it, and which reports list it."""

    when_empty = (
        "No SQL query yet. Write one where no data set lists what you need; a second person approves each text, and "
        "it can only read."
    )
    list_display = ("state_chip", "query", "author_name", "approver_name", "users")
    list_display_links = None
    list_select_related = ("author", "approved_by")
    search_fields = ("name", "description")
    search_help_text = "Search by name"
    actions = None
    list_per_page = 50
    list_fullwidth = True

    class Media:
        css = {"all": ("reports/queries.css",)}

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("add/", wrap(views.add), name="reports_reportquery_add"),
            path("<int:query_id>/change/", wrap(views.change), name="reports_reportquery_change"),
            path("<int:query_id>/approve/", wrap(verbs.approve), name="reports_reportquery_approve"),
            path("<int:query_id>/refuse/", wrap(verbs.refuse), name="reports_reportquery_refuse"),
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReportQuery]:
        rows: QuerySet[ReportQuery] = super().get_queryset(request)
        definitions = ReportDefinition.objects.only("name", "query_id").order_by("name")
        return rows.prefetch_related(Prefetch("definitions", definitions))

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, object_id, extra_context)
        except ValidationError as error:  # a report lists it since the page was shown
            messages.error(request, " ".join(error.messages))
            return HttpResponseRedirect(request.path)
        return response

    def delete_model(self, request: HttpRequest, obj: ReportQuery) -> None:
        services.delete_query(request.user, obj.pk)

    def has_delete_permission(self, request: HttpRequest, obj: ReportQuery | None = None) -> bool:
        """Only one that no report lists; its page says which do."""
        may = bool(super().has_delete_permission(request, obj))
        return may and (obj is None or not obj.definitions.exists())

    @admin.display(description="Query", ordering="name")
    def query(self, obj: ReportQuery) -> SafeString:
        return format_html(
            '<a class="al-name" href="{}">{}</a><span class="al-sub">{}</span>',
            approval.page_of(obj), obj.name, obj.description,
        )  # fmt: skip

    @admin.display(description="State", ordering="state")
    def state_chip(self, obj: ReportQuery) -> SafeString:
        return chip(page_words.TONES[ReportQuery.State(obj.state)], obj.get_state_display())

    @admin.display(description="Written by", ordering="author__username")
    def author_name(self, obj: ReportQuery) -> str:
        return page_words.author(obj)

    @admin.display(description="Approved by", ordering="approved_at")
    def approver_name(self, obj: ReportQuery) -> str:
        return page_words.approver(obj)

    @admin.display(description="Used by")
    def users(self, obj: Any) -> str:
        names = [definition.name for definition in obj.definitions.all()]
        more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
        return ", ".join(names[:LISTED]) + more if names else "No report"
