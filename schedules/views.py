"""The schedule's own page and the live preview beside its form."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST

from runs import clock, queries
from runs.models import AuditEntry
from runs.pages import page
from schedules import previews
from schedules.models import Schedule
from schedules.status import status_of


@require_http_methods(["GET"])
def detail(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Everything about one schedule on one page."""
    schedule = visible(request, schedule_id)
    context = {
        "schedule": schedule,
        "status": status_of(schedule),
        "kind": schedule.kind if schedule.job_kind is None else schedule.job_kind.label,
        "target": schedule.target(),
        "impact": impact(schedule),
        "upcoming": previews.preview_schedule(schedule, clock.now()) if schedule.next_due_at else None,
        "runs": queries.runs_of_schedule(schedule.pk)[:20],
        "changes": AuditEntry.objects.filter(object_type="schedules.schedule", object_id=str(schedule.pk))[:20],
        "title": schedule.name,
    }
    return page(request, "schedules/detail.html", context)


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """The panel beside the form, for values that are still being typed. Changes nothing."""
    if not request.user.has_perm("schedules.add_schedule") and not request.user.has_perm("schedules.change_schedule"):
        raise PermissionDenied
    shown = previews.preview(request.POST.dict(), clock.now())
    return render(request, "schedules/_preview.html", {"preview": shown})


def visible(request: HttpRequest, schedule_id: int, permission: str = "schedules.view_schedule") -> Schedule:
    """The schedule, if this person may; services check and record the same once more."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return get_object_or_404(Schedule.objects.select_related("periodic_task", "paused_by", "owner"), pk=schedule_id)


def impact(schedule: Schedule) -> str:
    kind, target = schedule.job_kind, schedule.target()
    return "" if kind is None or target is None else kind.describe_impact(target)
