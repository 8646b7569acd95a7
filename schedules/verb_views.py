"""What people do with one schedule: pause, resume, run now, run past times, skip. GET asks, POST does."""

from __future__ import annotations

import re
import uuid
from datetime import datetime

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from runs import clock, form_errors
from runs.pages import page
from runs.words import counted
from schedules import backfill, services
from schedules.cron import CronError
from schedules.models import Schedule
from schedules.verb_forms import BackfillForm, PauseForm, ResumeForm
from schedules.views import impact, visible


@require_http_methods(["GET", "POST"])
def pause(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Asks why and until when; pauses on POST."""
    schedule = visible(request, schedule_id, "schedules.pause_schedule")
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
    """Shows what was left out in the pause and asks what becomes of it; resumes on POST."""
    schedule = visible(request, schedule_id, "schedules.pause_schedule")
    if request.method == "POST" and not schedule.is_paused:
        messages.info(request, f"“{schedule}” is active already.")
        return _back(schedule)
    missed = backfill.left_out_by_pause(schedule)
    may_run = bool(missed) and request.user.has_perm("schedules.run_schedule")
    form = ResumeForm(request.POST if "run" in request.POST else None)
    if request.method == "POST" and (form.is_valid() or not form.is_bound):
        try:
            run = form.cleaned_data["run"] if form.is_bound else "none"
            services.resume_schedule(request.user, schedule.pk, run=run)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            made_up = {
                "none": "Nothing that fell into the pause was run.",
                "latest": "The latest run is being made up for.",
            }
            words = made_up.get(run, f"{len(missed)} runs are being made up for, one after another.")
            messages.success(request, f"“{schedule}” is active again. {words}")
            return _back(schedule)
    context = {
        "schedule": schedule,
        "missed": missed,
        "form": form if may_run else None,
        "impact": impact(schedule),
        "title": f"Resume “{schedule}”",
    }
    return page(request, "schedules/resume.html", context)


@require_http_methods(["GET", "POST"])
def backfill_past(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Lists the due times of a stretch of the past; runs them on POST, once per shown list."""
    schedule = visible(request, schedule_id, "schedules.run_schedule")
    asked = request.POST if request.method == "POST" else request.GET
    form = BackfillForm(asked if "start" in asked else None, time_zone=schedule.time_zone)
    due_times: list[datetime] = []
    if form.is_bound and form.is_valid():
        start, end = form.cleaned_data["start"], form.cleaned_data["end"]
        try:
            if request.method == "POST":
                key = _form_key(request)
                runs = services.backfill_schedule(request.user, schedule.pk, start, end, key=key)
                messages.success(request, f"{counted(len(runs), 'run')} of “{schedule}” started, one after another.")
                return _back(schedule)
            due_times = backfill.due_times(schedule, start, end, clock.now())
        except (ValidationError, CronError) as error:
            form_errors.show(form, error if isinstance(error, ValidationError) else ValidationError(str(error)))
    context = {
        "schedule": schedule,
        "form": form,
        "due_times": due_times,
        "is_listed": form.is_bound and not form.errors,
        "impact": impact(schedule),
        "form_key": uuid.uuid4().hex,
        "title": f"Run past times of “{schedule}”",
    }
    return page(request, "schedules/backfill.html", context)


@require_http_methods(["GET", "POST"])
def run_now(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Names what will happen; starts it on POST, once per shown form."""
    schedule = visible(request, schedule_id, "schedules.run_schedule")
    if request.method == "POST":
        try:
            run = services.run_now(request.user, schedule.pk, idempotency_key=_form_key(request) or None)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return _back(schedule)
        messages.success(request, f"“{schedule}” was started.")
        return HttpResponseRedirect(reverse("admin:runs_run_change", args=[run.pk]))
    context = {
        "schedule": schedule,
        "impact": impact(schedule),
        "target": schedule.target(),
        "form_key": uuid.uuid4().hex,
        "title": f"Run “{schedule}” now",
    }
    return page(request, "schedules/run_now.html", context)


@require_POST
def skip_next(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Skips the next due time, or takes the skip back."""
    schedule = visible(request, schedule_id, "schedules.pause_schedule")
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


def _form_key(request: HttpRequest) -> str:
    """The key that the shown form carried; anything else is no key."""
    key = request.POST.get("form_key", "")
    return key if re.fullmatch(r"[0-9a-f]{32}", key) else ""


def _back(schedule: Schedule) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:schedules_schedule_detail", args=[schedule.pk]))
