"""The form of a schedule: what, when, rules. What it saves goes through services.py."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from schedules import calendar_admin as calendar_admin
from schedules import kinds, services, zones
from schedules.forms import ScheduleForm, rules_as_fields
from schedules.models import Schedule


class ScheduleFormPage(ModelAdmin):  # type: ignore[misc]
    """The form half of the schedules' admin."""

    form = ScheduleForm
    warn_unsaved_form = True
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
