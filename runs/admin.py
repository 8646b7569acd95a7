"""Runs and the activity log in the admin: read-only lists; a run's page is in views.py."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from runs import views, words
from runs.models import Alert, AuditEntry, Run
from runs.pages import chip
from runs.states import FINAL, OPEN
from runs.templatetags.desk import in_zone, outcome, took


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


class StateFilter(admin.SimpleListFilter):
    """States as staff think of them."""

    title = "state"
    parameter_name = "shown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        unfinished = [("open", "Waiting or running")]
        return unfinished + [(state.value, state.label) for state in FINAL]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        value = self.value()
        if value == "open":
            return queryset.filter(state__in=OPEN)
        return queryset.filter(state=value) if value in set(FINAL) else queryset


class ScheduleParameter(admin.SimpleListFilter):
    """Keeps ``?schedule=3`` in links from a schedule's page; offers no choices of its own."""

    title = "schedule"
    parameter_name = "schedule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = request.GET.get("schedule", "")
        return [(value, f"Schedule {value}")] if value.isdigit() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        value = self.value() or ""
        return queryset.filter(schedule_id=int(value)) if value.isdigit() else queryset


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """What happened, newest first."""

    list_display = ("state_chip", "name", "due", "trigger_words", "duration", "result_line")
    list_display_links = None
    list_filter = (StateFilter, "trigger", ScheduleParameter)
    search_fields = ("schedule_name", "target_label")
    search_help_text = "Search by name"
    ordering = ("-due_at", "-id")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("<int:run_id>/change/", wrap(views.detail), name="runs_run_change"),
            path("<int:run_id>/log/", wrap(views.log), name="runs_run_log"),
            path("<int:object_id>/cancel/", wrap(views.cancel), name="runs_run_cancel"),
            path("<int:run_id>/retry/", wrap(views.retry), name="runs_run_retry"),
            path("<int:object_id>/acknowledge/", wrap(views.acknowledge), name="runs_run_acknowledge"),
        ]
        return [*own, *super().get_urls()]

    @admin.display(description="State")
    def state_chip(self, obj: Run) -> SafeString:
        return chip(words.tone(obj.state), words.state(obj))

    @admin.display(description="What")
    def name(self, obj: Run) -> SafeString:
        return format_html(
            '<a class="al-name" href="{}">{}</a><span class="al-sub">{}</span>',
            reverse("admin:runs_run_change", args=[obj.pk]),
            obj.schedule_name or obj.target_label or obj.kind,
            obj.target_label if obj.schedule_name else "",
        )

    @admin.display(description="Due", ordering="due_at")
    def due(self, obj: Run) -> SafeString:
        return format_html(
            '{}<span class="al-sub">{}</span>', words.relative(obj.due_at), in_zone(obj.due_at, obj.time_zone)
        )

    @admin.display(description="Started by")
    def trigger_words(self, obj: Run) -> str:
        return obj.requested_by_name or obj.get_trigger_display()

    @admin.display(description="Took")
    def duration(self, obj: Run) -> str:
        return took(obj)

    @admin.display(description="Result")
    def result_line(self, obj: Run) -> str:
        text = outcome(obj)
        return text if len(text) <= 160 else f"{text[:157]}…"


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who changed or tried what, when and why."""

    list_display = ("at", "who", "action_words", "object_label", "reason")
    list_display_links = ("at",)
    list_filter = ("was_refused",)
    search_fields = ("actor_name", "object_label", "action")
    fields = ("at", "actor_name", "action", "object_label", "object_type", "reason", "was_refused", "before", "after")

    @admin.display(description="Who")
    def who(self, obj: AuditEntry) -> str:
        return obj.actor_name or "Almanac"

    @admin.display(description="Did")
    def action_words(self, obj: AuditEntry) -> str:
        return f"was refused: {obj.action}" if obj.was_refused else obj.action


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
    def since(self, obj: Alert) -> str:
        return words.relative(obj.first_seen_at)

    @admin.display(description="Over", ordering="resolved_at")
    def over(self, obj: Alert) -> str:
        return "" if obj.resolved_at is None else words.relative(obj.resolved_at)

    @admin.display(description="Told")
    def told(self, obj: Alert) -> str:
        return words.counted(obj.told_count, "time") if obj.told_count else "Nobody yet"
