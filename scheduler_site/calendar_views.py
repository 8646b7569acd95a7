"""The calendar's pages: a month, a week by the hour, and a day line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from runs import clock, words
from runs.models import QueuePause
from runs.pages import page
from scheduler_site import calendar_agenda, calendar_coming, calendar_days, calendar_past, calendar_words
from scheduler_site.calendar_days import DAY, NoSuchDate, Step
from schedules import desk_pause, kinds
from schedules.models import Schedule

View = Callable[..., HttpResponse]


@dataclass
class Cell:
    """What one day, or one hour, holds: the ledger's past and the evaluator's future."""

    states: Counter[str]
    expected: int = 0
    left_out: int = 0
    day: date | None = None
    url: str = ""
    is_today: bool = False
    heat: int = 0
    """0 for nothing to 4 for the fullest."""
    does_exist: bool = True
    notes: list[Note] = field(default_factory=list)

    @property
    def ran(self) -> int:
        return self.states.total()

    @property
    def total(self) -> int:
        return self.ran + self.expected

    @property
    def troubled(self) -> int:
        return self.states["failed"] + self.states["missed"]

    @property
    def words(self) -> str:
        """Everything about it in one line."""
        parts = [calendar_words.counts_in_words(self.states)] if self.ran else []
        parts += [f"{self.expected:,} to come"] if self.expected else []
        parts += [f"{self.left_out:,} left out"] if self.left_out else []
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True)
class Note:
    """One line in a day of the month: a sign, a number and a word."""

    sign: str
    count: int
    word: str
    tone: str


def _calendar_page(show: View) -> View:
    """For who may see schedules; dates that do not exist are answered in words."""

    @require_safe
    @wraps(show)
    def view(request: HttpRequest, **parts: int) -> HttpResponse:
        if not request.user.has_perm("schedules.view_schedule"):
            raise PermissionDenied
        try:
            return show(request, **parts)
        except NoSuchDate as error:
            context = {"title": "Calendar", "error": str(error)}
            return page(request, "scheduler_site/calendar_nowhere.html", context, status=404)

    return view


@_calendar_page
def month(request: HttpRequest, year: int | None = None, number: int | None = None) -> HttpResponse:
    """A table of days: how many runs, and the worst of what became of them."""
    today = timezone.localdate()
    first = today.replace(day=1) if year is None or number is None else calendar_days.read_month(year, number)
    days = calendar_days.month_days(first)
    cells, facts = _cells(request, calendar_days.day_edges(days, timezone.get_current_timezone()))
    for day, cell in zip(days, cells, strict=True):
        cell.day, cell.is_today = day, day == today
        cell.url = address(request, "calendar_day", day.year, day.month, day.day)
        cell.notes = _notes(cell)
    lead = [None] * days[0].weekday()
    tail = [None] * (6 - days[-1].weekday())
    squares: list[Cell | None] = [*lead, *cells, *tail]
    before, after = calendar_days.previous_month(first), calendar_days.next_month(first)
    near = today if (today.year, today.month) == (first.year, first.month) else first
    context = facts | {
        "title": f"Calendar, {words.month(first)}",
        "heading": words.month(first),
        "weeks": [squares[start : start + 7] for start in range(0, len(squares), 7)],
        "weekdays": [(words.weekday(one), words.short_weekday(one)) for one in calendar_days.week_days(first)],
        "steps": _steps(request, "calendar_month", before, after, words.month, today, "This month"),
        **_tabs(request, "month", near),
    }
    return page(request, "scheduler_site/calendar_month.html", context)


@_calendar_page
def week(
    request: HttpRequest, year: int | None = None, number: int | None = None, day: int | None = None
) -> HttpResponse:
    """Seven days by the hour: how much runs when."""
    today = timezone.localdate()
    chosen = today if year is None else calendar_days.read_day(year, number or 0, day or 0)
    days = calendar_days.week_days(chosen)
    edges = calendar_days.hour_edges(days, timezone.get_current_timezone())
    cells, facts = _cells(request, edges)
    fullest = max((cell.total for cell in cells), default=0)
    for cell, start, end in zip(cells, edges, edges[1:], strict=False):
        cell.heat = -(-4 * cell.total // fullest) if fullest else 0
        cell.does_exist = start < end
    columns: list[dict[str, Any]] = [
        {
            "day": one,
            "is_today": one == today,
            "short": words.short_weekday(one),
            "url": address(request, "calendar_day", one.year, one.month, one.day)
            if calendar_days.in_range(one)
            else "",
            "cells": cells[index * 24 : index * 24 + 24],
            "total": sum(cell.total for cell in cells[index * 24 : index * 24 + 24]),
        }
        for index, one in enumerate(days)
    ]
    context = facts | {
        "title": f"Calendar, {_week_of(days[0])}",
        "heading": _week_of(days[0]),
        "columns": columns,
        "hours": [(f"{hour:02d}:00", [column["cells"][hour] for column in columns]) for hour in range(24)],
        "steps": _steps(
            request, "calendar_week", chosen - DAY * 7, chosen + DAY * 7, _week_of, today, "This week", by_day=True
        ),
        **_tabs(request, "week", chosen),
    }
    return page(request, "scheduler_site/calendar_week.html", context)


@_calendar_page
def agenda(request: HttpRequest, year: int, number: int, day: int) -> HttpResponse:
    """A day's runs in the order of their times."""
    today = timezone.localdate()
    chosen = calendar_days.read_day(year, number, day)
    start, end = calendar_days.day_edges([chosen], timezone.get_current_timezone())
    now, kind, may_see_runs = clock.now(), _kind(request), request.user.has_perm("runs.view_run")
    shown = calendar_agenda.coming(start, end, now, kind)
    if may_see_runs:
        past = calendar_agenda.past(start, end, kind)
        shown.lines += past.lines
        shown.has_more_past = past.has_more_past
    context = _facts(request, now, may_see_runs) | {
        "title": f"Calendar, {words.full_date(chosen)}",
        "heading": words.full_date(chosen),
        "is_today": chosen == today,
        "agenda": shown,
        "lines": shown.sorted(),
        "shown_at_most": calendar_agenda.LINES,
        "now": now,
        "steps": _steps(
            request, "calendar_day", chosen - DAY, chosen + DAY, words.full_date, today, "Today", by_day=True
        ),
        **_tabs(request, "day", chosen),
    }
    return page(request, "scheduler_site/calendar_day.html", context)


