"""CSV as RFC 4180 has it: UTF-8 with a byte order mark (spreadsheets need it), CRLF, guarded text."""

from __future__ import annotations

import csv
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from reports.storage import DraftFile
from runs.guards import guard

FLUSH_EVERY_ROWS = 500


class _Lines:
    """Collects what csv.writer makes until it is taken."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def write(self, text: str) -> None:
        self._parts.append(text)

    def take(self) -> bytes:
        data = "".join(self._parts).encode("utf-8", "replace")
        self._parts.clear()
        return data


def write_csv(file: DraftFile, labels: Sequence[str], rows: Iterable[Sequence[Any]], zone: str) -> Iterator[int]:
    """Writes header and rows while it is iterated, and yields how many rows are written so far, batch by batch.

    Memory stays small however many rows there are. Raises storage.StorageError.
    """
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")
    file.write(BOM_UTF8)
    writer.writerow([guard(label) for label in labels])
    time_zone = ZoneInfo(zone)
    count = 0
    for row in rows:
        writer.writerow([_cell(value, time_zone) for value in row])
        count += 1
        if count % FLUSH_EVERY_ROWS == 0:
            file.write(lines.take())
            yield count
    file.write(lines.take())
    yield count


def _cell(value: Any, zone: ZoneInfo) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return (value.astimezone(zone) if value.tzinfo is not None else value).isoformat(" ", "seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float | Decimal):
        return value
    # Text, and whatever writes itself as text, such as a lazy translation.
    return guard(str(value))
