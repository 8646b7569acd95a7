"""The list of runs, and noting several of its failures at once."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from runs import run_list, services, words
from runs.list_form import SHOWN, RunFilterForm
from runs.models import Run
from runs.pages import page
from runs.row_numbers import row_number
from runs.run_list import Listing, Place, Wanted
from runs.states import State, Trigger

LIST = "admin:runs_run_changelist"


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What happened, newest first; ``?after=`` and ``?before=`` are places in the list."""
    if not request.user.has_perm("runs.view_run"):
        raise PermissionDenied
    asked = request.GET
    form = RunFilterForm(asked)
    schedule_id = row_number(asked.get("schedule", ""))
    shown = asked.get("shown", "") if asked.get("shown") in dict(SHOWN) else ""
    queue = asked.get("queue", "").replace("\x00", "")[:40]
    listing, wanted = Listing([]), Wanted(shown=shown, schedule_id=schedule_id, queue=queue)
    if form.is_valid():
        wanted = form.narrow(wanted)
        listing = _listing(wanted, asked)
    may_note = request.user.has_perm("runs.retry_run")
    context = {
        "title": "Runs",
        "form": form,
        "wanted": wanted,
        "tabs": [(value, label, value == wanted.shown) for value, label in SHOWN],
        "listing": listing,
        "rows": [_row(run, may_note) for run in listing.runs],
        "looked_through": run_list.LOOKED_THROUGH,
        "schedule_name": _schedule_name(schedule_id, listing),
        "is_narrowed": any(asked.get(name) for name in (*form.fields, "schedule", "queue", "shown")),
        "notable": sum(_may_be_noted(run) for run in listing.runs) if may_note else 0,
        "most": services.MOST_ACKNOWLEDGED,
        "zone_name": timezone.get_current_timezone_name(),
    }
    return page(request, "runs/list.html", context)


@require_POST
def acknowledge_many(request: HttpRequest) -> HttpResponse:
    """Notes the chosen failures, or with ``all`` every one that the page listed."""
    chosen = request.POST.getlist("listed" if "all" in request.POST else "run")
    try:
        numbers = [number for number in map(row_number, chosen) if number is not None]
        count = services.acknowledge_runs(request.user, numbers)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"{words.counted(count, 'run')} noted. They no longer ask for attention.")
    back = QueryDict(request.POST.get("back", "")).urlencode()
    return HttpResponseRedirect(f"{reverse(LIST)}?{back}" if back else reverse(LIST))


def _listing(wanted: Wanted, asked: QueryDict) -> Listing:
    if before := Place.read(asked.get("before", "")):
        return run_list.newer_than(wanted, before)
    return run_list.newest(wanted, after=Place.read(asked.get("after", "")))


def _row(run: Run, may_note: bool) -> dict[str, Any]:
    return {"run": run, "may_be_noted": may_note and _may_be_noted(run), "started_by": _started_by(run)}


def _may_be_noted(run: Run) -> bool:
    return run.state in (State.FAILED, State.MISSED) and run.acknowledged_at is None


def _started_by(run: Run) -> str:
    how = Trigger(run.trigger).label
    return f"{run.requested_by_name} ({how})" if run.requested_by_name else how


def _schedule_name(schedule_id: int | None, listing: Listing) -> str:
    if schedule_id is None:
        return ""
    named = [run.schedule_name for run in listing.runs if run.schedule_name]
    return named[0] if named else f"schedule {schedule_id}"
