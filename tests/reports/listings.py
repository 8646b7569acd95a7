"""Data sets for the tests of making: rows of Python, or of a queryset, under a key of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone

from reports.datasets import registry
from reports.datasets.registry import Column, DataSet, Kind, Row, Total
from reports.periods import Window

NUMBERED = (Column("n", "N", Kind.INTEGER, totals=(Total.SUM,)), Column("text", "Text"))


@contextmanager
def listed(
    rows: Sequence[Row] | Callable[[Window], Iterator[Row]], columns: Sequence[Column] = NUMBERED, **values: Any
) -> Iterator[str]:
    """The key of a data set that has these rows."""
    made = rows if callable(rows) else lambda window: iter(rows)
    data_set = DataSet("tested", "Tested", tuple(columns), rows=made, **values)
    registry.register(data_set)
    try:
        yield data_set.key
    finally:
        registry._registry.pop(data_set.key)


@contextmanager
def sessions(count: int) -> Iterator[str]:
    """The key of a data set of so many rows of the database, which PostgreSQL may copy."""
    now = timezone.now()
    Session.objects.bulk_create(
        Session(session_key=f"{n:06}", session_data=f"=text {n}", expire_date=now) for n in range(count)
    )

    def rows(window: Window) -> QuerySet[Any]:
        return Session.objects.all()

    columns = (
        Column("session_key", "Key"),
        Column("session_data", "Data"),
        Column("expire_date", "Until", Kind.MOMENT),
    )
    registry.register(DataSet("sessions", "Sessions", columns, queryset=rows, order=("session_key",)))
    try:
        yield "sessions"
    finally:
        registry._registry.pop("sessions")
