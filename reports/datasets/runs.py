"""Runs: one row for each run that was due in the window."""

from __future__ import annotations

from django.db.models import F, QuerySet

from reports.datasets.numbers import seconds_between
from reports.datasets.registry import Column, DataSet, Kind, Total
from reports.periods import Window
from runs.models import Run
from runs.states import State, Trigger

_SPREAD = (Total.SUM, Total.AVERAGE, Total.LEAST, Total.MOST)


def queryset(window: Window) -> QuerySet[Run]:
    """By due time."""
    return Run.objects.filter(due_at__gte=window.start, due_at__lt=window.end)


RUNS = DataSet(
    key="runs",
    label="Runs, one by one",
    description="One row for each run that was due in these days: what it was, how it ended and how long it took.",
    permission="runs.view_run",
    columns=(
        Column("number", "Run", Kind.INTEGER, F("pk")),
        Column("due", "Due", Kind.MOMENT, "due_at", is_group=True),
        Column("schedule", "Schedule", source="schedule_name", is_group=True),
        Column("what", "What", source="target_label", is_group=True),
        Column("kind", "Kind", is_group=True),
        Column("started_by", "Started by", source="trigger", choices=tuple(Trigger.choices), is_group=True),
        Column("asked_for_by", "Asked for by", source="requested_by_name", is_group=True),
        Column("state", "State", choices=tuple(State.choices), is_group=True),
        Column("started", "Started", Kind.MOMENT, "started_at"),
        Column("finished", "Finished", Kind.MOMENT, "finished_at"),
        Column("wait", "Waited (seconds)", Kind.INTEGER, seconds_between("due_at", "started_at"), totals=_SPREAD),
        Column("took", "Took (seconds)", Kind.INTEGER, seconds_between("started_at", "finished_at"), totals=_SPREAD),
        Column("attempts", "Attempts", Kind.INTEGER, "attempt", totals=(Total.SUM, Total.AVERAGE, Total.MOST)),
        Column("result", "Result"),
        Column("why", "Why", source="reason_text"),
        Column("error", "Error"),
    ),
    queryset=queryset,
    order=("due",),
)
