"""The list of schedules: each row says without a click whether it is on, when, how it went and when next."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from runs import form_errors, words
from runs.pages import page
from runs.queries import last_runs
from schedules import calendar_admin as calendar_admin
from schedules import kinds, services
from schedules.models import Schedule
from schedules.status import status_of
from schedules.verb_forms import PauseForm


class StatusFilter(admin.SimpleListFilter):
    """All, active, paused or broken."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "Active"), ("paused", "Paused"), ("broken", "Broken"), ("ended", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        sound = queryset.filter(broken_reason="")
        match self.value():
            case "active":
                return sound.filter(paused_at=None, next_due_at__isnull=False)
            case "paused":
                return queryset.filter(paused_at__isnull=False)
            case "broken":
                return queryset.exclude(broken_reason="")
            case "ended":
                return sound.filter(paused_at=None, next_due_at=None)
        return queryset


class KindFilter(admin.SimpleListFilter):
    """Newsletter, report or cleanup."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.key, kind.label) for kind in kinds.schedulable()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        known = self.value() in {kind.key for kind in kinds.schedulable()}
        return queryset.filter(kind=self.value()) if known else queryset


class ScheduleList(ModelAdmin):  # type: ignore[misc]
    """The list half of the schedules' admin."""

    list_display = ("status", "name_and_target", "when", "last_run", "next_run", "verbs")
    list_display_links = None
    list_filter = (StatusFilter, KindFilter)
    search_fields = ("periodic_task__name",)
    search_help_text = "Search by name"
    list_select_related = ("periodic_task",)
    list_per_page = 50
    show_full_result_count = False
    ordering = ("periodic_task__name",)
    actions = ("pause_selected", "resume_selected")
    list_fullwidth = True

    def get_actions(self, request: HttpRequest) -> Any:
        """Without the stock deletion of many, which would go past the service."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("schedules.pause_schedule"))

    @admin.action(description="Pause…", permissions=["pause"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> HttpResponse | None:
        """Asks for the reason once, then pauses each through the same service as its own page."""
        schedules = list(queryset.select_related("periodic_task"))
        is_confirmed = "confirmed" in request.POST
        form = PauseForm(request.POST if is_confirmed else None, time_zone=timezone.get_current_timezone_name())
        if not (is_confirmed and form.is_valid()):
            title = f"Pause {words.counted(len(schedules), 'schedule')}"
            return page(request, "schedules/pause_many.html", {"schedules": schedules, "form": form, "title": title})
        try:
            with transaction.atomic():
                for schedule in schedules:
                    services.pause_schedule(request.user, schedule.pk, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
            return page(request, "schedules/pause_many.html", {"schedules": schedules, "form": form, "title": "Pause"})
        self.message_user(request, f"{words.counted(len(schedules), 'schedule')} paused.", messages.SUCCESS)
        return None

    @admin.action(description="Resume", permissions=["pause"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Resumes each; nothing that fell into a pause is run. A schedule's own page offers to make up for it."""
        paused = list(queryset.filter(paused_at__isnull=False).values_list("pk", flat=True))
        for schedule_id in paused:
            services.resume_schedule(request.user, schedule_id)
        done = f"{words.counted(len(paused), 'schedule')} resumed. Nothing that fell into a pause was run."
        self.message_user(request, done, messages.SUCCESS)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        runs = last_runs([schedule.pk for schedule in changelist.result_list])
        labels = _target_labels(list(changelist.result_list))
        for schedule in changelist.result_list:
            schedule.shown_last_run = runs.get(schedule.pk)
            schedule.shown_target = labels.get((schedule.kind, schedule.target_id))
        return changelist

    @admin.display(description="Status")
    def status(self, obj: Schedule) -> SafeString:
        status = status_of(obj)
        return format_html(
            '<span class="al-chip al-chip-{}" title="{}">{}</span>', status.tone, status.detail, status.word
        )

    @admin.display(description="Name", ordering="periodic_task__name")
    def name_and_target(self, obj: Any) -> SafeString:
        return format_html(
            '<a class="al-name" href="{}">{}</a><span class="al-sub">{}</span>',
            reverse("admin:schedules_schedule_detail", args=[obj.pk]),
            obj.name,
            obj.shown_target or "What it should run no longer exists",
        )

    @admin.display(description="When")
    def when(self, obj: Schedule) -> SafeString:
        return format_html('{}<span class="al-sub">{}</span>', obj.describe(), obj.time_zone)

    @admin.display(description="Last run")
    def last_run(self, obj: Any) -> SafeString | str:
        run = obj.shown_last_run
        if run is None:
            return "Not yet"
        return format_html(
            '<a href="{}"><span class="al-chip al-chip-{}">{}</span></a><span class="al-sub">{}</span>',
            reverse("admin:runs_run_change", args=[run.pk]),
            words.tone(run.state),
            words.state(run),
            words.relative(run.due_at),
        )

    @admin.display(description="Next run", ordering="next_due_at")
    def next_run(self, obj: Schedule) -> SafeString | str:
        if obj.next_due_at is None:
            return "None"
        skipped = obj.skip_at == obj.next_due_at
        note = "will be skipped" if skipped else "paused: will be skipped" if obj.is_paused else ""
        return format_html(
            '{}<span class="al-sub">{}{}</span>',
            words.relative(obj.next_due_at) if obj.next_due_at > timezone.now() else "Now",
            words.local(obj.next_due_at, obj.time_zone),
            f" ({note})" if note else "",
        )

    @admin.display(description="Do")
    def verbs(self, obj: Schedule) -> SafeString:
        resume_or_pause = ("resume", "Resume") if obj.is_paused else ("pause", "Pause")
        links = [
            (reverse(f"admin:schedules_schedule_{verb}", args=[obj.pk]), label, obj.name)
            for verb, label in (resume_or_pause, ("run_now", "Run now"))
        ]
        return format_html(
            '<span class="al-verbs">{}</span>',
            format_html_join("", '<a class="al-button" href="{}">{}<span class="al-hidden"> {}</span></a>', links),
        )


def _target_labels(schedules: list[Schedule]) -> dict[tuple[str, int], str]:
    """The names of what the page's schedules run."""
    found = kinds.find_targets((schedule.kind, schedule.target_id) for schedule in schedules)
    return {key: f"{kinds.get(key[0]).label}: {target}" for key, target in found.items()}
