"""The Schedules pages of the admin. What happens on them goes through services.py."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from schedules import calendar_admin as calendar_admin
from schedules import desk_pause_views, form_views, verb_views, views
from schedules.deletion import what_stops
from schedules.form_admin import ScheduleFormPage
from schedules.list_admin import ScheduleList
from schedules.models import Schedule

# Staff never see a task name, arguments or a queue; the stock pages show all three.
for model in (PeriodicTask, CrontabSchedule, IntervalSchedule, ClockedSchedule, SolarSchedule):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Schedule)
class ScheduleAdmin(ScheduleList, ScheduleFormPage):
    """List, form, and the addresses of a schedule's own pages."""

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Asks, and shows what stops."""
        schedule = Schedule.objects.filter(pk=object_id).select_related("periodic_task").first()
        stops = what_stops(schedule) if schedule is not None and self.has_delete_permission(request, schedule) else {}
        response: HttpResponse = super().delete_view(request, object_id, {**stops, **(extra_context or {})})
        return response

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("preview/", wrap(form_views.preview), name="schedules_schedule_preview"),
            path(
                "pause-everything/",
                wrap(desk_pause_views.pause_everything),
                name="schedules_schedule_pause_everything",
            ),
            path(
                "resume-everything/",
                wrap(desk_pause_views.resume_everything),
                name="schedules_schedule_resume_everything",
            ),
            path("<int:schedule_id>/", wrap(views.detail), name="schedules_schedule_detail"),
            path("<int:schedule_id>/pause/", wrap(verb_views.pause), name="schedules_schedule_pause"),
            path("<int:schedule_id>/resume/", wrap(verb_views.resume), name="schedules_schedule_resume"),
            path("<int:schedule_id>/backfill/", wrap(verb_views.backfill_past), name="schedules_schedule_backfill"),
            path("<int:schedule_id>/run-now/", wrap(verb_views.run_now), name="schedules_schedule_run_now"),
            path(
                "run-once/<str:what>/",
                wrap(verb_views.run_once),
                name="schedules_schedule_run_once",
            ),
            path("<int:schedule_id>/skip-next/", wrap(verb_views.skip_next), name="schedules_schedule_skip_next"),
        ]
        return [*own, *super().get_urls()]
