from __future__ import annotations

import io
import os
import resource
import time
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reports import storage
from reports.datasets.registry import Kind
from reports.sources import Head
from reports.writers import xlsx_file
from reports.writers.scratch import Scratch
from reports.writers.xlsx_file import XlsxWriter
from tests.reports import files

HEADS = files.heads(name=Kind.TEXT, n=Kind.INTEGER)


class FullDisk:
    """Takes so many bytes, and no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, data: bytes) -> None:
        self.room -= len(data)
        if self.room < 0:
            raise storage.StorageError("The disk is full.")


def scratch_folders(home: Path) -> list[Path]:
    return list(home.glob(".scratch-*"))


def test_the_rows_go_on_to_a_second_sheet_with_the_heads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_file, "ROWS_A_SHEET", 1000)
    content = files.made("xlsx", HEADS, [(f"Person {n}", n) for n in range(2500)], title="Sent: a/b [x]")
    assert files.xlsx_sheets(content) == ["Sent  a b  x", "Sent  a b  x (2)", "Sent  a b  x (3)", "About"]
    shown = [list(files.xlsx_rows(content, sheet)) for sheet in (1, 2, 3)]
    assert [len(rows) for rows in shown] == [1001, 1001, 501]
    assert all(rows[0] == {"A": "Name", "B": "N"} for rows in shown)
    assert [row["B"] for rows in shown for row in rows[1:]] == list(range(2500))


def test_a_full_sheet_is_one_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_file, "ROWS_A_SHEET", 1000)
    content = files.made("xlsx", HEADS, [(f"Person {n}", n) for n in range(1000)])
    assert files.xlsx_sheets(content) == ["Numbers", "About"]


@pytest.mark.slow
def test_a_row_more_than_excel_has_opens_and_adds_up() -> None:
    count = 1_048_576
    sink = files.Memory()
    writer = XlsxWriter(sink, files.heads(n=Kind.INTEGER), files.ABOUT)
    for start in range(0, count, 8192):
        writer.write([(n,) for n in range(start, start + 8192)])
    writer.end({"rows": count})
    sheets = [files.xlsx_count_and_sum(sink.content, sheet) for sheet in (1, 2)]
    assert sheets == [(count - 1, (count - 1) * (count - 2) // 2), (1, count - 1)]


@pytest.mark.parametrize(("title", "name"), [("History", "Rows"), ("///", "Rows"), ("about", "about"), ("'x'", "x"), ("x" * 99, "x" * 25)])  # fmt: skip
def test_any_title_makes_a_name_that_excel_takes(title: str, name: str) -> None:
    sheets = files.xlsx_sheets(files.made("xlsx", HEADS, [("a", 1)], title=title))
    assert sheets[0] == name and len({sheet.lower() for sheet in sheets}) == 2


def test_the_last_sheet_says_what_the_file_is() -> None:
    summary = {
        "rows": 120, "rows_before": 100, "incomplete": "INCOMPLETE: only the first 120 rows.",
        "totals": [{"label": "Sent", "value": "1200.50", "before": 1200.5}, {"label": "Rate", "value": None}],
    }  # fmt: skip
    about = [(row["A"], row["B"]) for row in files.xlsx_rows(files.made("xlsx", HEADS, [("a", 1)], summary), 2)]
    assert about == [
        ("Report", "Numbers"), ("INCOMPLETE", "INCOMPLETE: only the first 120 rows."),
        ("Period", "9 to 15 November 2026, Europe/Berlin"), ("Times are those of", "Europe/Berlin"),
        ("Made", "Thu 19 Nov 2026, 09:00 CET"), ("Rows", "120 (20 % more than the 100 of the period before)"),
        ("Sent", "1,200.5 (the same as in the period before)"), ("Rate", "–"),
    ]  # fmt: skip


def test_amounts_and_names_of_things_look_different() -> None:
    heads = [
        *files.heads(order_id=Kind.INTEGER, sent=Kind.INTEGER, rate=Kind.DECIMAL, day=Kind.DATE),
        Head("s", "S", Kind.INTEGER, (("1", "x"),)),
    ]
    content = files.made("xlsx", heads, [(2026, 2026, Decimal("0.5"), None, 1)])
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet, styles = book.read("xl/worksheets/sheet1.xml").decode(), book.read("xl/styles.xml").decode()
    assert '<c r="A2"><v>2026</v></c>' in sheet
    assert '<c r="B2" s="' in sheet and '<c r="C2" s="' in sheet and '<c r="E2" t="inlineStr">' in sheet
    assert 'formatCode="#,##0.00##"' in styles and 'state="frozen"' in sheet and "<autoFilter" in sheet


def test_nothing_is_left_beside_the_file(files_dir: Path) -> None:
    sink = files.Memory()
    writer = XlsxWriter(sink, HEADS, files.ABOUT)
    writer.write([("a", 1)])
    assert len(scratch_folders(files_dir)) == 1
    writer.end({})
    assert scratch_folders(files_dir) == []
    unfinished = XlsxWriter(sink, HEADS, files.ABOUT)
    unfinished.write([("a", 1)])
    unfinished.discard()
    unfinished.discard()
    assert scratch_folders(files_dir) == []


def test_a_full_disk_is_told_in_words_and_leaves_nothing(files_dir: Path) -> None:
    writer = XlsxWriter(FullDisk(1000), HEADS, files.ABOUT)
    writer.write([(f"Person {n}", n) for n in range(5000)])
    with pytest.raises(storage.StorageError, match="full"):
        writer.end({})
    writer.discard()
    assert scratch_folders(files_dir) == []


@pytest.mark.parametrize("room", [1000, 100_000])
def test_a_disk_that_fills_beside_the_file_is_told_in_words_too(files_dir: Path, room: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = XlsxWriter(files.Memory(), HEADS, files.ABOUT)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(storage.StorageError, match="grew larger than this system allows"):
            for start in range(0, 5000, 500):
                writer.write([(f"Person {n}", n) for n in range(start, start + 500)])
            writer.end({})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        writer.discard()
    assert scratch_folders(files_dir) == []


def test_yes_and_no_are_words() -> None:
    # As booleans, LibreOffice would show them as formulas.
    rows = list(files.xlsx_rows(files.made("xlsx", files.heads(ok=Kind.YES_NO), [(True,), (False,)])))
    assert [row["A"] for row in rows] == ["Ok", "yes", "no"]


def test_what_a_killed_worker_left_goes_with_the_next_file(files_dir: Path) -> None:
    mine = Scratch()
    abandoned, young = files_dir / ".scratch-abandoned", files_dir / ".scratch-young"
    for folder in (abandoned, young):
        folder.mkdir()
        (folder / "rows").write_text("x")
    long_ago = time.time() - 3600
    for folder in (abandoned, mine.path):
        os.utime(folder, (long_ago, long_ago))
    other = Scratch()
    assert sorted(scratch_folders(files_dir)) == sorted([mine.path, young, other.path])
    mine.remove()
    other.remove()


def test_a_folder_that_cannot_be_written_is_told_in_words(settings: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    settings.FILES_DIR = blocked
    with pytest.raises(storage.StorageError, match="could not be written"):
        XlsxWriter(files.Memory(), HEADS, files.ABOUT)
