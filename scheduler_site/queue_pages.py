"""The page of workers and queues, and pausing and resuming a queue from it."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from unfold.widgets import UnfoldAdminTextInputWidget

from runs import form_errors, questions, queue_pauses, typing_kept
from runs.pages import page
from scheduler_site import queues

PERMISSION = "runs.view_run"


class PauseQueueForm(forms.Form):
    """Why."""

    reason = forms.CharField(
        label="Why?", max_length=200, widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Others will see this, such as “The mail provider is down until noon”.",
        error_messages={"required": "Say why it is paused, so that others understand."},
    )  # fmt: skip


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What waits, who works, whether the clock ticks."""
    _require(request, PERMISSION)
    return page(request, "scheduler_site/queues.html", {"title": "Workers and queues", **queues.facts()})


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Only the part of the page that changes by itself."""
    _require(request, PERMISSION)
    return render(request, "scheduler_site/_queues.html", queues.facts())


@typing_kept.keeps_typing
@require_http_methods(["GET", "POST"])
def pause(request: HttpRequest, queue: str) -> HttpResponse:
    """Asks why; pauses on POST."""
    _require(request, queue_pauses.PERMISSION)
    _require_known(queue)
    form = PauseQueueForm(**questions.answered(request, "reason"))
    if request.method == "POST" and form.is_valid():
        try:
            queue_pauses.pause_queue(request.user, queue, reason=form.cleaned_data["reason"])
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, f"The queue “{queue}” is paused. Runs that have started go on.")
            return _back()
    context = {"queue": queue, "form": form, "title": f"Pause the queue “{queue}”"}
    return page(request, "scheduler_site/pause_queue.html", context)


@require_POST
def resume(request: HttpRequest, queue: str) -> HttpResponse:
    """Lets its runs start again; a second click only says so."""
    _require(request, queue_pauses.PERMISSION)
    _require_known(queue)
    if queue_pauses.resume_queue(request.user, queue):
        messages.success(request, f"The queue “{queue}” is running again; what waited starts within a minute.")
    else:
        messages.info(request, f"The queue “{queue}” is not paused.")
    return _back()


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _require_known(queue: str) -> None:
    if queue not in queues.known_queues():
        raise Http404


def _back() -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:queues"))
