"""A PDF to read and to print: a page that sums up the report, then its first rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from reports import charts
from reports.datasets.registry import Row
from reports.models import Format
from reports.sources import Head
from reports.writers import pdf_front
from reports.writers.pdf_page import Paper
from reports.writers.pdf_table import Layout, Table, kept
from reports.writers.writer import About, Sink
from runs import words

MOST_ROWS = 1000
"""What is longer is not read on paper; the other formats have all of it."""

# fontTools tells at length what it leaves out of the fonts that it embeds.
logging.getLogger("fontTools").setLevel(logging.WARNING)


class PdfWriter:
    """A PDF in the making: it keeps its first rows, and is drawn at the end."""

    def __init__(self, sink: Sink, heads: Sequence[Head], about: About) -> None:
        self._sink, self._heads, self._about = sink, heads, about
        self._zone = ZoneInfo(about.zone)
        self._rows: list[Row] = []
        self._row_count = 0

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows[: MOST_ROWS - len(self._rows)]:
            self._rows.append(tuple(kept(value, self._zone) for value in row))
        self._row_count += len(rows)

    def end(self, summary: Mapping[str, Any]) -> None:
        if "charts" not in summary:
            summary = {**summary, "charts": charts.points(self._heads, self._rows)}
        paper = Paper(self._about.title, self._about.made_at, f"{self._about.title} · {self._about.period}")
        table = Table(self._heads, self._rows, self._zone)
        layout = table.layout(paper)
        pages = table.pages(paper, layout)
        paper.total = 1 + pages
        paper.add_page()
        pdf_front.draw(paper, self._about, summary, self._row_count, self._what_follows(layout, pages))
        table.draw(paper, layout)
        self._sink.write(bytes(paper.output()))

    def discard(self) -> None:
        """It keeps nothing but rows."""
        self._rows = []

    def _what_follows(self, layout: Layout, pages: int) -> str:
        if not self._row_count:
            return "There is nothing to list for these days."
        shows = "The next page shows" if pages == 1 else "The next pages show"
        left_out = self._row_count - len(self._rows)
        if left_out:
            first = f"{shows} the first {words.counted(len(self._rows), 'row')}."
            what = words.counted(left_out, "other row")
        else:
            first = f"{shows} {'the only row' if self._row_count == 1 else f'all {self._row_count:,} rows'}."
            what = ""
        missing = len(self._heads) - len(layout.widths)
        if missing:
            columns = words.counted(missing, "column") + " that had no room here"
            what = f"{what} and {columns}" if what else columns
        if not what:
            return first
        is_one = (left_out == 1 and not missing) or (not left_out and missing == 1)
        return f"{first} {self._where_the_rest_is(what, 'is' if is_one else 'are')}"

    def _where_the_rest_is(self, what: str, verb: str) -> str:
        names = ((Format.CSV, "CSV"), (Format.XLSX, "Excel"), (Format.JSONL, "JSON Lines"), (Format.PARQUET, "Parquet"))
        for file_format, name in names:
            if file_format in self._about.formats:
                return f"The {what} {verb} in the {name} file."
        return f"The {what} {verb} not in this file: choose CSV or Excel as well to have everything."
