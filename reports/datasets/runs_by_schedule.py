"""Runs by schedule: how often each schedule's runs went well, failed, were skipped or missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from django.db.models import F, Max, Q, QuerySet, Sum

from reports.datasets.registry import Column, DataSet, Kind, Row, Total
from reports.periods import Window
from runs.models import Run
from runs.states import State

_SHOWN = (State.SUCCEEDED, State.FAILED, State.SKIPPED, State.MISSED, State.CANCELLED)


def rows(window: Window) -> Iterator[Row]:
    """(schedule, succeeded, failed, skipped, missed, cancelled), by name; counted by the database.

    A row of the ledger may sum up several occurrences; each of them counts.
    """
    counts = {state.value: Sum(1 + F("folded_count"), filter=Q(state=state), default=0) for state in _SHOWN}
    grouped = _due(window).values("schedule_id").annotate(name=Max("schedule_name"), **counts)
    for row in grouped.order_by("name", "schedule_id").iterator():
        counted = cast(dict[str, Any], row)
        name = counted["name"] or "Without a schedule"
        yield (name, *(counted[state] for state in _SHOWN))


def count(window: Window) -> int:
    """One row for each schedule that was due in the window."""
    return _due(window).values("schedule_id").distinct().count()


def _due(window: Window) -> QuerySet[Run]:
    return Run.objects.filter(due_at__gte=window.start, due_at__lt=window.end).order_by()


RUNS_BY_SCHEDULE = DataSet(
    key="runs_by_schedule",
    label="Runs by schedule",
    description="One row for each schedule: how many of its runs went well, failed, were skipped, missed or cancelled.",
    columns=(
        Column("schedule", "Schedule"),
        *(Column(state.value, state.label, Kind.INTEGER, totals=(Total.SUM, Total.MOST)) for state in _SHOWN),
    ),
    rows=rows,
    count=count,
)
