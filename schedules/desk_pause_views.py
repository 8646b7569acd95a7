"""Pausing and resuming everything, and the banner that says so on every page of the admin while it lasts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from runs import form_errors, questions, words
from schedules import desk_pause, status
from schedules.models import Schedule
from schedules.verb_forms import EverythingForm

COUNTED = 1000
"""Active schedules are counted up to here; beyond it "more than" says enough."""
NAMED = 5


def banner(request: HttpRequest) -> dict[str, Any]:
    """Context of every template; the one query runs only where a page of the admin shows it."""
    return {"everything_paused": SimpleLazyObject(desk_pause.current)}


@questions.by_post
@questions.asks_again
def pause_everything(request: HttpRequest) -> HttpResponse:
    """Names what it stops and asks why; stops it once a reason is there."""
    _require(request)
    form = EverythingForm(**questions.answered(request, "reason"))
    if form.is_bound and form.is_valid():
        try:
            desk_pause.pause_everything(request.user, reason=form.cleaned_data["reason"])
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, "Everything is paused. Runs that have started go on.")
            return questions.leave(request, _list(request))
    elif desk_pause.current() is not None:
        messages.info(request, "Everything is paused already.")
        return questions.leave(request, _list(request))
    due = status.active(Schedule.objects.all()).order_by("next_due_at").select_related("periodic_task")[:NAMED]
    context = {"form": form, "stops": _stops(), "next_due": due, "title": "Pause everything"}
    return questions.ask(request, "schedules/pause_everything.html", context, back=_list(request))


@questions.by_post
@questions.asks_again
def resume_everything(request: HttpRequest) -> HttpResponse:
    """Ends the pause of everything; nothing that fell into it is run."""
    _require(request)
    if request.method != "POST":
        questions.typed(request)
        context = {"title": "Resume everything"}
        return questions.ask(request, "schedules/resume_everything.html", context, back=_list(request))
    if desk_pause.resume_everything(request.user) is None:
        messages.info(request, "Everything was resumed already.")
    else:
        messages.success(
            request, "Schedules run again from their next due times on. Nothing that fell into the pause was run."
        )
    return questions.leave(request, _list(request))


def _require(request: HttpRequest) -> None:
    if not request.user.has_perm(desk_pause.PERMISSION):
        raise PermissionDenied


def _stops() -> str:
    count = len(status.active(Schedule.objects.all()).order_by().values_list("pk")[: COUNTED + 1])
    if count > COUNTED:
        return f"more than {COUNTED:,} active schedules"
    return words.counted(count, "active schedule")


def _list(request: HttpRequest) -> str:
    address = reverse("admin:schedules_schedule_changelist")
    return questions.asked_from(request, (address,), address)
