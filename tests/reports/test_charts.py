from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from math import nan
from typing import Any

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from reports import charts, drawings, figures
from reports.datasets.registry import Kind
from reports.sources import Head
from tests.reports import files

DAYS = [date(2026, 11, 1) + timedelta(days=n) for n in range(90)]
HEADS = files.heads(day=Kind.DATE, sent=Kind.INTEGER, rate=Kind.DECIMAL)


def test_each_column_of_amounts_is_a_chart_over_the_days() -> None:
    rows = [(DAYS[0], 40, Decimal("0.5")), (DAYS[1], 38, Decimal("2.00")), (DAYS[2], None, nan)]
    names = ["1 November", "2 November", "3 November"]
    assert charts.points(HEADS, rows) == [
        {"title": "Sent", "points": [[names[0], 40], [names[1], 38], [names[2], None]]},
        {"title": "Rate", "points": [[names[0], 0.5], [names[1], 2], [names[2], None]]},
    ]


def test_there_are_at_most_three_charts_of_sixty_bars_and_what_is_left_out_is_said() -> None:
    heads = files.heads(day=Kind.DATE, a=Kind.INTEGER, b=Kind.INTEGER, c=Kind.INTEGER, d=Kind.INTEGER)
    found = charts.points(heads, [(day, 1, 2, 3, 4) for day in DAYS])
    assert [chart["title"] for chart in found] == ["A", "B", "C"]
    assert [len(chart["points"]) for chart in found] == [60, 60, 60]
    assert found[0]["note"] == "The first 60 rows."


def test_days_of_two_years_and_months_are_told_apart() -> None:
    def labels(*days: date) -> list[str]:
        return [point[0] for point in charts.points(HEADS, [(day, 1, 1) for day in days])[0]["points"]]

    assert labels(date(2026, 12, 31), date(2027, 1, 1)) == ["31 December 2026", "1 January 2027"]
    assert labels(date(2026, 12, 1), date(2027, 1, 1)) == ["December 2026", "January 2027"]


def test_names_that_do_not_tell_rows_apart_are_no_labels() -> None:
    heads = files.heads(list=Kind.TEXT, name=Kind.TEXT, n=Kind.INTEGER)
    rows = [("All", "Ada", 1), ("All", "Bob", 2)]
    assert charts.points(heads, rows)[0]["points"] == [["Ada", 1], ["Bob", 2]]
    assert charts.points(heads[:1] + heads[2:], [(row[0], row[2]) for row in rows]) == []


@pytest.mark.parametrize(
    ("heads", "rows"),
    [
        (HEADS, []), (HEADS, [(DAYS[0], 1, 1)]), (HEADS, [(day, 0, None) for day in DAYS]),
        (files.heads(n=Kind.INTEGER, at=Kind.MOMENT), [(1, datetime(2026, 1, 1, tzinfo=timezone.utc))] * 2),
        (files.heads(name=Kind.TEXT, issue_id=Kind.INTEGER, year=Kind.INTEGER), [("a", 7, 2026), ("b", 8, 2026)]),
        ([*files.heads(name=Kind.TEXT), Head("s", "S", Kind.INTEGER, (("1", "Sent"),))], [("a", 1), ("b", 1)]),
    ],
)  # fmt: skip
def test_there_is_no_chart_where_it_would_make_no_sense(heads: list[Head], rows: list[tuple[Any, ...]]) -> None:
    assert charts.points(heads, rows) == []


numbers = st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9)


@given(st.lists(numbers, min_size=1, max_size=60))
def test_bars_never_leave_the_drawing(values: list[float | None]) -> None:
    for drawing in drawings.of([{"title": "X", "points": [["a", value] for value in values]}]):
        for bar in drawing.bars:
            assert bar.start >= -1e-9 and bar.length >= 0 and bar.start + bar.length <= 1 + 1e-9
            assert sum(bar.cells) == 100 and min(bar.cells) >= 0
        assert drawing.words.startswith("X: ")


