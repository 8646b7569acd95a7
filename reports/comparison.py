"""What a report's totals were in the period before. Pure but for what the sources read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from reports.models import Period
from reports.periods import Window
from reports.sources import Source


def window_before(period: str, window: Window) -> Window:
    """The window of equal kind that came before: the month before a month, else as many days."""
    if period == Period.LAST_MONTH:
        return Window(_month_before(window.first), window.first, window.zone)
    length = window.beyond - window.first
    if period == Period.MONTH_TO_DATE:  # 1 to 18 October before 1 to 18 November
        first = _month_before(window.first)
        return Window(first, min(first + length, window.first), window.zone)
    return Window(window.first - length, window.first, window.zone)


def summarise(source: Source, before: Source | None) -> dict[str, Any]:
    """Rows and totals in the shape of :mod:`reports.summaries`, beside those of ``before`` where there is one."""
    summary: dict[str, Any] = {"rows": source.count()}
    totals = [{"label": label, "value": _plain(value)} for label, value in source.totals().items()]
    if before is not None:
        rows = before.count()
        if rows is not None:
            summary["rows_before"] = rows
        _set_before(totals, before.totals())
    summary["totals"] = totals
    return summary


def _set_before(totals: list[dict[str, Any]], earlier: Mapping[str, Any]) -> None:
    for total in totals:
        value = _plain(earlier.get(total["label"]))
        if _is_number(total["value"]) and _is_number(value):
            total["before"] = value


def _month_before(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """As JSON has it; None for what is no number and for no value."""
    if isinstance(value, Decimal):
        if not value.is_finite() or value.adjusted() > 300:
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, int | str) else str(value)
