"""The lines of one day: what the ledger holds, then what is to come; what runs very often is one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.urls import reverse

from runs import job_kinds, words
from runs.models import Run
from runs.states import Trigger
from scheduler_site import calendar_coming, density
from scheduler_site.calendar_cells import Cells
from scheduler_site.calendar_coming import Several
from scheduler_site.calendar_words import counts_in_words, worst
from schedules.coming import why_not
from schedules.cron import CronError
from schedules.models import DeskPause
from schedules.policies import Pause
from schedules.targets import GONE

LINES = 300
"""Lines that one day shows of the past, and of what is to come."""
OFTEN = 12
"""What falls due more often than this on one day is one line."""


@dataclass(frozen=True)
class Line:
    """One time, or one stretch of very many."""

    at: datetime
    name: str
    kind: str
    word: str
    tone: str
    url: str
    until: datetime | None = None
    detail: str = ""
    count: int = 1
    key: str = ""
    """The same for everything that one schedule does."""
    changed_at: datetime | None = None


@dataclass
class Agenda:
    """A day's lines in order, and whether there are more than it shows."""

    lines: list[Line] = field(default_factory=list)
    has_more_past: bool = False
    has_more_coming: bool = False

    def sorted(self) -> list[Line]:
        return sorted(self.lines, key=lambda line: (line.at, line.name))


def past(start: datetime, end: datetime, kind: str = "", often_from: int = OFTEN) -> Agenda:
    """The runs that fell due on a day, in three queries whatever their number."""
    rows = Run.objects.filter(due_at__gte=start, due_at__lt=end).order_by()
    rows = rows.filter(kind=kind) if kind else rows
    sources = list(
        rows.values("schedule_id", "schedule_name", "kind")
        .annotate(count=Count("pk"), first=Min("due_at"), last=Max("due_at"), changed=Max("finished_at"))
        .order_by("first")[: LINES + 1]
    )
    agenda = Agenda(has_more_past=len(sources) > LINES)
    often = {_source(row): row for row in sources[:LINES] if row["count"] > often_from}
    seldom = {_source(row): row for row in sources[:LINES] if row["count"] <= often_from}
    runs = rows.filter(_either(seldom.values())) if seldom else ()
    # A schedule renamed in the middle of the day is two sources, and perhaps the other one runs often.
    agenda.lines += [_run_line(run) for run in runs if (run.schedule_id, run.schedule_name, run.kind) in seldom]
    states: dict[tuple[Any, ...], Counter[str]] = {}
    if often:
        by_state = rows.filter(_either(often.values())).values("schedule_id", "schedule_name", "kind", "state")
        for row in by_state.annotate(count=Count("pk")):
            states.setdefault(_source(row), Counter())[row["state"]] += row["count"]
    agenda.lines += [_often_line(row, states[source]) for source, row in often.items() if source in states]
    return agenda


def coming(start: datetime, end: datetime, now: datetime, kind: str = "") -> Agenda:
    """What falls due on a day from the schedules' next due times on."""
    agenda = Agenda()
    if end <= now:
        return agenda
    desk_pauses = DeskPause.covering(now)
    due: list[tuple[datetime, Several]] = []
    gone: set[int] = set()
    for several in calendar_coming.candidates(end, now, kind):
        if not several.has_target:
            gone.add(several.schedule.pk)
        try:
            first = density.due_times(several.schedule.timing, max(start, several.since), end, 1)
        except (ValueError, ArithmeticError):
            continue  # unreadable: the planner shows it broken
        due += [(first[0], several)] if first else []
    due.sort(key=lambda pair: pair[0])
    agenda.has_more_coming = sum(several.count for _, several in due) > LINES
    for several in _one_by_one([several for _, several in due[:LINES]], gone, now, kind):
        agenda.lines += _coming_lines(several, start, end, now, desk_pauses)
    return agenda


