"""What the ledger holds for the calendar's cells: one grouped query, whatever the reader's time zone."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Func, IntegerField, Sum

from runs.models import Run

QUARTER = 900
"""Since 1972 every zone's clocks differ from UTC by whole quarters of an hour, so none is cut by a cell's edge."""


SLOW_SECONDS = 0.3
KEPT_SECONDS = 60


class Quarter(Func):
    """The number of the quarter of an hour since 1970 that an instant is in."""

    output_field = IntegerField()
    template = f"CAST(FLOOR(EXTRACT(EPOCH FROM %(expressions)s) / {QUARTER}) AS INTEGER)"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(
            compiler, connection, template=f"CAST(strftime('%%%%s', %(expressions)s) AS INTEGER) / {QUARTER}", **context
        )


def per_cell(edges: Sequence[datetime], kind: str = "") -> list[Counter[str]]:
    """For each cell between two neighbouring edges: how many runs fell due in it, by state.

    Among millions of runs the answer is kept for a minute.
    """
    key = f"calendar-past-{hash((*edges, kind))}"
    kept: list[Counter[str]] | None = cache.get(key)
    if kept is not None:
        return kept
    started = time.monotonic()
    cells = _count(edges, kind)
    if time.monotonic() - started > SLOW_SECONDS:
        cache.set(key, cells, timeout=KEPT_SECONDS)
    return cells


def _count(edges: Sequence[datetime], kind: str) -> list[Counter[str]]:
    cells: list[Counter[str]] = [Counter() for _ in edges[1:]]
    rows = Run.objects.filter(due_at__gte=edges[0], due_at__lt=edges[-1])
    grouped = (
        (rows.filter(kind=kind) if kind else rows)
        .order_by()
        .values_list(Quarter("due_at"), "state")
        .annotate(rows=Count("pk"), further=Sum("folded_count"))
    )
    for quarter, state, count, further in grouped:
        moment = datetime.fromtimestamp(quarter * QUARTER, tz=UTC)
        # A skipped hour's cell is empty: the last of several equal edges is the one that holds something.
        cells[bisect_right(edges, moment) - 1][state] += count + (further or 0)
    return cells
