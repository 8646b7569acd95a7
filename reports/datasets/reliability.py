"""Reliability of schedules: how many of the expected runs went well, how long they took, how many began late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, cast

from django.db.models import Count, F, Max, Q, QuerySet, Sum, Value
from django.db.models import Window as Over
from django.db.models.functions import RowNumber

from reports.datasets.numbers import seconds_between
from reports.datasets.registry import Column, DataSet, Kind, Row
from reports.periods import Window
from runs.models import Run
from runs.states import State, Trigger

LATE = timedelta(minutes=1)
_COUNTED = (State.SUCCEEDED, State.FAILED, State.MISSED, State.SKIPPED, State.CANCELLED)


def rows(window: Window) -> Iterator[Row]:
    """One row a schedule, by name. A row of the ledger may sum up several occurrences; each of them counts.

    What was left out on purpose (a pause, a holiday) does not count against a schedule's success.
    """
    counts: dict[str, Any] = {
        state.value: Sum(1 + F("folded_count"), filter=Q(state=state), default=0) for state in _COUNTED
    }
    grouped = _expected(window).values("schedule_id").annotate(
        name=Max("schedule_name"), expected=Sum(1 + F("folded_count")), **counts,
        late=Count("pk", filter=Q(started_at__gt=F("due_at") + LATE)),
    )  # fmt: skip
    slow = _p95(window)
    for row in grouped.order_by("name", "schedule_id").iterator():
        one = cast(dict[str, Any], row)
        tried = one[State.SUCCEEDED] + one[State.FAILED] + one[State.MISSED]
        yield (
            one["name"] or "Without a name", one["expected"], *(one[state] for state in _COUNTED),
            _percent(one[State.SUCCEEDED], tried), slow.get(one["schedule_id"]), one["late"],
        )  # fmt: skip


def count(window: Window) -> int:
    """One row for each schedule that was due."""
    return _expected(window).values("schedule_id").distinct().count()


def _expected(window: Window) -> QuerySet[Run]:
    due = Run.objects.filter(due_at__gte=window.start, due_at__lt=window.end, trigger=Trigger.SCHEDULE)
    return due.filter(schedule_id__isnull=False).order_by()


def _p95(window: Window) -> dict[int, int]:
    """Schedule → seconds within which 95 of 100 of its runs ended; worked out by the database, one row a schedule."""
    took = seconds_between("started_at", "finished_at")
    ended = _expected(window).filter(started_at__isnull=False, finished_at__isnull=False).annotate(took=took)
    ranked = ended.annotate(
        place=Over(RowNumber(), partition_by=[F("schedule_id")], order_by=[F("took").asc(), F("pk").asc()]),
        of=Over(Count("pk"), partition_by=[F("schedule_id")]),
    )
    # The nearest rank: the first place that 95 of 100 runs have reached.
    share = F("of") * Value(95)
    reached = ranked.annotate(up_to=F("place") * Value(100)).filter(up_to__gte=share, up_to__lt=share + Value(100))
    return {int(number or 0): int(took) for number, took in reached.values_list("schedule_id", "took")}


def _percent(part: int, whole: int) -> Decimal | None:
    if not whole:
        return None
    return (Decimal(part) * 100 / whole).quantize(Decimal("0.01"), ROUND_HALF_UP)


RELIABILITY = DataSet(
    key="reliability",
    label="Reliability of schedules",
    description="For each schedule, how many of its expected runs went well, how long they took and how many began late.",
    permission="runs.view_run",
    columns=(
        Column("schedule", "Schedule"),
        Column("expected", "Expected", Kind.INTEGER),
        Column("succeeded", "Succeeded", Kind.INTEGER),
        Column("failed", "Failed", Kind.INTEGER),
        Column("missed", "Missed", Kind.INTEGER),
        Column("skipped", "Skipped", Kind.INTEGER),
        Column("cancelled", "Cancelled", Kind.INTEGER),
        Column("success", "Went well (%)", Kind.DECIMAL),
        Column("p95", "95 of 100 took at most (seconds)", Kind.INTEGER),
        Column("late", "Began over a minute late", Kind.INTEGER),
    ),
    rows=rows,
    count=count,
)
