"""The schedule's own page, its verbs and the live preview. GET shows, POST changes."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from runs import clock, queries
from runs.models import AuditEntry
from runs.pages import page
from schedules import previews, services
from schedules.forms import PauseForm
from schedules.models import Schedule
from schedules.status import status_of


@require_http_methods(["GET"])
def detail(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Everything about one schedule on one page."""
    schedule = _visible(request, schedule_id)
    context = {
        "schedule": schedule,
        "status": status_of(schedule),
        "kind": schedule.kind if schedule.job_kind is None else schedule.job_kind.label,
        "target": schedule.target(),
        "impact": _impact(schedule),
        "upcoming": previews.preview_schedule(schedule, clock.now()) if schedule.next_due_at else None,
        "runs": queries.runs_of_schedule(schedule.pk)[:20],
        "changes": AuditEntry.objects.filter(object_type="schedules.schedule", object_id=str(schedule.pk))[:20],
        "title": schedule.name,
    }
    return page(request, "schedules/detail.html", context)


@require_http_methods(["GET", "POST"])
def pause(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Asks why and until when; pauses on POST."""
    schedule = _visible(request, schedule_id, "schedules.pause_schedule")
    form = PauseForm(request.POST or None, time_zone=schedule.time_zone)
    if request.method == "POST" and form.is_valid():
        try:
            services.pause_schedule(
                request.user, schedule.pk, reason=form.cleaned_data["reason"], until=form.cleaned_data["until"]
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, f"“{schedule}” is paused. A run that has already started goes on.")
            return _back(schedule)
    return page(request, "schedules/pause.html", {"schedule": schedule, "form": form, "title": f"Pause “{schedule}”"})


@require_http_methods(["GET", "POST"])
def resume(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Shows what was left out in the pause; resumes on POST without running any of it."""
    schedule = _visible(request, schedule_id, "schedules.pause_schedule")
    if request.method == "POST":
        schedule = services.resume_schedule(request.user, schedule.pk)
        messages.success(request, f"“{schedule}” is active again. Nothing that fell into the pause was run.")
        return _back(schedule)
    missed = queries.skipped_since(schedule.pk, schedule.paused_at) if schedule.paused_at else []
    context = {"schedule": schedule, "missed": missed, "title": f"Resume “{schedule}”"}
    return page(request, "schedules/resume.html", context)


@require_http_methods(["GET", "POST"])
def run_now(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Names what will happen; starts it on POST, once per shown form."""
    schedule = _visible(request, schedule_id, "schedules.run_schedule")
    if request.method == "POST":
        try:
            run = services.run_now(
                request.user, schedule.pk, idempotency_key=request.POST.get("form_key", "")[:64] or None
            )
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return _back(schedule)
        messages.success(request, f"“{schedule}” was started.")
        return HttpResponseRedirect(reverse("admin:runs_run_change", args=[run.pk]))
    context = {
        "schedule": schedule,
        "impact": _impact(schedule),
        "target": schedule.target(),
        "form_key": uuid.uuid4().hex,
        "title": f"Run “{schedule}” now",
    }
    return page(request, "schedules/run_now.html", context)


@require_POST
def skip_next(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Skips the next due time, or takes the skip back."""
    schedule = _visible(request, schedule_id, "schedules.pause_schedule")
    try:
        if "undo" in request.POST:
            services.unskip_next(request.user, schedule.pk)
            messages.success(request, "The next run will take place after all.")
        else:
            services.skip_next(request.user, schedule.pk)
            messages.success(request, "The next run will be skipped. You can take this back until it is due.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return _back(schedule)


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """The panel beside the form, for values that are still being typed. Changes nothing."""
    if not request.user.has_perm("schedules.add_schedule") and not request.user.has_perm("schedules.change_schedule"):
        raise PermissionDenied
    shown = previews.preview(request.POST.dict(), clock.now())
    return render(request, "schedules/_preview.html", {"preview": shown})


def _visible(request: HttpRequest, schedule_id: int, permission: str = "schedules.view_schedule") -> Schedule:
    """The schedule, if this person may; services check and record the same once more."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return get_object_or_404(Schedule.objects.select_related("periodic_task", "paused_by", "owner"), pk=schedule_id)


def _impact(schedule: Schedule) -> str:
    kind, target = schedule.job_kind, schedule.target()
    return "" if kind is None or target is None else kind.describe_impact(target)


def _back(schedule: Schedule) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:schedules_schedule_detail", args=[schedule.pk]))
