"""Runs and alerts in the admin. The pages of runs are in list_views.py and views.py."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from runs import list_views, views, words
from runs.models import Alert, Run
from runs.pages import chip, when


class LongListAdmin(ModelAdmin):  # type: ignore[misc]
    """A list that stays fast at millions of rows, because nothing is counted."""

    actions = None
    paginator = InfinitePaginator
    show_full_result_count = False
    list_disable_select_all = True
    list_per_page = 50
    list_fullwidth = True


class ReadOnlyAdmin(LongListAdmin):
    """Facts that nobody edits."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """What happened: the addresses of the list and of each run's page."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("", wrap(list_views.index), name="runs_run_changelist"),
            path("acknowledge/", wrap(list_views.acknowledge_many), name="runs_run_acknowledge_many"),
            path("<int:run_id>/change/", wrap(views.detail), name="runs_run_change"),
            path("<int:run_id>/log/", wrap(views.log), name="runs_run_log"),
            path("<int:object_id>/cancel/", wrap(views.cancel), name="runs_run_cancel"),
            path("<int:run_id>/retry/", wrap(views.retry), name="runs_run_retry"),
            path("<int:object_id>/acknowledge/", wrap(views.acknowledge), name="runs_run_acknowledge"),
        ]
        return [*own, *super().get_urls()]


class OpenFilter(admin.SimpleListFilter):
    """Problems that last, or those that are over."""

    title = "state"
    parameter_name = "shown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Not over"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        value = self.value()
        return queryset.filter(resolved_at__isnull=value == "open") if value in ("open", "over") else queryset


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Problems that people were told of, the newest first."""

    when_empty = "No problem was ever reported."
    list_display = ("state_chip", "what", "since", "over", "told")
    list_display_links = None
    list_filter = (OpenFilter, "level")
    search_fields = ("title", "detail")

    @admin.display(description="State")
    def state_chip(self, obj: Alert) -> SafeString:
        if not obj.is_open:
            return chip("quiet", "Over")
        return chip("bad" if obj.level == Alert.Level.ERROR else "warn", obj.get_level_display())

    @admin.display(description="What")
    def what(self, obj: Alert) -> SafeString:
        name = format_html('<a class="al-name" href="{}">{}</a>', obj.url, obj.title) if obj.url else obj.title
        return format_html('{}<span class="al-sub">{}</span>', name, obj.detail)

    @admin.display(description="Since", ordering="first_seen_at")
    def since(self, obj: Alert) -> SafeString:
        return when(obj.first_seen_at)

    @admin.display(description="Over", ordering="resolved_at")
    def over(self, obj: Alert) -> SafeString | str:
        return "" if obj.resolved_at is None else when(obj.resolved_at)

    @admin.display(description="Told")
    def told(self, obj: Alert) -> str:
        return words.counted(obj.told_count, "time") if obj.told_count else "Nobody yet"


from runs import activity_admin as activity_admin  # noqa: E402 - it builds on the lists above
