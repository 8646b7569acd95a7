"""A chart on a page of a PDF report, drawn with rectangles."""

from __future__ import annotations

from reports.drawings import Bar, Drawing
from reports.writers.pdf_page import AMBER, GROUND, INK, MARGIN, QUIET, TEAL, Paper

_TITLE = 18.0
_LINE = 15.0
_COLUMNS = 84.0
_NOTE = 12.0


def height_of(drawing: Drawing) -> float:
    """How much of the page it takes."""
    bars = _LINE * len(drawing.bars) if drawing.is_lines else _COLUMNS + 16
    return _TITLE + bars + (_NOTE if drawing.note else 0)


def draw(paper: Paper, drawing: Drawing, top: float) -> None:
    """From the left margin to the right one."""
    paper.use(10.5, INK, bold=True)
    paper.put(MARGIN, top + 10, paper.fitted(drawing.title, paper.inner_width))
    draw_bars = _lines if drawing.is_lines else _columns
    bottom = draw_bars(paper, drawing, top + _TITLE)
    if drawing.note:
        paper.use(7.5, QUIET)
        paper.put(MARGIN, bottom + 8, drawing.note)


def _lines(paper: Paper, drawing: Drawing, top: float) -> float:
    name_width, value_width = paper.inner_width * 0.3, 70.0
    left = MARGIN + name_width + 8
    width = paper.inner_width - name_width - value_width - 16
    for place, bar in enumerate(drawing.bars):
        y = top + _LINE * place
        paper.use(8.5, QUIET)
        paper.put(MARGIN, y + 9, paper.fitted(bar.label, name_width))
        paper.box(left, y + 1.5, width, 10, GROUND)
        if bar.length:
            paper.box(left + bar.start * width, y + 1.5, max(0.75, bar.length * width), 10, _colour(bar))
        paper.use(8.5, INK, bold=True)
        paper.put(left + width + 8, y + 9, paper.fitted(bar.words, value_width), value_width, "right")
    return top + _LINE * len(drawing.bars)


def _columns(paper: Paper, drawing: Drawing, top: float) -> float:
    slot = paper.inner_width / len(drawing.bars)
    gap = min(3.0, slot * 0.2)
    for place, bar in enumerate(drawing.bars):
        x = MARGIN + place * slot
        paper.box(x, top, slot - gap, _COLUMNS, GROUND)
        if bar.length:
            height = max(0.75, bar.length * _COLUMNS)
            paper.box(x, top + (1 - bar.start) * _COLUMNS - height, slot - gap, height, _colour(bar))
    baseline = top + _COLUMNS + 11
    third = paper.inner_width / 3
    paper.use(7.5, QUIET)
    paper.put(MARGIN, baseline, paper.fitted(drawing.bars[0].label, third - 6))
    most = paper.fitted(f"most: {drawing.most.words}, {drawing.most.label}", third)
    paper.put(MARGIN + third + (third - paper.width_of(most)) / 2, baseline, most)
    paper.put(MARGIN + 2 * third, baseline, paper.fitted(drawing.bars[-1].label, third), third, "right")
    return top + _COLUMNS + 16


def _colour(bar: Bar) -> tuple[int, int, int]:
    return AMBER if bar.is_below else TEAL