def _source(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["schedule_id"], row["schedule_name"], row["kind"]


def _either(sources: Iterable[Mapping[str, Any]]) -> Q:
    """Runs from any of these: by schedule, or by kind for those that have none."""
    sources = list(sources)
    scheduled = [row["schedule_id"] for row in sources if row["schedule_id"] is not None]
    others = [row["kind"] for row in sources if row["schedule_id"] is None]
    return Q(schedule_id__in=scheduled) | Q(schedule_id=None, kind__in=others)


def _run_line(run: Run) -> Line:
    return Line(
        run.due_at,
        run.schedule_name or run.target_label or run.kind,
        job_kinds.label(run.kind),
        words.state(run),
        words.tone(run.state),
        reverse("admin:runs_run_change", args=[run.pk]),
        detail=run.result or run.error or run.reason_text,
        key=f"run-{run.pk}" if run.trigger != Trigger.SCHEDULE else f"schedule-{run.schedule_id}",
        changed_at=run.finished_at or run.started_at or run.created_at,
    )


def _often_line(row: Mapping[str, Any], states: Counter[str]) -> Line:
    number, state = row["schedule_id"], worst(states)
    runs = reverse("admin:runs_run_changelist")
    return Line(
        row["first"],
        row["schedule_name"] or job_kinds.label(row["kind"]),
        job_kinds.label(row["kind"]),
        counts_in_words(Counter({state: states[state]})).capitalize(),
        words.tone(state),
        f"{runs}?schedule={number}" if number is not None else runs,
        until=row["last"],
        detail=counts_in_words(states),
        count=row["count"],
        key=f"kind-{row['kind']}" if number is None else f"schedule-{number}",
        changed_at=row["changed"] or row["last"],
    )


def _one_by_one(several: list[Several], gone: set[int], now: datetime, kind: str) -> Iterator[Several]:
    """The schedules themselves with their names, in one query for all that share a timing with others."""
    shared = [one.values for one in several if one.values]
    yield from (one for one in several if not one.values)
    if not shared:
        return
    rows = calendar_coming.alike(now, gone, kind).filter(reduce(or_, (Q(**values) for values in shared)))
    for schedule in rows.select_related("periodic_task", "calendar").order_by("next_due_at")[:LINES]:
        assert schedule.next_due_at is not None
        yield Several(schedule, schedule.next_due_at)


def _coming_lines(
    several: Several, start: datetime, end: datetime, now: datetime, desk_pauses: list[Pause]
) -> Iterator[Line]:
    schedule = several.schedule
    try:
        (load,) = calendar_coming.tally(several, Cells([start, end]), desk_pauses)
    except CronError:
        return
    if not load.expected and not load.left_out:
        return
    until = end if schedule.ends_at is None else min(end, schedule.ends_at + density.TICK)
    times = density.due_times(schedule.timing, max(start, several.since), until, OFTEN + 1)
    url = reverse("admin:schedules_schedule_detail", args=[schedule.pk])
    base: dict[str, Any] = {"name": schedule.name, "kind": job_kinds.label(schedule.kind), "url": url}
    if len(times) > OFTEN:
        word, tone = ("Expected", "quiet") if load.expected else ("Left out", "warn")
        detail = ""
        if not several.has_target:
            word, tone, detail = "Broken", "bad", GONE
        elif load.left_out:
            detail = f"{load.left_out:,} of them paused, skipped or on a day off"
        number = load.expected + load.left_out
        if number:
            detail = f"{schedule.describe()}{'; ' if detail else ''}{detail}"
            yield Line(times[0], word=word, tone=tone, detail=detail, count=number, **base)
        return
    policy, left = schedule.policy(desk_pauses), load.expected
    for at in times:
        if why := why_not(schedule, at, policy, has_target=several.has_target):
            yield Line(at, word=why.word, tone=why.tone, detail=why.detail, **base)
        elif left > 0:
            left -= 1
            late = at <= now
            yield Line(at, word="Due now" if late else "Expected", tone="warn" if late else "quiet", **base)
