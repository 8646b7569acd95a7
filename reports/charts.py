"""Which charts a report has: what its first rows can show as bars, kept in the summary. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from reports.datasets.registry import Kind, Row
from reports.sources import Head
from reports.writers import cells

MOST_CHARTS = 3
MOST_ROWS = 2_000
"""Of a longer list the first rows say nothing about the whole, so that it has no chart."""
MOST_POINTS = 60
_LABEL_LENGTH = 60


def points(heads: Sequence[Head], first_rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The charts of these rows in the shape of :mod:`reports.summaries`, one for each of the first columns of amounts.

    Each row is a bar under the first column of days or names that tells the rows apart. There is no chart of fewer
    than two rows, of rows without such a column, or of nothing but zeros. ``note`` says where rows were left out.
    """
    rows = first_rows[:MOST_POINTS]
    if len(rows) < 2:
        return []
    names = _names(heads, rows)
    if names is None:
        return []
    charts: list[dict[str, Any]] = []
    for place, head in enumerate(heads):
        values = [_amount(row[place]) for row in rows] if cells.is_number(head) else []
        if any(values) and len(charts) < MOST_CHARTS:
            chart: dict[str, Any] = {
                "title": head.label,
                "points": [list(pair) for pair in zip(names, values, strict=True)],
            }
            if len(first_rows) > MOST_POINTS:
                chart["note"] = f"The first {MOST_POINTS} rows."
            charts.append(chart)
    return charts


def _names(heads: Sequence[Head], rows: Sequence[Row]) -> list[str] | None:
    for place, head in enumerate(heads):
        column = [row[place] for row in rows]
        if head.kind is Kind.DATE and len(set(column)) == len(rows) and all(isinstance(day, date) for day in column):
            return _days(column)
        if head.kind is Kind.TEXT or head.choices:
            shown = cells.labels(head)
            names = [" ".join(str(shown.get(value, "" if value is None else value)).split()) for value in column]
            short = [name if len(name) <= _LABEL_LENGTH else f"{name[: _LABEL_LENGTH - 1]}…" for name in names]
            if len(set(names)) == len(rows):
                return [name or "(empty)" for name in short]
    return None


def _days(days: Sequence[date]) -> list[str]:
    is_monthly = all(day.day == 1 for day in days)
    is_one_year = len({day.year for day in days}) == 1
    if is_monthly:
        return [f"{day:%B} {day.year}" for day in days]
    return [f"{day.day} {day:%B}" if is_one_year else f"{day.day} {day:%B} {day.year}" for day in days]


def _amount(value: Any) -> int | float | None:
    """As JSON has it; None, a gap, for what is no amount."""
    if isinstance(value, bool | datetime) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, Decimal):
        if not value.is_finite() or value.adjusted() > 300:
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    return value if isfinite(value) else None