@pytest.mark.parametrize(
    "stored", [None, {}, "x", [None], [{}], [{"points": [["a"]]}], [{"points": [["a", "b"]]}], [{"points": []}]]
)
def test_what_is_no_chart_is_not_drawn(stored: Any) -> None:
    assert drawings.of(stored) == []


def test_few_bars_are_a_table_with_names_and_numbers() -> None:
    page = render_to_string(
        "reports/_charts.html", {"charts": [{"title": "<b>", "points": [["A & B", 1200], ["C", -300]]}]}
    )
    assert "&lt;b&gt;" in page and '<th scope="row">A &amp; B</th>' in page
    assert '<td class="al-bars-value">1,200</td>' in page and '<td class="al-bars-value">-300</td>' in page
    assert 'x="20.00" width="80.00"' in page and 'is-below" x="0.00" width="20.00"' in page


def test_many_bars_are_columns_with_a_table_beside_them() -> None:
    points = [[f"{n} May", n] for n in range(1, 31)]
    page = render_to_string(
        "reports/_charts.html", {"charts": [{"title": "Sent", "points": points, "note": "The first 30."}]}
    )
    assert page.count("<title>") == 30 and page.count('<tr><th scope="row">') == 30
    assert 'aria-label="Sent: 30 bars, from 1 May (1) to 30 May (30). Most: 30, 30 May. Least: 1, 1 May."' in page
    assert 'viewBox="0 0 300 100"' in page and "The first 30." in page


def test_a_mail_has_its_charts_without_a_picture_or_a_stylesheet() -> None:
    stored = [
        {"title": "By list", "points": [["All", 3], ["Few", 1]]},
        {"title": "Sent", "points": [[f"{n} May", n] for n in range(20)]},
    ]
    mail = render_to_string("reports/_charts_for_mail.html", {"charts": stored})
    assert not any(tag in mail for tag in ("<svg", "<img", "<style", "class=", "<script", "display:flex"))
    assert 'width="100%" height="14" bgcolor="#0f766e"' in mail and 'width="33%" height="14" bgcolor="#0f766e"' in mail
    assert "Sent: 20 bars, from 0 May (0) to 19 May (19)." in mail and 'height="80" bgcolor' in mail


@pytest.mark.parametrize(
    ("value", "before", "words", "direction"),
    [
        (120, 100, "20 % more than the 100 of the period before", "up"),
        ("80.5", "100", "19.5 % less than the 100 of the period before".replace("19.5", "20"), "down"),
        (102.5, 100, "2.5 % more than the 100 of the period before", "up"),
        (100001, 100000, "a little more than the 100,000 of the period before", "up"),
        (7, 7, "the same as in the period before", "level"),
        (5, 0, "it was 0 in the period before", "up"), (-50, -100, "50 % more than the -100 of the period before", "up"),
        (5, None, "", ""), (None, 5, "", ""),
    ],
)  # fmt: skip
def test_a_change_is_told_in_words(value: Any, before: Any, words: str, direction: str) -> None:
    figure = figures.Figure("Sent", value, before)
    assert (figure.change, figure.direction) == (words, direction)


@pytest.mark.parametrize(
    ("value", "words"),
    [(1234567, "1,234,567"), ("0.50", "0.5"), (1 / 3, "0.3333"), (100, "100"), (-0.00001, "0"), (None, "–"), (nan, "nan"), ("2 days", "2 days")],
)  # fmt: skip
def test_a_number_has_no_decimals_that_say_nothing(value: Any, words: str) -> None:
    assert figures.number(value) == words


def test_figures_are_cards_that_say_how_they_changed() -> None:
    summary = {"rows": 31, "rows_before": 30, "totals": [{"label": "Sent", "value": 5}]}
    page = render_to_string("reports/_figures.html", {"summary": summary})
    assert page.count("<dt>") == 2 and "3.3 % more than the 30 of the period before" in page
    assert render_to_string("reports/_figures.html", {"summary": {}}).strip() == ""