def _cells(request: HttpRequest, edges: list[datetime]) -> tuple[list[Cell], dict[str, Any]]:
    now, kind, may_see_runs = clock.now(), _kind(request), request.user.has_perm("runs.view_run")
    ahead = calendar_coming.per_cell(edges, now, kind, counts_all=request.GET.get("count") == "all")
    behind: list[Counter[str]] = [Counter() for _ in ahead.loads]
    if may_see_runs and edges[0] <= now:
        behind = calendar_past.per_cell(edges, kind)
    cells = [Cell(states, load.expected, load.left_out) for states, load in zip(behind, ahead.loads, strict=True)]
    return cells, _facts(request, now, may_see_runs) | {"ahead": ahead}


def _facts(request: HttpRequest, now: datetime, may_see_runs: bool) -> dict[str, Any]:
    return {
        "may_see_runs": may_see_runs,
        "zone_name": timezone.get_current_timezone_name(),
        "desk_pause": desk_pause.current(),
        "queue_pauses": QueuePause.objects.all()[:10],
        "broken_count": Schedule.objects.exclude(broken_reason="").filter(next_due_at=None).count(),
        "kinds": [
            {"label": label, "url": _with_kind(request.path, key), "is_current": key == _kind(request)}
            for key, label in [("", "All kinds"), *((kind.key, kind.label) for kind in kinds.schedulable())]
        ],
    }


def _notes(cell: Cell) -> list[Note]:
    """The worst state first and the rest summed up, then what is to come: at most four lines fit into a day."""
    notes = []
    if cell.ran:
        state = calendar_words.worst(cell.states)
        worst = cell.states[state]
        notes.append(Note(calendar_words.SIGNS[state], worst, calendar_words.word(state), words.tone(state)))
        if cell.ran > worst:
            notes.append(Note("", cell.ran - worst, "others", "quiet"))
    if cell.expected:
        notes.append(Note("→", cell.expected, "to come", "quiet"))
    if cell.left_out:
        notes.append(Note("‖", cell.left_out, "left out", "quiet"))
    return notes


def _kind(request: HttpRequest) -> str:
    """The kind of job that the page is narrowed to; empty for all."""
    wanted = request.GET.get("kind", "")
    return wanted if any(kind.key == wanted for kind in kinds.schedulable()) else ""


def address(request: HttpRequest, view: str, *parts: int) -> str:
    """Another page of the calendar, narrowed to the same kind."""
    return _with_kind(reverse(f"admin:{view}", args=parts), _kind(request))


def _with_kind(path: str, kind: str) -> str:
    return f"{path}?kind={kind}" if kind else path


def _steps(
    request: HttpRequest, view: str, before: date, after: date, said: Callable[[date], str], today: date,
    now_label: str, *, by_day: bool = False,
) -> dict[str, Step | None]:  # fmt: skip
    def step(day: date, label: str) -> Step | None:
        if not calendar_days.in_range(day):
            return None
        parts = (day.year, day.month, day.day) if by_day else (day.year, day.month)
        return Step(label, address(request, view, *parts))

    return {"before": step(before, said(before)), "now": step(today, now_label), "after": step(after, said(after))}


def _week_of(day: date) -> str:
    days = calendar_days.week_days(day)
    return words.days(days[0], days[-1])


def _tabs(request: HttpRequest, current: str, day: date) -> dict[str, Any]:
    parts = (day.year, day.month, day.day)
    tabs = [
        ("month", "Month", address(request, "calendar_month", *parts[:2])),
        ("week", "Week", address(request, "calendar_week", *parts)),
        ("day", "Day", address(request, "calendar_day", *parts)),
    ]
    return {"tabs": [{"label": label, "url": url, "is_current": key == current} for key, label, url in tabs]}
