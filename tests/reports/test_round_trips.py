from __future__ import annotations

import uuid
from datetime import date, datetime, time, timezone
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.datasets.registry import Kind
from reports.sources import Head
from reports.writers import cells
from runs.guards import guard
from tests.reports import files

LONG = "1 MB ü " * 150_000
TEXTS = [
    'He said "no"', "a,b;c", "two\nlines", "CR\rLF\r\nboth", "山田 – Ünal 🎉", "שלום, world", "مرحبا", "nul\x00byte",
    " blanks around ", "", "_x0041_", "<b>&amp;</b>", "tab\tbed", "007", LONG,
]  # fmt: skip
MOMENT = datetime(2026, 7, 1, 12, 30, 15, tzinfo=timezone.utc)
KEY = uuid.UUID("12345678-1234-5678-1234-567812345678")
DEEP = {"é": [1, None, {"a": '"'}]}
EXACT = Decimal("12345678901234567890.123456789012345678")
TEXT_HEADS = files.heads(text=Kind.TEXT)


def only(content: Any) -> list[Any]:
    return [row["text"] for row in content]


def test_csv_gives_back_every_text() -> None:
    rows = files.csv_rows(files.made("csv", TEXT_HEADS, [(text,) for text in TEXTS], is_guarded=False))
    assert [row[0] if row else "" for row in rows[1:]] == TEXTS


def test_json_lines_give_back_every_text() -> None:
    assert only(files.jsonl_rows(files.made("jsonl", TEXT_HEADS, [(text,) for text in TEXTS]))) == TEXTS


def test_parquet_gives_back_every_text() -> None:
    assert only(files.parquet_rows(files.made("parquet", TEXT_HEADS, [(text,) for text in TEXTS]))) == TEXTS


def test_excel_gives_back_every_text_that_a_cell_can_hold() -> None:
    content = files.made("xlsx", files.heads(text=Kind.TEXT, n=Kind.INTEGER), [(text, 1) for text in TEXTS])
    shown = [row.get("A", "") for row in files.xlsx_rows(content)][1:]
    assert shown == [*(text.replace("\x00", "\ufffd") for text in TEXTS[:-1]), LONG[:32_767]]
    about = {row["A"]: row["B"] for row in files.xlsx_rows(content, 2)}
    assert about["Text that was cut"].endswith("A16 had 1,050,000 characters.")
    assert about["Characters replaced"].startswith("1 cell had characters")


def test_excel_cuts_by_what_excel_counts() -> None:
    content = files.made("xlsx", TEXT_HEADS, [("🎉" * 16_384,), ("🎉" * 16_383,)])
    assert [len(row["A"]) for row in files.xlsx_rows(content)][1:] == [16_383, 16_383]


@pytest.mark.parametrize("value", ["lone \ud800", "\ufffe", "\x1b[0m", "\x85", "\u2028"])
def test_no_character_breaks_a_file(value: str) -> None:
    for file_format in ("csv", "xlsx", "jsonl", "parquet", "pdf"):
        assert files.made(file_format, TEXT_HEADS, [(value,)])
    assert len(list(files.xlsx_rows(files.made("xlsx", TEXT_HEADS, [(value,)])))) == 2
    assert len(files.csv_rows(files.made("csv", TEXT_HEADS, [(value,)]))) == 2


NUMBERS = [
    0,
    -5,
    10**14,
    10**17,
    EXACT,
    Decimal("-5.00"),
    Decimal("0E-18"),
    Decimal("1E+3"),
    nan,
    inf,
    -inf,
    0.1,
    -1e300,
    None,
]


def test_csv_keeps_every_digit() -> None:
    heads = files.heads(a=Kind.DECIMAL, b=Kind.INTEGER)
    rows = files.csv_rows(files.made("csv", heads, [(number, 1) for number in NUMBERS]))
    assert [row[0] for row in rows[1:]] == [
        "0", "-5", "100000000000000", "100000000000000000", str(EXACT), "-5.00", "0.000000000000000000", "1000", "NaN",
        "Infinity", "-Infinity", "0.1", "-1e+300", "",
    ]  # fmt: skip


def test_json_lines_keep_every_digit() -> None:
    content = files.made("jsonl", files.heads(text=Kind.DECIMAL), [(number,) for number in NUMBERS])
    assert only(files.jsonl_rows(content)) == [
        0, -5, 10**14, 10**17, str(EXACT), "-5.00", "0.000000000000000000", 1000, "NaN", "Infinity", "-Infinity", "0.1",
        "-1e+300", None,
    ]  # fmt: skip


def test_excel_writes_a_number_or_else_a_text_with_every_digit() -> None:
    content = files.made("xlsx", files.heads(a=Kind.DECIMAL, b=Kind.INTEGER), [(number, 1) for number in NUMBERS])
    assert [row.get("A") for row in files.xlsx_rows(content)][1:] == [
        0, -5, 1e14, "100000000000000000", str(EXACT), -5, 0, 1000, "NaN", "Infinity", "-Infinity", 0.1, -1e300, None,
    ]  # fmt: skip


def test_parquet_keeps_decimals_exact() -> None:
    wanted = [EXACT, Decimal("-5.00"), 7, None]
    rows = files.parquet_rows(files.made("parquet", files.heads(text=Kind.DECIMAL), [(value,) for value in wanted]))
    assert only(rows) == wanted


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
@settings(max_examples=60, deadline=None)
def test_a_decimal_in_excel_is_the_same_number(value: Decimal) -> None:
    [_, row] = files.xlsx_rows(files.made("xlsx", files.heads(a=Kind.DECIMAL), [(value,)]))
    shown = row["A"]
    assert shown == f"{value:f}" if isinstance(shown, str) else Decimal(repr(shown)) == value


