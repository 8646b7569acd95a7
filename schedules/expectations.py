"""Expected against actual: what the evaluator says should have happened, compared with the rows of the ledger.

A few thousand schedules at a time, in turn, so that the cost does not grow with their number.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runs import words
from runs.models import Run
from runs.states import Trigger
from schedules.cron import CronError
from schedules.findings import LIMIT, Finding, each_or_together
from schedules.models import Schedule

WINDOW = timedelta(hours=1)
SETTLED = timedelta(seconds=60)
"""Younger due times are left to :func:`schedules.findings.late`."""
AT_MOST = 2000
"""Schedules compared in one check."""
PIECE = 100
BUDGET_SECONDS = 0.15
"""How long one check may compute, one hundredth of the time; the next one goes on from there."""
DUE_TIMES = 100
"""No schedule is due more often in the window."""


@dataclass(frozen=True)
class Position:
    """Where the comparison stands between two checks."""

    after_id: int = 0
    suspects: tuple[int, ...] = ()
    """Schedules found wrong: looked at again in every check until they are well."""


def compare(now: datetime, position: Position) -> tuple[list[Finding], Position]:
    """Compares the next schedules and those found wrong before; returns what is wrong now and where to go on."""
    rows = Schedule.objects.filter(broken_reason="").select_related("periodic_task", "calendar").order_by("pk")
    wrong = _examine(list(rows.filter(pk__in=position.suspects)), now)
    after_id = position.after_id
    started = time.monotonic()
    seen = 0
    while True:
        piece = list(rows.filter(pk__gt=after_id)[:PIECE])
        wrong |= _examine(piece, now)
        seen += len(piece)
        after_id = piece[-1].pk if len(piece) == PIECE else 0
        if not after_id or seen >= AT_MOST or time.monotonic() - started > BUDGET_SECONDS:
            break
    ordered = sorted(wrong, key=lambda schedule: schedule.pk)[:LIMIT]
    reasons = {schedule.pk: reason for schedule, reason in wrong.items()}
    findings = each_or_together(
        "missing", ordered, lambda row: f"“{row.name}” did not start as it should", lambda row: reasons[row.pk],
        "Schedules did not start as they should",
    )  # fmt: skip
    return list(findings), Position(after_id, tuple(schedule.pk for schedule in ordered))


def _examine(schedules: Sequence[Schedule], now: datetime) -> dict[Schedule, str]:
    """What is wrong with each of these; those that are well are left out."""
    wrong: dict[Schedule, str] = {}
    expected: dict[Schedule, list[datetime]] = {}
    for schedule in schedules:
        if schedule.is_timed_anew:
            continue  # edited outside the services a moment ago; a beat is about to see it
        try:
            due_times = _expected(schedule, now)
            following = schedule.next_after(schedule.cursor_at)
        except (CronError, ArithmeticError, ValueError):
            continue  # unreadable: the planner shows it broken
        if schedule.next_due_at != following:
            stored, right = _said(schedule, schedule.next_due_at), _said(schedule, following)
            wrong[schedule] = f"Its next run is noted as {stored}; by its timing it is {right}."
        elif due_times:
            expected[schedule] = due_times
    for schedule, missing in _without_row(expected).items():
        first = _said(schedule, missing[0])
        wrong[schedule] = f"{words.counted(len(missing), 'due time')} without any record, the first {first}."
    return wrong


def _expected(schedule: Schedule, now: datetime) -> list[datetime]:
    if schedule.max_runs is not None and schedule.planned_count >= schedule.max_runs:
        return []  # it has ended; when exactly is not ours to say
    # These two come from the clock of the machine that served the page, which may be a little off.
    start = max(now - WINDOW, schedule.created_at + SETTLED, schedule.changed_at + SETTLED)
    if schedule.calendar is not None:
        start = max(start, schedule.calendar.changed_at + SETTLED)
    until = min(schedule.cursor_at, now - SETTLED)
    if schedule.ends_at is not None:
        until = min(until, schedule.ends_at)
    return schedule.timing.between(start, until, DUE_TIMES) if start < until else []


def _without_row(expected: dict[Schedule, list[datetime]]) -> dict[Schedule, list[datetime]]:
    """The due times that have no row, per schedule."""
    if not expected:
        return {}
    earliest = min(due_times[0] for due_times in expected.values())
    rows = Run.objects.filter(
        schedule_id__in=[schedule.pk for schedule in expected], due_at__gte=earliest, trigger=Trigger.SCHEDULE
    )
    present: dict[int | None, set[datetime]] = defaultdict(set)
    for schedule_id, due_at in rows.order_by().values_list("schedule_id", "due_at"):
        present[schedule_id].add(due_at)
    missing = {}
    for schedule, due_times in expected.items():
        absent = [due for due in due_times if due not in present[schedule.pk]]
        if absent := list(_not_folded(schedule, absent)):
            missing[schedule] = absent
    return missing


def _not_folded(schedule: Schedule, due_times: Iterable[datetime]) -> Iterable[datetime]:
    """Leaves out the due times that the row before them sums up."""
    rows = Run.objects.filter(schedule_id=schedule.pk, trigger=Trigger.SCHEDULE).order_by("-due_at")
    for due in due_times:
        if not rows.filter(due_at__lt=due).values_list("folded_count", flat=True).first():
            yield due


def _said(schedule: Schedule, moment: datetime | None) -> str:
    return "none" if moment is None else words.local(moment, schedule.time_zone)
