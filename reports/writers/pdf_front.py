"""The first page of a PDF report: what it is, what it comes to, and its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports import drawings, figures
from reports.figures import Figure
from reports.writers import facts, pdf_charts
from reports.writers.pdf_page import AMBER, AMBER_GROUND, INK, LINE, MARGIN, QUIET, TEAL, Paper
from reports.writers.writer import About

_MOST_FIGURES = 9
_IN_A_LINE = 3
_FIGURE_HEIGHT = 66.0
_GAP = 10.0
FOOT = 30.0
"""What the foot of every page takes."""


def draw(paper: Paper, about: About, summary: Mapping[str, Any], row_count: int, what_follows: str) -> None:
    """Fills the page that was begun; charts that do not fit any more are left to the pages of the report."""
    y = _title(paper, about)
    if summary.get("incomplete"):
        y = _banner(paper, str(summary["incomplete"]), y)
    counted = figures.of(summary) or [Figure("Rows", row_count, None)]
    y = _figures(paper, counted, y)
    bottom = float(paper.h) - MARGIN - FOOT
    paper.use(9, INK)
    lines = paper.wrapped(what_follows, paper.inner_width, 3)
    bottom -= 13 * len(lines)
    for drawing in drawings.of(summary.get("charts")):
        height = pdf_charts.height_of(drawing)
        if y + height > bottom - 8:
            break
        pdf_charts.draw(paper, drawing, y)
        y += height + 20
    paper.rule(MARGIN, bottom, paper.inner_width)
    paper.use(9, INK)
    for place, line in enumerate(lines, 1):
        paper.put(MARGIN, bottom + 13 * place, line)


def _title(paper: Paper, about: About) -> float:
    paper.box(0, 0, float(paper.w), 6, TEAL)
    y = MARGIN + 26
    paper.use(22, INK, bold=True)
    for line in paper.wrapped(about.title, paper.inner_width, 2):
        paper.put(MARGIN, y, line)
        y += 27
    paper.use(12, INK)
    for line in paper.wrapped(about.period, paper.inner_width, 2):
        paper.put(MARGIN, y, line)
        y += 16
    paper.use(9, QUIET)
    made = f"Made {facts.made_at(about)}. Times are those of {about.zone}."
    paper.put(MARGIN, y + 1, paper.fitted(made, paper.inner_width))
    return y + 22


def _banner(paper: Paper, text: str, top: float) -> float:
    paper.use(10, AMBER, bold=True)
    lines = paper.wrapped(text, paper.inner_width - 24, 4)
    height = 14.0 * len(lines) + 14
    paper.box(MARGIN, top, paper.inner_width, height, AMBER_GROUND)
    paper.box(MARGIN, top, 4, height, AMBER)
    for place, line in enumerate(lines):
        paper.put(MARGIN + 14, top + 17 + 14 * place, line)
    return top + height + 14


def _figures(paper: Paper, counted: Sequence[Figure], top: float) -> float:
    shown = counted[:_MOST_FIGURES]
    width = (paper.inner_width - _GAP * (_IN_A_LINE - 1)) / _IN_A_LINE
    for place, figure in enumerate(shown):
        x = MARGIN + (place % _IN_A_LINE) * (width + _GAP)
        y = top + (place // _IN_A_LINE) * (_FIGURE_HEIGHT + _GAP)
        _figure(paper, figure, x, y, width)
    lines = -(-len(shown) // _IN_A_LINE)
    return top + lines * (_FIGURE_HEIGHT + _GAP) + 14


def _figure(paper: Paper, figure: Figure, x: float, y: float, width: float) -> None:
    paper.set_draw_color(*LINE)
    paper.set_line_width(0.75)
    paper.rect(x, y, width, _FIGURE_HEIGHT, style="D", round_corners=True, corner_radius=4)
    inner = width - 20
    paper.use(8.5, QUIET)
    paper.put(x + 10, y + 15, paper.fitted(figure.label, inner))
    paper.use(17, INK, bold=True)
    paper.put(x + 10, y + 35, paper.fitted(figure.words, inner))
    if figure.change:
        sign = {"up": "▲ ", "down": "▼ "}.get(figure.direction, "")
        paper.use(7.5, QUIET)
        for place, line in enumerate(paper.wrapped(sign + figure.change, inner, 2)):
            paper.put(x + 10, y + 48 + 10 * place, line)
