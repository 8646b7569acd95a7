"""The rows and totals of a report as people read them, beside what they were in the period before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from reports.summaries import Change


@dataclass(frozen=True)
class Figure:
    """One number that sums up the report."""

    label: str
    value: Any
    before: Any
    """None where nothing is compared."""

    @property
    def words(self) -> str:
        """ "1,234.5"; a dash for what could not be counted."""
        return number(self.value)

    @property
    def change(self) -> str:
        """ "20 % more than the 1,000 of the period before"; empty where nothing is compared."""
        if self.value is None or self.before is None:
            return ""
        try:
            change = Change(Decimal(str(self.value)), Decimal(str(self.before)))
            return _in_words(change)
        except InvalidOperation:
            return ""

    @property
    def direction(self) -> str:
        """Up, down or level; empty where nothing is compared."""
        if not self.change:
            return ""
        difference = Decimal(str(self.value)) - Decimal(str(self.before))
        return "up" if difference > 0 else "down" if difference < 0 else "level"


def of(summary: Mapping[str, Any]) -> list[Figure]:
    """The number of rows, then each total; what a summary lacks is left out."""
    found = []
    if summary.get("rows") is not None:
        found.append(Figure("Rows", summary["rows"], summary.get("rows_before")))
    for total in summary.get("totals") or []:
        found.append(Figure(str(total["label"]), total.get("value"), total.get("before")))
    return found


def number(value: Any) -> str:
    """ "1,234", "0.5", "–": with at most four decimals, and none that say nothing."""
    if value is None:
        return "–"
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not exact.is_finite() or exact.adjusted() > 30:
        return str(value)
    text = f"{exact:,.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _in_words(change: Change) -> str:
    before = number(change.before)
    if change.difference == 0:
        return "the same as in the period before"
    percent = change.percent
    if percent is None:
        return f"it was {before} in the period before"
    how = "more" if change.difference > 0 else "less"
    size = abs(percent)
    amount = f"{number(round(size, 1))} %" if size < 10 else f"{number(round(size))} %"
    if size < Decimal("0.05"):
        amount = "a little"
    return f"{amount} {how} than the {before} of the period before"
