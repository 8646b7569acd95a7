"""Reads uploaded tables line by line, whatever their encoding and delimiter; one bad line never takes others with it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16, with a mark (“Unicode text” of Excel)",
    "utf-16-le": "UTF-16, little end first",
    "utf-16-be": "UTF-16, big end first",
    "cp1252": "Western Europe (Windows)",
    "iso8859-15": "Western Europe (ISO 8859-15)",
    "cp1250": "Central Europe (Windows)",
    "cp1251": "Cyrillic (Windows)",
    "cp1253": "Greek (Windows)",
    "cp1254": "Turkish (Windows)",
}
"""What staff can choose from; UTF-8 with or without a byte order mark."""
DELIMITERS = {",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Vertical bar"}

MAX_LINE = 100_000
"""Characters of one row; a longer one is taken for a file that is no table."""
MAX_LINES_OF_A_ROW = 100
MAX_COLUMNS = 500
_SAMPLE = 256 * 1024
_BLOCK = 1024 * 1024

_DAMAGED = re.compile("[\ud800-\udfff\ufffd]")

_OTHER_KINDS = (
    (b"PK\x03\x04", "an Excel or OpenDocument file (.xlsx, .ods) or a ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file (.xls)"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a compressed file"),
    (b"7z\xbc\xaf", "a compressed file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
)


class NotATable(Exception):
    """The file is no text with columns; the message says what it is and what to do."""


@dataclass(frozen=True)
class Reading:
    """How a file is to be read."""

    encoding: str
    delimiter: str
    has_header: bool = True


class Row(NamedTuple):
    """One row: its cells, or what is wrong with it."""

    number: int
    """From 1, the heading and empty rows included, as a spreadsheet shows it."""
    cells: list[str]
    problem: str = ""
    is_last: bool = False
    """The file ends here, without the end of a line."""


def detect(file: IO[bytes]) -> Reading:
    """The encoding, from the whole file, and the delimiter, from its beginning. The memory stays small.

    Raises:
        NotATable: empty, or a file of another kind.
    """
    file.seek(0)
    head = file.read(_SAMPLE)
    if not head.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0"):
        raise NotATable("The file is empty.")
    for start, name in _OTHER_KINDS:
        if head.startswith(start):
            raise NotATable(
                f"This is {name}, not a table in text form. Open it in your spreadsheet program, choose “Save as” and "
                "the type CSV, and upload that file."
            )
    encoding = _encoding(file, head)
    sample = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    strange = sum(1 for sign in sample if ord(sign) < 32 and sign not in "\t\r\n\x0b\x0c")
    if strange > len(sample) // 20:
        raise NotATable("This file is not text. Save the table as CSV and upload that file.")
    return Reading(encoding, _delimiter(sample))


def _encoding(file: IO[bytes], head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8"
    # Without a mark: Western text in UTF-16 has a NUL in every other place.
    even, odd = head[0:2000:2].count(0), head[1:2000:2].count(0)
    if max(even, odd) > len(head[:2000]) // 5:
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-8" if _is_mostly_utf8(file) else "cp1252"


def _is_mostly_utf8(file: IO[bytes]) -> bool:
    """Whether the bytes beyond ASCII are UTF-8; a few damaged places, or a cut end, do not change what a file is."""
    good = bad = 0
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    file.seek(0)
    while block := file.read(_BLOCK):
        text = decoder.decode(block)
        if not text.isascii():
            beyond = [sign for sign in text if sign > "\x7f"]
            wrong = sum(1 for sign in beyond if "\udc80" <= sign <= "\udcff")
            bad, good = bad + wrong, good + len(beyond) - wrong
    return bad == 0 or good > bad


def _delimiter(sample: str) -> str:
    """The sign that cuts the first lines into the same number of pieces, and into the most."""
    lines = [line for line in sample.splitlines()[:50] if line.strip()]
    lines = lines[:-1] or lines  # the last one may be cut
    best, most = ",", 0.0
    for sign in DELIMITERS:
        try:
            counts = Counter(len(row) for row in csv.reader(lines, delimiter=sign) if row)
        except csv.Error:
            continue
        width, times = counts.most_common(1)[0] if counts else (1, 0)
        score = times / len(lines) * min(width, 10) if width > 1 else 0.0
        if score > most:
            best, most = sign, score
    return best


class Table:
    """A file as rows, read once from the beginning; it never holds more than one row."""

    def __init__(self, file: IO[bytes], reading: Reading) -> None:
        file.seek(0)
        self._file = file
        encoding = _with_mark(reading.encoding, file)
        self._text = io.TextIOWrapper(file, encoding=encoding, errors=_errors(encoding), newline=None)
        self._delimiter = reading.delimiter
        self._waiting: deque[str] = deque()

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.detach()  # the file belongs to whoever opened it

    @property
    def bytes_read(self) -> int:
        """About how much of the file was read."""
        return self._file.tell()

    def rows(self) -> Iterator[Row]:
        """Every row in order; empty ones have no cells."""
        number = 0
        delimiter = self._delimiter
        while line := self._line():
            number += 1
            if len(line) > MAX_LINE:
                self._skip_rest_of(line)
                yield Row(number, [], f"The row is longer than {MAX_LINE:,} characters.")
            elif '"' in line:
                yield self._quoted(number, line)
            elif line == "\n" or not line.strip():
                yield Row(number, [])
            else:
                yield Row(number, line.rstrip("\n").split(delimiter), "", line[-1] != "\n")

    def _line(self) -> str:
        return self._waiting.popleft() if self._waiting else self._text.readline(MAX_LINE + 1)

    def _skip_rest_of(self, line: str) -> None:
        while line and not line.endswith("\n"):
            line = self._text.readline(MAX_LINE + 1)

    def _quoted(self, number: int, first: str) -> Row:
        """A row with quotation marks, which may go over several lines.

        When the marks do not close, only the first line is given up; the lines after it are read as rows again.
        """
        lines = [first]
        length = len(first)
        while True:
            try:
                cells = next(csv.reader(lines, delimiter=self._delimiter, strict=True))
            except csv.Error as error:
                is_open = "unexpected end" in str(error)
            else:
                return Row(number, cells, "", lines[-1][-1] != "\n")
            following = self._line() if is_open and len(lines) < MAX_LINES_OF_A_ROW and length < MAX_LINE else ""
            if not following:
                self._waiting.extendleft(reversed(lines[1:]))
                words = "A quotation mark is opened and never closed" if is_open else "The quotation marks do not match"
                return Row(
                    number, next(csv.reader([first.replace('"', "")], delimiter=self._delimiter), []), f"{words}."
                )
            lines.append(following)
            length += len(following)


def first_rows(file: IO[bytes], reading: Reading, number: int = 6) -> list[Row]:
    """The first rows that are not empty, to look at."""
    found: list[Row] = []
    with Table(file, reading) as table:
        for row in table.rows():
            if row.cells or row.problem:
                found.append(row)
            if len(found) == number or row.number > 1000:
                break
    return found


def headings(rows: list[Row], *, has_header: bool) -> list[str]:
    """The columns' names: those of the first row, or numbers.

    Raises:
        NotATable: no row, or more columns than a table has.
    """
    if not rows:
        raise NotATable("There is no row in the file.")
    first = rows[0].cells
    if len(first) > MAX_COLUMNS:
        raise NotATable(f"The file has {len(first):,} columns; at most {MAX_COLUMNS} can be read.")
    named = [readable(cell).strip()[:80] for cell in first] if has_header else [""] * len(first)
    return [name or f"Column {position}" for position, name in enumerate(named, start=1)]


def looks_like_header(rows: list[Row]) -> bool:
    """Whether the first row names columns: no address in it."""
    return bool(rows) and not any("@" in cell for cell in rows[0].cells)


def readable(text: str) -> str:
    """The text with marks in place of what could not be read, so that it can be shown and kept."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "␀")


def is_damaged(text: str) -> bool:
    """Whether the text holds bytes that are not of the file's encoding."""
    return not text.isascii() and _DAMAGED.search(text) is not None


def _with_mark(encoding: str, file: IO[bytes]) -> str:
    """The codec that also takes the byte order mark away, where there is one."""
    if encoding == "utf-8":
        return "utf-8-sig"
    if encoding == "utf-16":
        head = file.read(2)
        file.seek(0)
        return "utf-16" if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-16-le"
    return encoding


def _errors(encoding: str) -> str:
    """Bad bytes stay visible in their own row instead of ending everything."""
    return "surrogateescape" if encoding.startswith("utf-8") else "replace"
