"""The Schedules pages of the admin: list and form. What happens on them goes through services.py."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin

from runs import form_errors, words
from runs.pages import page
from runs.queries import last_runs
from schedules import calendar_admin as calendar_admin
from schedules import kinds, services, views, zones
from schedules.forms import ScheduleForm, rules_as_fields
from schedules.models import Schedule
from schedules.status import status_of
from schedules.verb_forms import PauseForm

# Staff never see a task name, arguments or a queue; the stock pages show all three.
for model in (PeriodicTask, CrontabSchedule, IntervalSchedule, ClockedSchedule, SolarSchedule):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


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


@admin.register(Schedule)
class ScheduleAdmin(ModelAdmin):  # type: ignore[misc]
    """Each row says without a click: on or off, when in words, how it went, when next."""

    form = ScheduleForm
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
    warn_unsaved_form = True
    list_fullwidth = True
    change_form_show_cancel_button = True
    change_form_outer_after_template = "schedules/form_after.html"
    conditional_fields: ClassVar = {
        "expression": "mode == 'cron'",
        "every_amount": "mode == 'interval'",
        "every_unit": "mode == 'interval'",
        "once_at": "mode == 'once'",
        "missed_cap": "missed == 'all'",
        "calendar_rule": "calendar != ''",
    }
    readonly_fields = ("preview",)
    fieldsets = (
        ("What", {"fields": ("what", "name")}),
        (
            "When",
            {
                "fields": (
                    "words",
                    "mode",
                    "expression",
                    ("every_amount", "every_unit"),
                    "once_at",
                    "time_zone",
                    "preview",
                )
            },
        ),
        (
            "Rules",
            {
                "fields": (
                    "missed",
                    "missed_cap",
                    "overlap",
                    ("start_deadline_minutes", "jitter_minutes"),
                    ("ends_at", "max_runs"),
                ),
            },
        ),
        ("Holidays", {"fields": ("calendar", "calendar_rule")}),
        (
            "If something goes wrong",
            {
                "fields": (
                    "time_limit_minutes",
                    ("retries", "retry_delay_minutes"),
                    ("notify_after", "pause_after"),
                    "seen_version",
                ),
            },
        ),
    )

    class Media:
        js = ("schedules/preview.js",)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("preview/", wrap(views.preview), name="schedules_schedule_preview"),
            path("<int:schedule_id>/", wrap(views.detail), name="schedules_schedule_detail"),
            path("<int:schedule_id>/pause/", wrap(views.pause), name="schedules_schedule_pause"),
            path("<int:schedule_id>/resume/", wrap(views.resume), name="schedules_schedule_resume"),
            path("<int:schedule_id>/backfill/", wrap(views.backfill_past), name="schedules_schedule_backfill"),
            path("<int:schedule_id>/run-now/", wrap(views.run_now), name="schedules_schedule_run_now"),
            path("<int:schedule_id>/skip-next/", wrap(views.skip_next), name="schedules_schedule_skip_next"),
        ]
        return [*own, *super().get_urls()]

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

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The form names its own fields; Django would look for them on the model.
        kwargs["fields"] = ()
        form = super().get_form(request, obj, change=change, **kwargs)
        return type("ScheduleForm", (form,), {"actor": request.user})

    def save_model(self, request: HttpRequest, obj: Schedule, form: ScheduleForm, change: bool) -> None:
        actor = request.user
        if change:
            saved = services.edit_schedule(actor, obj.pk, form.draft(), seen_version=form.seen_version_at())
        else:
            saved = services.create_schedule(actor, form.draft())
        obj.pk = saved.pk
        obj.refresh_from_db()

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = {"time_zone_names": zones.offered(), **(extra_context or {})}
        if object_id is None:
            context["kind_rules"] = {kind.key: rules_as_fields(kind.key) for kind in kinds.schedulable()}
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except ValidationError as error:  # a rule that only the write itself can see, such as somebody else's change
            for message in error.messages:
                self.message_user(request, message, "error")
            return HttpResponseRedirect(request.path)

    def response_add(self, request: HttpRequest, obj: Schedule, post_url_continue: str | None = None) -> HttpResponse:
        response = super().response_add(request, obj, post_url_continue)
        return self._to_detail(request, obj) if "_save" in request.POST else response

    def response_change(self, request: HttpRequest, obj: Schedule) -> HttpResponse:
        response = super().response_change(request, obj)
        return self._to_detail(request, obj) if "_save" in request.POST else response

    def _to_detail(self, request: HttpRequest, obj: Schedule) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:schedules_schedule_detail", args=[obj.pk]))

    def delete_model(self, request: HttpRequest, obj: Schedule) -> None:
        services.delete_schedule(request.user, obj.pk)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Deleting a schedule stops it and nothing else: its runs stay in the ledger."""
        return [str(obj) for obj in objs], {"schedules": len(objs)}, set(), []

    @admin.display(description="Preview")
    def preview(self, obj: Schedule | None) -> SafeString:
        return format_html(
            '<div id="schedule-preview" class="al-preview" role="status" aria-live="polite" data-url="{}">{}</div>',
            reverse("admin:schedules_schedule_preview"),
            "Choose when it should run, and the next times appear here.",
        )

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
