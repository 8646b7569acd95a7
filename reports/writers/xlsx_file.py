"""An Excel workbook: typed cells, as many sheets as the rows need, and a last sheet that says what it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from reports.datasets.registry import Kind, Row
from reports.sources import Head
from reports.storage import told_in_words
from reports.writers import cells, facts
from reports.writers.scratch import Scratch
from reports.writers.writer import About, Sink
from reports.writers.xlsx_cells import MAX_TEXT, CellMaker
from runs import words

ROWS_A_SHEET = 1_048_575
"""Excel ends at 1,048,576 rows, and one is the heads."""
ROWS_AT_ONCE = 500
_PIECE = 1024 * 1024

_WIDTHS = {Kind.INTEGER: 11, Kind.DECIMAL: 13, Kind.DATE: 11, Kind.MOMENT: 20, Kind.YES_NO: 8, Kind.TEXT: 12}
_WIDEST = 60
_FORMATS = {
    Kind.INTEGER: "#,##0",
    Kind.DECIMAL: "#,##0.00##",
    Kind.DATE: "yyyy-mm-dd",
    Kind.MOMENT: "yyyy-mm-dd hh:mm:ss",
}
_NOT_IN_SHEET_NAMES = re.compile(r"[\[\]:*?/\\\x00-\x1f]")


class _RowSheet(Worksheet):  # type: ignore[misc]
    """A worksheet that takes whole rows as XML; cell by cell they cost five times as much."""

    def write_rows(self, xml: str, last: int) -> None:
        """Appends rows, of which the last has this number, counted from 0."""
        self._write_single_row(last)  # what was written cell by cell before: the heads
        self.row_data_fh.write(xml)
        self.dim_rowmax = last


class XlsxWriter:
    """A workbook in the making. Its rows are kept in a scratch folder until the end, never in memory."""

    def __init__(self, sink: Sink, heads: Sequence[Head], about: About) -> None:
        self._heads, self._about = heads, about
        self._labels = [cells.labels(head) for head in heads]
        self._letters = [xl_col_to_name(number) for number in range(len(heads))]
        self._sink = sink
        self._scratch = Scratch()
        # A workbook is an archive, and one that is written in a stream is put together in a way that not every program
        # reads: it is made beside the sink.
        self._path = self._scratch.path / "book.xlsx"
        self._book = _book(self._path, about)
        looks = {"bold": True, "bg_color": "#E3F1F1", "bottom": 1, "valign": "top"}
        self._head_formats = [
            self._book.add_format({**looks, "align": "left" if cells.is_text(head) else "right"}) for head in heads
        ]
        self._styles = [self._style(head) for head in heads]
        styles = [self._style_of(_FORMATS[kind]) for kind in (Kind.DATE, Kind.MOMENT)]
        self._cells = CellMaker(ZoneInfo(about.zone), *styles)
        self._widths = [
            max(_WIDTHS[head.kind], *(len(text) + 4 for text in (self._label(head), *names.values())))
            for head, names in zip(heads, self._labels, strict=True)
        ]
        self._sheets: list[_RowSheet] = []
        self._last = 0
        self.row_count = 0
        try:
            self._add_sheet()
        except BaseException:
            self.discard()
            raise

    def write(self, rows: Sequence[Row]) -> None:
        start = 0
        while start < len(rows):
            if self._last == ROWS_A_SHEET:
                self._add_sheet()
            count = min(ROWS_AT_ONCE, len(rows) - start, ROWS_A_SHEET - self._last)
            self._write(rows[start : start + count])
            start += count

    def end(self, summary: Mapping[str, Any]) -> None:
        for sheet in self._sheets:
            self._finish_sheet(sheet)
        with told_in_words():
            self._write_about(summary)
            try:
                self._book.close()
            except FileCreateError as error:
                raise error.args[0] from error  # the refusal of the disk, which it wraps up
            with self._path.open("rb") as book:
                while piece := book.read(_PIECE):
                    self._sink.write(piece)
        self.discard()

    def discard(self) -> None:
        for sheet in self._book.worksheets():
            try:
                sheet._opt_close()
            except OSError:
                pass  # a full disk refuses the last rows once more; they go anyway
        self._scratch.remove()

    def _write(self, rows: Sequence[Row]) -> None:
        numbers = range(self._last + 2, self._last + 2 + len(rows))
        made = []
        columns = cells.by_column(rows, self._labels)
        for letter, style, column in zip(self._letters, self._styles, columns, strict=True):
            made.append(self._cells.column(letter, numbers, column, style))
        if self.row_count == 0:
            self._widen(rows)
        lines = zip(numbers, zip(*made, strict=True), strict=True)
        xml = "".join([f'<row r="{number}">{"".join(row)}</row>' for number, row in lines])
        self._last += len(rows)
        self.row_count += len(rows)
        with told_in_words():
            self._sheets[-1].write_rows(xml, self._last)

    def _widen(self, rows: Sequence[Row]) -> None:
        for place, head in enumerate(self._heads):
            if head.kind is Kind.TEXT:
                longest = max((len(row[place]) for row in rows if isinstance(row[place], str)), default=0)
                self._widths[place] = min(max(self._widths[place], longest + 2), _WIDEST)

    def _add_sheet(self) -> None:
        with told_in_words():
            sheet = self._book.add_worksheet(self._sheet_name(len(self._sheets) + 1), _RowSheet)
        for place, head in enumerate(self._heads):
            sheet.write_string(0, place, self._label(head), self._head_formats[place])
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        self._sheets.append(sheet)
        self._last = 0

    def _finish_sheet(self, sheet: _RowSheet) -> None:
        for place, width in enumerate(self._widths):
            sheet.set_column(place, place, width)
        sheet.autofilter(0, 0, sheet.dim_rowmax, len(self._heads) - 1)
        # Long numbers are text on purpose; Excel would put a green corner on each of them.
        sheet.ignore_errors({"number_stored_as_text": f"A1:{self._letters[-1]}{ROWS_A_SHEET + 1}"})

    def _write_about(self, summary: Mapping[str, Any]) -> None:
        sheet = self._book.add_worksheet(self._free_name("About"))
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, 1, 90)
        bold = self._book.add_format({"bold": True, "valign": "top"})
        wrapped = self._book.add_format({"text_wrap": True, "valign": "top"})
        lines = [*facts.lines(self._about, summary, self.row_count), *self._lost()]
        for row, (name, value) in enumerate(lines):
            sheet.write_string(row, 0, name, bold)
            sheet.write_string(row, 1, value, wrapped)

    def _lost(self) -> list[tuple[str, str]]:
        """What the cells could not hold, in words."""
        lines = []
        if self._cells.cut_count:
            places = "; ".join(f"{cell} had {length:,} characters" for cell, length in self._cells.cut)
            more = f" and {self._cells.cut_count - 20:,} more" if self._cells.cut_count > 20 else ""
            text = f"A cell holds at most {MAX_TEXT:,} characters; the rest was cut off: {places}{more}."
            lines.append(("Text that was cut", text))
        if self._cells.replaced:
            cells_told = words.counted(self._cells.replaced, "cell")
            text = f"{cells_told} had characters that no Excel file can hold; each is shown as \ufffd."
            lines.append(("Characters replaced", text))
        return lines

    def _label(self, head: Head) -> str:
        return f"{head.label} ({self._about.zone})" if head.kind is Kind.MOMENT else head.label

    def _style(self, head: Head) -> int:
        if head.kind is Kind.INTEGER and not cells.is_number(head):
            return 0
        return self._style_of(_FORMATS[head.kind]) if head.kind in _FORMATS else 0

    def _style_of(self, number_format: str) -> int:
        return int(self._book.add_format({"num_format": number_format})._get_xf_index())

    def _sheet_name(self, number: int) -> str:
        name = _NOT_IN_SHEET_NAMES.sub(" ", self._about.title)[:25].strip().strip("'") or "Rows"
        if name.lower() == "history":  # a name that Excel keeps for itself
            name = "Rows"
        return name if number == 1 else f"{name} ({number})"

    def _free_name(self, name: str) -> str:
        taken = {sheet.name.lower() for sheet in self._sheets}
        return name if name.lower() not in taken else f"{name} this file"


def _book(path: Path, about: About) -> Workbook:
    # No text becomes a formula, a link or a number: what staff or strangers typed stays what they typed.
    options = {
        "constant_memory": True, "tmpdir": str(path.parent), "use_zip64": True,
        "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
    }  # fmt: skip
    book = Workbook(path, options)
    book.set_properties({"title": about.title, "created": about.made_at.astimezone(timezone.utc)})
    return book
