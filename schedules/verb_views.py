"""What people do with one schedule: pause, resume, run now, run past times, skip. By POST; the first one may only ask."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from runs import clock, form_errors, questions, typing_kept
from runs.models import Run
from runs.pages import page
from runs.words import both_clocks, counted
from schedules import backfill, kinds, services, starting, target_panel, targets
from schedules.cron import CronError
from schedules.models import Schedule
from schedules.verb_forms import BackfillForm, PauseForm, ResumeForm
from schedules.views import impact, visible


@questions.by_post
@questions.asks_again
def pause(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Asks why and until when; pauses once a reason is there."""
    schedule = visible(request, schedule_id, "schedules.pause_schedule")
    if schedule.is_paused:
        by = f" by {schedule.paused_by}" if schedule.paused_by else ""
        messages.warning(request, f"“{schedule}” is paused already{by}: {schedule.pause_reason}. Nothing was changed.")
        return questions.leave(request, _back(request, schedule))
    form = PauseForm(**questions.answered(request, "reason"), time_zone=schedule.time_zone)
    if form.is_bound and form.is_valid():
        try:
            services.pause_schedule(
                request.user, schedule.pk, reason=form.cleaned_data["reason"], until=form.cleaned_data["until"]
            )
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            until = form.cleaned_data["until"]
            end = f" until {both_clocks(until, schedule.time_zone)}" if until else ""
            messages.success(request, f"“{schedule}” is paused{end}. A run that has already started goes on.")
            return questions.leave(request, _back(request, schedule))
    context = {"schedule": schedule, "form": form, "title": f"Pause “{schedule}”"}
    return questions.ask(request, "schedules/pause.html", context, back=_back(request, schedule))