def test_days_and_moments_are_on_the_clock_of_the_report() -> None:
    heads = files.heads(day=Kind.DATE, at=Kind.MOMENT)
    rows = [(date(2026, 2, 28), MOMENT), (date(1850, 1, 1), datetime(1899, 5, 1, tzinfo=timezone.utc)), (None, None)]
    assert files.csv_rows(files.made("csv", heads, rows))[1:] == [
        ["2026-02-28", "2026-07-01 14:30:15+02:00"], ["1850-01-01", "1899-05-01 01:00:00+01:00"], ["", ""],
    ]  # fmt: skip
    assert files.jsonl_rows(files.made("jsonl", heads, rows))[0] == {
        "day": "2026-02-28",
        "at": "2026-07-01T14:30:15+02:00",
    }
    stored = files.parquet_rows(files.made("parquet", heads, rows))
    assert [(row["day"], row["at"]) for row in stored] == rows
    shown = list(files.xlsx_rows(files.made("xlsx", heads, rows)))
    assert shown[0] == {"A": "Day", "B": "At (Europe/Berlin)"}
    # Days since 30 December 1899: Excel's own count.
    assert shown[1] == {"A": 46081.0, "B": pytest.approx(46204 + (14 * 3600 + 30 * 60 + 15) / 86400, abs=1e-9)}
    assert shown[2:] == [{"A": "1850-01-01", "B": "1899-05-01 01:00:00+01:00"}, {}]


def test_values_without_a_cell_of_their_own_are_text() -> None:
    row = (DEEP, KEY, b"\x00\xff", time(9, 30), [1, "two"])
    heads = files.heads(deep=Kind.TEXT, key=Kind.TEXT, raw=Kind.TEXT, at=Kind.TEXT, list=Kind.TEXT)
    as_text = ['{"é": [1, null, {"a": "\\""}]}', str(KEY), "\\x00ff", "09:30:00", '[1, "two"]']
    assert files.csv_rows(files.made("csv", heads, [row]))[1] == as_text
    assert list(files.parquet_rows(files.made("parquet", heads, [row]))[0].values()) == as_text
    assert list(list(files.xlsx_rows(files.made("xlsx", heads, [row])))[1].values()) == as_text
    assert list(files.jsonl_rows(files.made("jsonl", heads, [row]))[0].values()) == [DEEP, *as_text[1:4], [1, "two"]]


def test_choices_are_shown_by_their_labels_in_every_format() -> None:
    heads = [Head("state", "State", Kind.INTEGER, (("1", "Sent"), ("2", "Failed"))), *files.heads(n=Kind.INTEGER)]
    rows = [(1, 1), (2, 2), (9, 3), (None, 4)]
    assert [row[0] for row in files.csv_rows(files.made("csv", heads, rows))[1:]] == ["Sent", "Failed", "9", ""]
    assert [row["state"] for row in files.jsonl_rows(files.made("jsonl", heads, rows))] == ["Sent", "Failed", 9, None]
    assert [row["state"] for row in files.parquet_rows(files.made("parquet", heads, rows))] == [
        "Sent",
        "Failed",
        "9",
        None,
    ]
    assert [row.get("A") for row in files.xlsx_rows(files.made("xlsx", heads, rows))] == [
        "State",
        "Sent",
        "Failed",
        9,
        None,
    ]
    assert "Sent 1 Failed 2" in files.pdf_pages(files.made("pdf", heads, rows))[1]


def test_programs_find_each_column_by_a_name_of_its_own() -> None:
    heads = [Head("n", "A", Kind.INTEGER), Head("n", "B", Kind.INTEGER), Head("n_2", "100 %", Kind.INTEGER)]
    assert cells.unique_names(heads) == ["n", "n_3", "n_2"]
    assert files.jsonl_rows(files.made("jsonl", heads, [(1, 2, 3)])) == [{"n": 1, "n_3": 2, "n_2": 3}]


@pytest.mark.parametrize("file_format", ["csv", "xlsx", "jsonl", "parquet", "pdf"])
def test_a_report_without_rows_is_a_file_all_the_same(file_format: str) -> None:
    content = files.made(file_format, files.heads(day=Kind.DATE, sent=Kind.INTEGER), [])
    match file_format:
        case "csv":
            assert files.csv_rows(content) == [["Day", "Sent"]]
        case "xlsx":
            assert list(files.xlsx_rows(content)) == [{"A": "Day", "B": "Sent"}]
        case "jsonl":
            assert content == b""
        case "parquet":
            assert files.parquet_rows(content) == []
        case "pdf":
            assert "There is nothing to list for these days." in files.pdf_pages(content)[0]


@pytest.mark.parametrize("file_format", ["csv", "xlsx", "jsonl", "parquet", "pdf"])
def test_the_same_rows_make_the_same_bytes(file_format: str) -> None:
    rows = [(f"Person {n}", n, MOMENT) for n in range(800)]
    heads = files.heads(name=Kind.TEXT, n=Kind.INTEGER, at=Kind.MOMENT)
    assert files.made(file_format, heads, rows) == files.made(file_format, heads, rows)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_the_quick_look_before_the_guard_changes_nothing(text: str) -> None:
    heads = files.heads(text=Kind.TEXT, n=Kind.INTEGER)
    assert files.csv_rows(files.made("csv", heads, [(text, 1)]))[1][0] == guard(text)
