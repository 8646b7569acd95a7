from __future__ import annotations

import csv
import hashlib
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

from reports import storage
from reports.datasets.registry import Kind
from reports.sources import Head
from reports.writers.csv_file import CsvWriter
from reports.writers.writer import About

HEADS = [Head("a", "A", Kind.TEXT), Head("b", "B", Kind.TEXT)]
ABOUT = About("Numbers", "1 November 2026", "Europe/Berlin", datetime(2026, 11, 2, tzinfo=timezone.utc))


def _write(path: Path, rows: list[tuple[object, ...]]) -> storage.DraftFile:
    with storage.DraftFile(1, 1) as draft:
        writer = CsvWriter(draft, HEADS, ABOUT)
        writer.write(rows)
        writer.end({})
        draft.seal()
        draft.publish(path)
        return draft


def test_what_was_written_is_read_again(files_dir: Path) -> None:
    rows: list[tuple[object, ...]] = [
        ('He said "no"', "a,b"), ("two\nlines", "山田 – Ünal 🎉"), (-5, Decimal("-1234.56")), (None, True),
        (date(2026, 11, 19), datetime(2026, 7, 1, 12, tzinfo=timezone.utc)), ("=1+1", 0.5), ("lone \ud800", ""),
    ]  # fmt: skip
    draft = _write(files_dir / "x.csv", rows)
    data = (files_dir / "x.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfA,B\r\n")
    assert (draft.byte_count, draft.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    with (files_dir / "x.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file))[1:] == [
            ['He said "no"', "a,b"], ["two\nlines", "山田 – Ünal 🎉"], ["-5", "-1234.56"], ["", "yes"],
            ["2026-11-19", "2026-07-01 14:00:00+02:00"], ["'=1+1", "0.5"], ["lone ?", ""],
        ]  # fmt: skip


def test_a_draft_that_is_not_published_leaves_nothing(files_dir: Path) -> None:
    with storage.DraftFile(1, 1) as draft:
        draft.write(b"half")
        assert [path.name for path in files_dir.iterdir()] == [".run-1-1-csv-1.part"]
    assert list(files_dir.iterdir()) == []
