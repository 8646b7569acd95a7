"""The first rows of a PDF report as a plain table that goes on from page to page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from reports.datasets.registry import Kind, Row
from reports.sources import Head
from reports.writers import cells
from reports.writers.pdf_front import FOOT
from reports.writers.pdf_page import INK, LONGEST, MARGIN, TEAL_GROUND, Align, Paper

_SIZES = (8.5, 7.5, 6.5)
_PADDING = 5.0
_WIDEST, _NARROWEST = 230.0, 46.0
_MEASURED = 200
"""So many rows decide how wide the columns are."""
_NUMBERS = (Kind.INTEGER, Kind.DECIMAL)


@dataclass(frozen=True)
class Layout:
    """How the columns lie on the pages."""

    is_landscape: bool
    size: float
    widths: tuple[float, ...]
    """Of the columns that are shown; the ones behind them had no room."""

    @property
    def row_height(self) -> float:
        return self.size * 1.85


class Table:
    """The rows as the texts of their cells."""

    def __init__(self, heads: Sequence[Head], rows: Sequence[Row], zone: ZoneInfo) -> None:
        self.heads = heads
        shown = [cells.labels(head) for head in heads]
        columns = cells.by_column(rows, shown) if rows else [() for _ in heads]
        texts = [_texts(head, column, zone) for head, column in zip(heads, columns, strict=True)]
        self.rows: list[tuple[str, ...]] = list(zip(*texts, strict=True)) if rows else []
        self._aligns: list[Align] = [
            "right" if head.kind in _NUMBERS and not head.choices else "left" for head in heads
        ]

    def layout(self, paper: Paper) -> Layout:
        """Upright where it fits, else across, in the largest letters that fit; long texts give way before a column does."""
        short, long = sorted((float(paper.w), float(paper.h)))
        for is_landscape, size in ((False, _SIZES[0]), *((True, size) for size in _SIZES)):
            room = (long if is_landscape else short) - 2 * MARGIN
            widths = self._natural(paper, size)
            if sum(widths) <= room:
                more = min(1.6, room / sum(widths))
                return Layout(is_landscape, size, tuple(width * more for width in widths))
        excess = sum(widths) - room
        spare = sum(max(0, width - _NARROWEST) for width in widths)
        if spare >= excess:
            factor = excess / spare
            return Layout(True, size, tuple(width - max(0, width - _NARROWEST) * factor for width in widths))
        narrow = [min(width, _NARROWEST) for width in widths]
        count = next(count for count in range(len(narrow), 0, -1) if sum(narrow[:count]) <= room or count == 1)
        return Layout(True, size, tuple(narrow[:count]))

    def pages(self, paper: Paper, layout: Layout) -> int:
        """How many it takes."""
        return -(-len(self.rows) // self._rows_a_page(paper, layout))

    def draw(self, paper: Paper, layout: Layout) -> None:
        """Adds its pages."""
        a_page = self._rows_a_page(paper, layout)
        for start in range(0, len(self.rows), a_page):
            paper.add_page(orientation="landscape" if layout.is_landscape else "portrait")
            y = self._draw_heads(paper, layout)
            paper.use(layout.size)
            for row in self.rows[start : start + a_page]:
                self._draw_row(paper, layout, row, y)
                y += layout.row_height
                paper.rule(MARGIN, y, sum(layout.widths))

    def _rows_a_page(self, paper: Paper, layout: Layout) -> int:
        height = float(min(paper.w, paper.h) if layout.is_landscape else max(paper.w, paper.h))
        return int((height - 2 * MARGIN - FOOT) / layout.row_height) - 1

    def _draw_heads(self, paper: Paper, layout: Layout) -> float:
        paper.box(MARGIN, MARGIN, sum(layout.widths), layout.row_height, TEAL_GROUND)
        paper.use(layout.size, INK, bold=True)
        self._draw_row(paper, layout, [head.label for head in self.heads], MARGIN)
        return MARGIN + layout.row_height

    def _draw_row(self, paper: Paper, layout: Layout, texts: Sequence[str], y: float) -> None:
        x, baseline = MARGIN, y + layout.row_height * 0.68
        for text, width, align in zip(texts, layout.widths, self._aligns, strict=False):
            inner = width - 2 * _PADDING
            paper.put(x + _PADDING, baseline, paper.fitted(text, inner), inner, align)
            x += width

    def _natural(self, paper: Paper, size: float) -> list[float]:
        widths = []
        for place, head in enumerate(self.heads):
            paper.use(size, bold=True)
            widest = paper.width_of(paper.clean(head.label))
            paper.use(size)
            for row in self.rows[:_MEASURED]:
                widest = max(widest, paper.width_of(paper.clean(row[place])))
            widths.append(min(widest + 1, _WIDEST) + 2 * _PADDING)
        return widths


def kept(value: Any, zone: ZoneInfo) -> Any:
    """As much of a value as a table shows, so that rows that wait for the end are small."""
    if isinstance(value, int | float | Decimal | date) or value is None:
        return value
    return cells.as_text(value, zone)[:LONGEST]


def _texts(head: Head, values: Sequence[Any], zone: ZoneInfo) -> list[str]:
    if head.kind not in _NUMBERS or head.choices:
        return [_text(value, zone) for value in values]
    # One number of decimals for the whole column, so that its points stand under each other.
    decimals = max((_decimals(value) for value in values), default=0)
    grouped = "," if cells.is_number(head) else ""
    return [_number(value, f"{grouped}.{decimals}f", zone) for value in values]


def _text(value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return cells.in_zone(value, zone).strftime("%Y-%m-%d %H:%M")
    return cells.as_text(value, zone)


def _number(value: Any, form: str, zone: ZoneInfo) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return _text(value, zone)
    if isinstance(value, int):
        return f"{Decimal(value):{form}}"
    if (isinstance(value, float) and abs(value) > 1e15) or (isinstance(value, Decimal) and value.adjusted() > 30):
        return cells.number_text(value)  # too long for a column, or no number at all
    return f"{value:{form}}"


def _decimals(value: Any) -> int:
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not isinstance(value, Decimal) or not value.is_finite():
        return 0
    text = f"{value:.4f}".rstrip("0") if value.adjusted() < 30 else ""
    return len(text.partition(".")[2])
