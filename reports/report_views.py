"""The page of one report, and what its buttons do."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from reports import access, keeping, report_page, report_words
from reports.library_form import UntilForm, WhyForm
from reports.models import ReportRun
from reports.report_links import PAGE
from runs import audit, form_errors, questions, words
from runs.models import Run
from runs.pages import page, verb
from runs.states import State

_KEY = re.compile(r"[0-9a-f]{32}")
_MONTHS = 3


@require_safe
def detail(request: HttpRequest, report_run_id: int) -> HttpResponse:
    """The whole page; with ``?part=live`` what the page asks for again while the report is being made."""
    if not request.user.has_perm(access.VIEW):
        raise PermissionDenied
    found = get_object_or_404(ReportRun.objects.select_related("definition", "again_of"), pk=report_run_id)
    if request.GET.get("part") == "live":
        run = Run.objects.filter(pk=found.run_id).first()
        shown = report_words.shown(found, run)
        if shown.state != request.GET.get("state"):  # the page is another one now
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        context = {"report_run": found, "shown": shown, **report_page.live(found, run)}
        return render(request, "reports/_making.html", context)
    context = {**report_page.whole(request, found), "form_key": uuid.uuid4().hex}
    context["title"] = f"{found.name}, {context['period']}"
    return page(request, "reports/report.html", context)


@require_safe
def to_page(request: HttpRequest, report_run_id: int) -> HttpResponse:
    """The address that people guess."""
    return HttpResponseRedirect(_back(report_run_id))


@verb(ReportRun, PAGE)
def cancel(request: HttpRequest, report_run_id: int) -> str:
    """Stops its making."""
    if keeping.cancel_report(request.user, report_run_id) == State.CANCELLED:
        return "It is cancelled."
    return "It was asked to stop and does so at its next safe point."


@require_POST
def make_again(request: HttpRequest, report_run_id: int) -> HttpResponse:
    """Makes it once more and shows the new one; the same button pressed twice leads to the same one."""
    audit.require(request.user, keeping.RUN, "make the report again")
    get_object_or_404(ReportRun, pk=report_run_id)
    key = request.POST.get("form_key", "")
    try:
        again = keeping.make_again(request.user, report_run_id, key=key if _KEY.fullmatch(key) else uuid.uuid4().hex)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return HttpResponseRedirect(reverse(PAGE, args=[report_run_id]))
    messages.success(request, "It is made again for the same days. This is the new report.")
    return HttpResponseRedirect(reverse(PAGE, args=[again.pk]))


@questions.by_post
@questions.asks_again
def extend(request: HttpRequest, report_run_id: int) -> HttpResponse:
    """Asks until when; keeps its files so long."""
    found = _asked(request, report_run_id, keeping.EXTEND, "keep the report longer")
    answer = questions.answered(request, "until")
    if not answer.get("initial") and "data" not in answer:
        later = timezone.localdate() + timedelta(days=30 * _MONTHS)
        answer["initial"] = {"until": later.isoformat()}
    form = UntilForm(**answer)
    if form.is_bound and form.is_valid():
        try:
            until = keeping.extend_report(request.user, report_run_id, form.cleaned_data["until"])
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, f"Its files are kept until {words.here(until)}.")
            return questions.leave(request, _back(report_run_id))
    facts = ["All its files are kept so long. It can be changed again later."]
    return _ask(request, found, f"Keep “{found}” longer", facts, "Keep them", form)


@questions.by_post
@questions.asks_again
def delete(request: HttpRequest, report_run_id: int) -> HttpResponse:
    """Asks why; deletes its files for good."""
    found = _asked(request, report_run_id, keeping.DELETE, "delete the report's files")
    form = WhyForm(**questions.answered(request, "reason"))
    if form.is_bound and form.is_valid():
        try:
            number = keeping.delete_files(request.user, report_run_id, form.cleaned_data["reason"])
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, f"{words.counted(number, 'file')} deleted. The record of the report stays.")
            return questions.leave(request, _back(report_run_id))
    facts = [
        "Nobody can download them any more, also not by links that were mailed. They cannot be brought back.",
        "What stays is the record: when it was made, for which days, by whom, and why its files are gone.",
    ]
    return _ask(request, found, f"Delete the files of “{found}”?", facts, "Delete the files", form, is_danger=True)


def _asked(request: HttpRequest, report_run_id: int, permission: str, action: str) -> ReportRun:
    report_run = ReportRun.objects.filter(pk=report_run_id).first()
    audit.require(request.user, permission, action, report_run)
    return report_run or get_object_or_404(ReportRun, pk=report_run_id)


def _ask(
    request: HttpRequest, found: ReportRun, title: str, facts: list[str], button: str, form: forms.Form, **more: Any
) -> HttpResponse:
    context = {"report_run": found, "title": title, "facts": facts, "button": button, "form": form, **more}
    return questions.ask(request, "reports/question.html", context, back=_back(found.pk))


def _back(report_run_id: int) -> str:
    return reverse(PAGE, args=[report_run_id])
