"""The form of a schedule: what, when, rules. What it saves goes through services.py."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.deleted_meanwhile import KeepsWhatWasTyped
from schedules import calendar_admin as calendar_admin
from schedules import kinds, prefills, saving, services, templates_offered, zones
from schedules.forms import ScheduleForm, rules_as_fields
from schedules.models import Schedule

_TIMES = "mode == 'daily' || mode == 'weekly' || mode == 'monthly'"


class ScheduleFormPage(KeepsWhatWasTyped):
    """The form half of the schedules' admin."""

    form = ScheduleForm
    warn_unsaved_form = True
    compressed_fields = False  # labels above their fields: the preview takes the room beside them
    change_form_show_cancel_button = True
    change_form_outer_before_template = "schedules/form_before.html"
    change_form_outer_after_template = "schedules/form_after.html"
    conditional_fields: ClassVar = {
        "every_amount": "mode == 'interval'",
        "every_unit": "mode == 'interval'",
        "weekdays": "mode == 'weekly'",
        "month_on": "mode == 'monthly'",
        "month_day": "mode == 'monthly' && month_on == 'day'",
        "month_nth": "mode == 'monthly' && month_on == 'nth'",
        "month_weekday": "mode == 'monthly' && month_on == 'nth'",
        "times": _TIMES,
        "once_at": "mode == 'once'",
        "expression": "mode == 'cron'",
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
                    "words", "mode", ("every_amount", "every_unit"), "weekdays", "month_on", "month_day",
                    ("month_nth", "month_weekday"), "times", "once_at", "expression", "time_zone",
                )
            },
        ),
        ("What will happen", {"fields": ("preview",), "classes": ("al-form-preview",)}),
        (
            "Rules",
            {
                "fields": (
                    "missed", "missed_cap", "overlap", ("start_deadline_minutes", "jitter_minutes"),
                    ("ends_at", "max_runs"),
                )
            },
        ),
        ("Holidays", {"fields": ("calendar", "calendar_rule")}),
        (
            "If something goes wrong",
            {
                "fields": (
                    "time_limit_minutes", ("retries", "retry_delay_minutes"), ("notify_after", "pause_after"),
                    "seen_version", "seen_entry", "form_key",
                )
            },
        ),
    )  # fmt: skip

    class Media:
        js = ("schedules/preview.js",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return prefills.of_request(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The form names its own fields; Django would look for them on the model.
        kwargs["fields"] = ()
        form = super().get_form(request, obj, change=change, **kwargs)
        own = {"actor": request.user, "refusal": getattr(request, "schedule_refusal", None)}
        return type("ScheduleForm", (form,), own)

    def save_model(self, request: HttpRequest, obj: Schedule, form: ScheduleForm, change: bool) -> None:
        actor = request.user
        if change:
            saved = services.edit_schedule(actor, obj.pk, form.draft(), seen_version=form.seen_version_at())
        else:
            saved = form.first_save or saving.create_once(actor, form.draft())
            request.was_saved_already = form.first_save is not None  # type: ignore[attr-defined]
        obj.pk = saved.pk
        obj.refresh_from_db()

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        is_look = request.method in ("GET", "HEAD") and object_id is not None and object_id.isdigit()
        if is_look and not self.has_change_permission(request):
            return HttpResponseRedirect(reverse("admin:schedules_schedule_detail", args=[object_id]))
        context = {
            "time_zone_names": zones.offered(),
            "show_save_and_add_another": False,
            **(extra_context or {}),
        }
        if object_id is None:
            context["kind_rules"] = {kind.key: rules_as_fields(kind.key) for kind in kinds.schedulable()}
            if not request.GET and request.method == "GET":
                context["templates_offered"] = templates_offered.offered(request.user)
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except ValidationError as error:
            # A rule that only the write itself can see, such as somebody else's change: shown at the form once more,
            # with all that was typed.
            request.schedule_refusal = error  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, context)

    def response_add(self, request: HttpRequest, obj: Schedule, post_url_continue: str | None = None) -> HttpResponse:
        if getattr(request, "was_saved_already", False):
            self.message_user(request, f"“{obj}” had been saved already. Nothing was made twice.", messages.INFO)
            return self._to_detail(request, obj)
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
        edited = f"?schedule={obj.pk}" if obj is not None and obj.pk else ""
        return format_html(
            '<div id="schedule-preview" class="al-preview" data-url="{}{}"><p>{}</p></div>'
            '<p id="schedule-preview-said" class="al-hidden" role="status" aria-live="polite"></p>',
            reverse("admin:schedules_schedule_preview"),
            edited,
            "Choose when it should run, and the next times appear here.",
        )
