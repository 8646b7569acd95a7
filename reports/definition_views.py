"""The live parts of the page on which a report is put together. Both take what is typed and change nothing stored."""

from __future__ import annotations

from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from reports import previews, selection_forms, selection_panel
from reports.forms import ReportForm
from reports.models import ReportDefinition
from reports.previews import Preview
from runs.row_numbers import row_number

VIEW, ADD, CHANGE = (f"reports.{verb}_reportdefinition" for verb in ("view", "add", "change"))
SHOWN_OF = ("data_set", "owner", "period", "last_n", "fixed_first", "fixed_last", "time_zone")
"""The fields that the preview depends on: while one of them is wrong there is none."""


@require_POST
def panel(request: HttpRequest) -> HttpResponse:
    """The builder after a button or another data set."""
    if not (request.user.has_perm(ADD) or request.user.has_perm(CHANGE)):
        raise PermissionDenied
    typed = selection_forms.change(
        selection_forms.read(request.POST, request.POST.get("data_set", "")), request.POST.get("do", "")
    )
    context = selection_panel.context(typed, {})
    if request.POST.get("s.of", "") != typed.source:
        # What a condition may look at belongs to the data set.
        form = form_of(request, None)
        context["threshold_of"] = form["threshold_of"].as_widget(attrs={"hx-swap-oob": "true"})
    return render(request, "reports/_selection.html", context)


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """What the report would hold as it is typed; for those who may only look, as it is stored."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    number = row_number(request.GET.get("report", ""))
    stored = ReportDefinition.objects.filter(pk=number).first() if number is not None else None
    may_type = request.user.has_perm(CHANGE if stored is not None else ADD)
    if may_type:
        shown = preview_of(form_of(request, stored))
    elif stored is not None:
        shown = previews.preview(stored, request.user)
    else:
        raise PermissionDenied
    return render(request, "reports/_preview.html", {"preview": shown, "zone": stored.time_zone if stored else ""})


def form_of(request: HttpRequest, stored: ReportDefinition | None) -> ReportForm:
    """The form as it was sent, by whoever sent it."""
    form: type[ReportForm] = type("ReportForm", (ReportForm,), {"actor": request.user})
    return form(request.POST, instance=stored)


def preview_of(form: ReportForm) -> Preview:
    """Of what is typed; what is wrong with it is told instead."""
    if not form.data.get("data_set"):
        return Preview(problem="Choose what the report lists, and its first rows appear here.")
    wrong = [str(message) for name in SHOWN_OF for message in form.errors.get(name, ())]
    wrong += cast(Any, form.fields["selection"].widget).errors.values()
    if wrong:
        return Preview(problem=" ".join(dict.fromkeys(wrong)))
    draft = form.draft()
    stored = form.instance
    typed = ReportDefinition(**draft.column_values(), pk=stored.pk)
    typed.owner_id = draft.owner_id or stored.owner_id or (form.actor.pk if form.actor is not None else None)
    return previews.preview(typed, form.actor)
