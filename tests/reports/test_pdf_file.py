from __future__ import annotations

import io
import logging
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pypdf import PdfReader

from reports.datasets.registry import Kind
from tests.reports import files

HEADS = files.heads(day=Kind.DATE, sent=Kind.INTEGER, rate=Kind.DECIMAL)
ROWS = [(date(2024, 1, 1) + timedelta(days=n), 1000 + n, Decimal(n) / 8) for n in range(1234)]


def made(rows: list[tuple[Any, ...]], summary: dict[str, Any] | None = None, **about: Any) -> list[str]:
    return files.pdf_pages(files.made("pdf", HEADS, rows, summary, **about))


def test_the_first_page_sums_up_the_report() -> None:
    summary = {
        "rows": 3, "rows_before": 2, "totals": [{"label": "Sent", "value": 3003, "before": 3300}],
        "charts": [{"title": "By list", "points": [["All", 1200], ["Few", -30]], "note": "The first 60 rows."}],
        "incomplete": "INCOMPLETE: only the first 3 rows.",
    }  # fmt: skip
    first, second = made(ROWS[:3], summary)
    for words in (
        "Numbers 9 to 15 November 2026, Europe/Berlin Made Thu 19 Nov 2026, 09:00 CET. Times are those of Europe/Berlin.",
        "INCOMPLETE: only the first 3 rows.", "Rows 3 ▲ 50 % more than the 2 of the period before",
        "Sent 3,003 ▼ 9 % less than the 3,300 of the period before", "By list All 1,200 Few -30 The first 60 rows.",
        "The next page shows all 3 rows.", "Page 1 of 2",
    ):  # fmt: skip
        assert words in first
    assert "Day Sent Rate 2024-01-01 1,000 0.000 2024-01-02 1,001 0.125" in second and "Page 2 of 2" in second


def test_it_draws_charts_of_its_own_rows_where_the_summary_has_none() -> None:
    assert "Sent 1 January most: 1,030, 31 January 31 January Rate" in made(ROWS[:31], {"rows": 31})[0]


def test_the_first_thousand_rows_are_shown_and_where_the_others_are() -> None:
    pages = made(ROWS, formats=("csv", "pdf"))
    assert "The next pages show the first 1,000 rows. The 234 other rows are in the CSV file." in pages[0]
    assert all(page.count("Day Sent Rate") == 1 for page in pages[1:])
    assert sum(page.count("202") for page in pages[1:]) >= 1000
    assert "2026-09-26" in pages[-1] and "2026-09-27" not in pages[-1]
    assert [page.rpartition("Page ")[2] for page in pages] == [f"{n} of {len(pages)}" for n in range(1, len(pages) + 1)]


@pytest.mark.parametrize(
    ("formats", "words"),
    [
        (("pdf", "xlsx"), "The 234 other rows are in the Excel file."),
        (("pdf",), "The 234 other rows are not in this file: choose CSV or Excel as well to have everything."),
    ],
)
def test_it_says_what_to_do_where_nothing_has_the_others(formats: tuple[str, ...], words: str) -> None:
    assert words in made(ROWS, formats=formats)[0]


def test_columns_without_room_are_told() -> None:
    heads = files.heads(**{f"column_number_{n}": Kind.TEXT for n in range(40)})
    first, second = files.pdf_pages(files.made("pdf", heads, [tuple(f"value {n}" for n in range(40))]))
    assert "The next page shows the only row. The 24 columns that had no room here are not in this file" in first
    assert "value 15" in second and "value 16" not in second


def test_text_of_any_script_is_shown_or_is_a_box(caplog: pytest.LogCaptureFixture) -> None:
    heads = files.heads(name=Kind.TEXT)
    rows = [
        ("Ünal Ελλάδα Москва",),
        ("山田 🎉",),
        ("שלום",),
        ("مرحبا",),
        ("e\u0301\u200d\x00",),
        ("two\nlines " * 200_000,),
    ]
    with caplog.at_level(logging.WARNING):
        first, second = files.pdf_pages(files.made("pdf", heads, rows, title="山" * 200))
    assert "Ünal Ελλάδα Москва □□ □ " in second and "two lines two lines" in second and "…" in second
    assert "□□□…" in first
    assert not caplog.records


def test_moments_are_on_the_clock_of_the_report() -> None:
    content = files.made("pdf", files.heads(at=Kind.MOMENT), [(datetime(2026, 7, 1, 22, tzinfo=timezone.utc),)])
    assert "2026-07-02 00:00" in files.pdf_pages(content)[1]


def test_the_file_carries_its_fonts_and_its_name() -> None:
    reader = PdfReader(io.BytesIO(files.made("pdf", HEADS, ROWS[:1])))
    assert reader.metadata is not None and reader.metadata.title == "Numbers"
    resources: Any = reader.pages[0]["/Resources"]
    for font in resources["/Font"].values():
        descriptor = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert "DejaVuSansCondensed" in descriptor["/FontName"] and "/FontFile2" in descriptor
