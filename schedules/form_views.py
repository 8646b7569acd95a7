"""The live preview beside the schedule form."""

from __future__ import annotations

import json

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from runs import clock
from runs.row_numbers import row_number
from schedules import other_edits, previews
from schedules.models import Schedule


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """The panel beside the form, for values that are still being typed. Changes nothing."""
    user = request.user
    if not user.has_perm("schedules.add_schedule") and not user.has_perm("schedules.change_schedule"):
        raise PermissionDenied
    sees_all = user.has_perm("schedules.view_schedule")
    existing = _edited(request) if sees_all else None
    shown = previews.preview(request.POST, clock.now(), existing, names_others=sees_all)
    seen = request.POST.get("seen_version", "")
    is_outdated = existing is not None and bool(seen) and existing.changed_at.isoformat() != seen
    context = {
        "preview": shown,
        "reading_json": json.dumps(shown.reading),
        "others": other_edits.names(existing.pk, request.POST.get("seen_entry", ""))
        if existing and is_outdated
        else "",
    }
    return render(request, "schedules/_preview.html", context)


def _edited(request: HttpRequest) -> Schedule | None:
    number = row_number(request.GET.get("schedule", ""))
    return Schedule.objects.select_related("periodic_task", "calendar").filter(pk=number or 0).first()
