"""How a chart of a summary is drawn, wherever that is: each bar's place and length as shares of the whole. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports import figures

MOST_LINES = 12
"""A chart of so few bars has one under the other, each with its name and number; one of more has columns."""


@dataclass(frozen=True)
class Bar:
    """One bar. A gap, for what could not be counted, has no length."""

    label: str
    value: float | None
    start: float
    """Where it begins, from 0 (the least that is shown) to 1 (the most)."""
    length: float
    """Its share of the same whole."""

    @property
    def words(self) -> str:
        return figures.number(self.value)

    @property
    def is_below(self) -> bool:
        """Whether it goes down from zero."""
        return self.value is not None and self.value < 0

    @property
    def percent(self) -> str:
        """Its length in hundredths, as styles and drawings write it."""
        return f"{100 * self.length:.2f}"

    @property
    def start_percent(self) -> str:
        return f"{100 * self.start:.2f}"

    @property
    def rest_percent(self) -> str:
        """What is left beyond its end."""
        return f"{100 * max(0, 1 - self.start - self.length):.2f}"

    @property
    def cells(self) -> tuple[int, int, int]:
        """Before it, the bar, and after it, in whole hundredths: some mail programs read no others."""
        bar = max(1, round(100 * self.length)) if self.length else 0
        before = min(round(100 * self.start), 100 - bar)
        return before, bar, 100 - before - bar

    @property
    def pixels(self) -> int:
        """Its height where the whole is 80 pixels high."""
        return max(1, round(80 * self.length)) if self.length else 0


@dataclass(frozen=True)
class Drawing:
    """One chart, ready to be drawn."""

    title: str
    bars: Sequence[Bar]
    note: str

    @property
    def is_lines(self) -> bool:
        """Whether its bars lie one under the other."""
        return len(self.bars) <= MOST_LINES

    @property
    def is_partly_below(self) -> bool:
        return any(bar.is_below for bar in self.bars)

    @property
    def most(self) -> Bar:
        return max(self.bars, key=lambda bar: (bar.value is not None, bar.value or 0))

    @property
    def least(self) -> Bar:
        return min(self.bars, key=lambda bar: (bar.value is None, bar.value or 0))

    @property
    def words(self) -> str:
        """ "Sent: 30 bars, from 1 November (40) to 30 November (38). Most: 1,240 on 3 November; least: 0 …"."""
        first, last = self.bars[0], self.bars[-1]
        return (
            f"{self.title}: {len(self.bars)} bars, from {first.label} ({first.words}) to {last.label} ({last.words}). "
            f"Most: {self.most.words}, {self.most.label}. Least: {self.least.words}, {self.least.label}."
        )


def of(charts: Any) -> list[Drawing]:
    """The charts of a summary; what is not of their shape is left out."""
    if not isinstance(charts, list | tuple):
        return []
    return [drawing for chart in charts if isinstance(chart, Mapping) and (drawing := _drawing(chart)) is not None]


def _drawing(chart: Mapping[str, Any]) -> Drawing | None:
    pairs = []
    for point in chart.get("points") or []:
        if not isinstance(point, list | tuple) or len(point) != 2:
            return None
        value = point[1]
        pairs.append((str(point[0]), value if isinstance(value, int | float) else None))
    values = [value for _, value in pairs if value is not None]
    if not values:
        return None
    low, high = min(0, *values), max(0, *values)
    span = high - low or 1
    bars = [_bar(label, value, low, span) for label, value in pairs]
    return Drawing(str(chart.get("title", "")), bars, str(chart.get("note", "")))


def _bar(label: str, value: float | None, low: float, span: float) -> Bar:
    if value is None:
        return Bar(label, None, -low / span, 0)
    return Bar(label, value, (min(0, value) - low) / span, abs(value) / span)
