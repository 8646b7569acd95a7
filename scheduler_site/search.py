"""The search that Ctrl+K opens: pages by title, things by name, runs by number; never more than a few of each.

Unfold's own answer at this address keeps results for five minutes under a key that two searches share, whatever a
person may still see, and reads whole tables; this one asks anew each time, at most ten rows of each kind.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_safe
from unfold.dataclasses import SearchResult

from runs import words
from runs.models import Run
from runs.row_numbers import row_number
from scheduler_site.unfold import UNFOLD
from schedules import targets
from schedules.models import Schedule
from schedules.status import status_of

OF_EACH = 10
LONGEST = 100
NAMED = (
    ("newsletters", "newsletter", "Newsletter", "mail", "newsletters_newsletter_change"),
    ("reports", "reportdefinition", "Report", "table_chart", "reports_reportdefinition_change"),
    ("cleanup", "cleanuppolicy", "Cleanup", "mop", "cleanup_cleanuppolicy_detail"),
)
"""What is found by its name, besides schedules: app, model, word, icon, page."""


@require_safe
def view(request: HttpRequest) -> HttpResponse:
    """The list under the search box, in Unfold's own frame."""
    started = time.monotonic()
    term = request.GET.get("s", "").strip()[:LONGEST]
    if not term:
        return HttpResponse()
    pages = Paginator(list(find(request, term)), 100)
    context = {
        "page_obj": pages,
        "results": pages.page(1),
        "page_counter": 0,
        "execution_time": time.monotonic() - started,
        "command_show_history": False,
    }
    template = (
        "unfold/helpers/command_results.html" if "extended" in request.GET else "unfold/helpers/search_results.html"
    )
    return TemplateResponse(request, template, context, headers={"HX-Trigger": "search"})


def find(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Everything that matches and that this person may see."""
    yield from _run(request, term)
    yield from _pages(request, term)
    yield from _schedules(request, term)
    for app, model, word, icon, shown_on in NAMED:
        if not request.user.has_perm(f"{app}.view_{model}"):
            continue
        rows = apps.get_model(app, model)._default_manager.filter(name__icontains=term)
        for pk, name in rows.order_by("name").values_list("pk", "name")[:OF_EACH]:
            yield SearchResult(name, word, reverse(f"admin:{shown_on}", args=[pk]), icon)


def _run(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    digits = term.lower().removeprefix("run").strip().removeprefix("#")
    number = row_number(digits)
    if number is None or not request.user.has_perm("runs.view_run"):
        return
    for run in Run.objects.filter(pk=number):
        said = f"{words.state(run)}, due {words.relative(run.due_at)}"
        yield SearchResult(str(run), said, reverse("admin:runs_run_change", args=[run.pk]), "history")


def _pages(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    found = 0
    for group in UNFOLD["SIDEBAR"]["navigation"]:
        for item in group["items"]:
            if found < OF_EACH and term.lower() in item["title"].lower() and _may_open(request, item):
                found += 1
                yield SearchResult(item["title"], group.get("title", "") or "Page", str(item["link"]), item["icon"])


def _may_open(request: HttpRequest, item: dict[str, Any]) -> bool:
    return "permission" not in item or bool(item["permission"](request))


def _schedules(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    if not request.user.has_perm("schedules.view_schedule"):
        return
    rows = Schedule.objects.filter(periodic_task__name__icontains=term).select_related("periodic_task")
    schedules = list(rows.order_by("periodic_task__name")[:OF_EACH])
    gone = targets.without(schedules)
    for schedule in schedules:
        status = status_of(schedule, has_target=schedule.pk not in gone)
        said = f"Schedule, {status.word.lower()}: {schedule.describe()}"
        link = reverse("admin:schedules_schedule_detail", args=[schedule.pk])
        yield SearchResult(schedule.name, said, link, "event_repeat")
