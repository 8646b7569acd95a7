"""Totals of rows that Python makes, counted as the database would: what is empty does not count. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from reports import selectable
from reports.datasets.registry import Column, Total

_PLACES = Decimal("0.0001")


class RunningTotal:
    """One column summed up while its rows go by."""

    def __init__(self, column: Column, how: str) -> None:
        self.column = column
        self.label = selectable.total_label(column, how)
        self._how = Total(how)
        self._count = 0
        self._so_far: Any = None

    def add(self, value: Any) -> None:
        """The next row's value."""
        if value is None:
            return
        self._count += 1
        if self._so_far is None:
            self._so_far = value
        elif self._how in (Total.SUM, Total.AVERAGE):
            self._so_far += value
        else:
            self._so_far = min(self._so_far, value) if self._how == Total.LEAST else max(self._so_far, value)

    @property
    def value(self) -> Any:
        """None where there was nothing to sum up."""
        if self._so_far is None or self._how != Total.AVERAGE:
            return self._so_far
        return (Decimal(str(self._so_far)) / self._count).quantize(_PLACES, ROUND_HALF_UP)
