"""The report library."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from reports import access, library
from reports.library import Listing, Wanted
from reports.library_form import LibraryForm
from reports.models import Artefact
from reports.report_links import PAGE
from runs.pages import page
from runs.row_numbers import row_number


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What was made, newest first; ``?after=`` and ``?before=`` are places in the list."""
    if not request.user.has_perm(access.VIEW):
        raise PermissionDenied
    asked = request.GET
    form = LibraryForm(asked)
    is_mine = asked.get("of") == "mine"
    listing, wanted = Listing([]), Wanted(mine_of=request.user.pk if is_mine else None)
    if form.is_valid():
        wanted = form.narrow(wanted)
        before = row_number(asked.get("before", ""))
        if before is not None:
            listing = library.newer_than(wanted, before)
        else:
            listing = library.newest(wanted, after=row_number(asked.get("after", "")))
    context = {
        "title": "Report library",
        "form": form,
        "is_mine": is_mine,
        "is_filtered": any(asked.get(name) for name in form.fields),
        "listing": listing,
        "rows": library.rows_of(listing.report_runs, request.user),
        "looked_through": library.LOOKED_THROUGH,
        "zone_name": timezone.get_current_timezone_name(),
    }
    return page(request, "reports/library.html", context)


@require_safe
def file(request: HttpRequest, artefact_id: int) -> HttpResponse:
    """A file has no page of its own: it stands on that of its report."""
    if not request.user.has_perm(access.VIEW):
        raise PermissionDenied
    artefact = get_object_or_404(Artefact, pk=artefact_id)
    return HttpResponseRedirect(reverse(PAGE, args=[artefact.report_run_id]))
