"""Files of reports in memory, and readers of them that are not ours."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from pyarrow import parquet
from pypdf import PdfReader

from reports.datasets.registry import Kind
from reports.sources import Head
from reports.writers import registry
from reports.writers.writer import About

ABOUT = About(
    "Numbers", "9 to 15 November 2026, Europe/Berlin", "Europe/Berlin", datetime(2026, 11, 19, 8, tzinfo=timezone.utc)
)
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


class Memory:
    """A sink whose content can be looked at."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._parts.append(bytes(data))

    @property
    def content(self) -> bytes:
        return b"".join(self._parts)


def heads(**kinds: Kind) -> list[Head]:
    """Columns by name and kind; the label is the name with a capital."""
    return [Head(name, name.replace("_", " ").capitalize(), kind) for name, kind in kinds.items()]


def made(
    file_format: str,
    columns: Sequence[Head],
    rows: Iterable[Sequence[Any]],
    summary: Mapping[str, Any] | None = None,
    **about: Any,
) -> bytes:
    """The whole file, its rows written in batches of odd sizes."""
    sink = Memory()
    writer = registry.open_writer(file_format, sink, columns, replace(ABOUT, **about))
    wanted = [tuple(row) for row in rows]
    for start in range(0, len(wanted), 701):
        writer.write(wanted[start : start + 701])
    writer.end({"rows": len(wanted)} if summary is None else summary)
    writer.discard()
    return sink.content


def csv_rows(content: bytes) -> list[list[str]]:
    """Every row, the heads first."""
    # A cell of a million characters is more than the csv module takes unasked.
    csv.field_size_limit(10_000_000)
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def jsonl_rows(content: bytes) -> list[dict[str, Any]]:
    """Every object, with numbers as they are written."""
    return [json.loads(line, parse_float=str) for line in content.decode().splitlines()]


def parquet_rows(content: bytes) -> list[dict[str, Any]]:
    """Every row."""
    rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(content)).to_pylist()
    return rows


def xlsx_sheets(content: bytes) -> list[str]:
    """The names of the sheets."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        root = ElementTree.fromstring(book.read("xl/workbook.xml"))
    return [sheet.attrib["name"] for sheet in root.iter(f"{_SHEET}sheet")]


def xlsx_rows(content: bytes, sheet: int = 1) -> Iterator[dict[str, Any]]:
    """Row by row, column letter → text or float."""
    with zipfile.ZipFile(io.BytesIO(content)) as book, book.open(f"xl/worksheets/sheet{sheet}.xml") as xml:
        for _, element in ElementTree.iterparse(xml):
            if element.tag == f"{_SHEET}row":
                yield {cell.attrib["r"].rstrip("0123456789"): _cell(cell) for cell in element}
                element.clear()


def xlsx_count_and_sum(content: bytes, sheet: int) -> tuple[int, int]:
    """Of the whole numbers in a sheet, read in a stream: there may be a million."""
    values: list[int] = []
    texts: list[str] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def begin(name: str, attributes: dict[str, str]) -> None:
        # Nothing but the content of a number is listened to.
        parser.CharacterDataHandler = texts.append if name == "v" else None

    def end(name: str) -> None:
        if texts:
            values.append(int("".join(texts)))
            texts.clear()
        parser.CharacterDataHandler = None

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    with zipfile.ZipFile(io.BytesIO(content)) as book, book.open(f"xl/worksheets/sheet{sheet}.xml") as xml:
        parser.ParseFile(xml)
    return len(values), sum(values)


def pdf_pages(content: bytes) -> list[str]:
    """The text of each page, its lines joined by blanks."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(content)).pages]


def _cell(cell: ElementTree.Element) -> Any:
    assert cell.find(f"{_SHEET}f") is None, "a formula"
    if cell.attrib.get("t") == "inlineStr":
        return "".join(cell.itertext()).replace("_x005F_", "_")
    return float(cell.findtext(f"{_SHEET}v") or "nan")