@questions.by_post
@questions.asks_again
def resume(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Resumes at once where the pause left nothing out; else shows what it was and asks what becomes of it."""
    schedule = visible(request, schedule_id, "schedules.pause_schedule")
    back = _back(request, schedule)
    if not schedule.is_paused:
        messages.info(request, f"“{schedule}” is active already.")
        return questions.leave(request, back)
    missed = backfill.left_out_by_pause(schedule)
    may_run = bool(missed) and request.user.has_perm("schedules.run_schedule")
    form = ResumeForm(**questions.answered(request, "run"))
    is_answered = form.is_valid() if form.is_bound else "confirmed" in request.POST or not missed
    if request.method == "POST" and is_answered:
        run = form.cleaned_data["run"] if form.is_bound else "none"
        try:
            services.resume_schedule(request.user, schedule.pk, run=run)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, f"“{schedule}” is active again. {_made_up(run, len(missed))}")
            return questions.leave(request, back)
    context = {
        "schedule": schedule,
        "missed": missed,
        "form": form if may_run else None,
        "impact": impact(schedule),
        "title": f"Resume “{schedule}”",
    }
    return questions.ask(request, "schedules/resume.html", context, back=back)


def _made_up(run: str, missed: int) -> str:
    if run == "none":
        return "Nothing that fell into the pause was run."
    if run == "latest":
        return "The latest run is being made up for."
    return f"{counted(missed, 'run')} {'is' if missed == 1 else 'are'} being made up for, one after another."


@typing_kept.keeps_typing
@require_http_methods(["GET", "HEAD", "POST"])
def backfill_past(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Lists the due times of a stretch of the past; runs them on POST, once per shown list."""
    schedule = visible(request, schedule_id, "schedules.run_schedule")
    asked = request.POST if request.method == "POST" else request.GET or questions.typed(request)
    form = BackfillForm(asked if "start" in asked else None, time_zone=schedule.time_zone)
    due_times: list[datetime] = []
    if form.is_bound and form.is_valid():
        start, end = form.cleaned_data["start"], form.cleaned_data["end"]
        try:
            if request.method == "POST":
                key = _form_key(request)
                runs = services.backfill_schedule(request.user, schedule.pk, start, end, key=key)
                messages.success(request, f"{counted(len(runs), 'run')} of “{schedule}” started, one after another.")
                return questions.leave(request, _back(request, schedule))
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


@questions.by_post
@questions.asks_again
def run_now(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Names what will happen and how many it concerns; starts it when that is confirmed, once per shown question."""
    schedule = visible(request, schedule_id, "schedules.run_schedule")
    back = _back(request, schedule)
    kind = schedule.job_kind
    tells = kind is not None and kind.tells_who_asked
    if key := _form_key(request):
        parameters = {"tell_me": "tell_me" in request.POST} if tells else None
        start = partial(services.run_now, request.user, schedule.pk, idempotency_key=key, parameters=parameters)
        return _started(request, str(schedule), start, back)
    questions.typed(request)
    context = {
        "schedule": schedule,
        "impact": impact(schedule),
        "target": schedule.target(),
        "choose_another": targets.CHOOSE_ANOTHER,
        "form_key": uuid.uuid4().hex,
        "tells_who_asked": tells,
        "title": f"Run “{schedule}” now",
    }
    return questions.ask(request, "schedules/run_now.html", context, back=back)


@questions.by_post
@questions.asks_again
def run_once(request: HttpRequest, what: str) -> HttpResponse:
    """The same question for a thing that may be on no schedule; ``what`` is its kind and number, "report:3"."""
    if not request.user.has_perm("schedules.run_schedule"):
        raise PermissionDenied
    kind_key, _, number = what.partition(":")
    kind, target_id = kinds.find(kind_key), int(number) if re.fullmatch(r"[0-9]{1,18}", number) else 0
    target = kind.target(target_id) if kind is not None else None
    if kind is None or target is None:
        raise Http404
    pages = target_panel.pages_of_target(kind, target_id)
    back = questions.asked_from(request, pages, pages[0] if pages else reverse("admin:index"))
    if key := _form_key(request):
        parameters = {"tell_me": "tell_me" in request.POST} if kind.tells_who_asked else None
        start = partial(
            starting.run_once, request.user, kind_key, target_id, idempotency_key=key, parameters=parameters
        )
        return _started(request, str(target), start, back)
    questions.typed(request)
    context = {
        "impact": kind.describe_impact(target), "target": target, "form_key": uuid.uuid4().hex,
        "tells_who_asked": kind.tells_who_asked, "title": f"Run “{target}” now",
    }  # fmt: skip
    return questions.ask(request, "schedules/run_now.html", context, back=back)


@questions.by_post
@questions.asks_again
def skip_next(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Skips the next due time, or takes the skip back."""
    schedule = visible(request, schedule_id, "schedules.pause_schedule")
    if request.method != "POST":
        is_undo = "undo" in questions.typed(request)
        title = f"Skip the next run of “{schedule}”" if not is_undo else f"Take back the skip of “{schedule}”"
        context = {"schedule": schedule, "is_undo": is_undo, "title": title}
        return questions.ask(request, "schedules/skip_next.html", context, back=_back(request, schedule))
    try:
        if "undo" in request.POST:
            services.unskip_next(request.user, schedule.pk)
            messages.success(request, "The next run will take place after all.")
        else:
            services.skip_next(request.user, schedule.pk)
            messages.success(request, "The next run will be skipped. You can take this back until it is due.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return questions.leave(request, _back(request, schedule))


def _started(request: HttpRequest, name: str, start: Callable[[], Run], back: str) -> HttpResponse:
    """Leads to the run's page; back, with the reason, where it could not be started."""
    try:
        run = start()
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return questions.leave(request, back)
    messages.success(request, f"“{name}” was started.")
    return questions.leave(request, reverse("admin:runs_run_change", args=[run.pk]))


def _form_key(request: HttpRequest) -> str:
    """The key that the shown form carried; anything else is no key."""
    key = request.POST.get("form_key", "")
    return key if re.fullmatch(r"[0-9a-f]{32}", key) else ""


def _back(request: HttpRequest, schedule: Schedule) -> str:
    """The page that the button was on: the list, the schedule's own, or that of what it runs."""
    own = reverse("admin:schedules_schedule_detail", args=[schedule.pk])
    return questions.asked_from(
        request, (own, reverse("admin:schedules_schedule_changelist"), *target_panel.pages_of(schedule)), own
    )
