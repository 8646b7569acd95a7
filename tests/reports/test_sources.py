"""Rows of the database as staff chose them: filters, groups and totals agree, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import DecimalField, Value
from django.db.models.functions import Cast
from django.test.utils import CaptureQueriesContext

from reports import sources
from reports.datasets import registry
from reports.datasets.registry import Column, DataSet, Kind, Row, Total
from reports.models import ReportDefinition
from reports.periods import Window
from reports.selection import Filter, Group, Selection, TotalOf
from runs.models import Run
from runs.states import State

MONEY = DecimalField(max_digits=12, decimal_places=2)
ALL = (Total.SUM, Total.AVERAGE, Total.LEAST, Total.MOST)
YEAR = Window(date(2026, 1, 1), date(2027, 1, 1), "Europe/Berlin")
RUNS = DataSet(
    key="test_runs",
    label="Test runs",
    columns=(
        Column("due", "Due", Kind.MOMENT, "due_at", is_group=True, totals=(Total.LEAST, Total.MOST)),
        Column("kind", "Kind", is_group=True),
        Column("state", "State", is_group=True, choices=(("failed", "Failed"), ("succeeded", "Well"))),
        Column("rows", "Lines", Kind.INTEGER, "progress_done", totals=ALL),
        Column("note", "Note", source="result"),
        Column("limit", "Limit", Kind.INTEGER, "progress_total", totals=ALL),
        Column("cost", "Cost", Kind.DECIMAL, Cast("attempt", MONEY) * Value(Decimal("0.25"), MONEY), ALL),
        Column("exclusive", "Alone", Kind.YES_NO, is_group=True),
    ),
    queryset=lambda window: Run.objects.filter(due_at__gte=window.start, due_at__lt=window.end),
    order=("-due",),
)  # fmt: skip


@pytest.fixture(autouse=True)
def rows(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._registry, RUNS.key, RUNS)
    start = datetime.fromisoformat("2026-01-15T23:30:00+00:00")  # 16 January in Berlin
    Run.objects.bulk_create(
        Run(
            kind="report" if n % 3 else "cleanup", due_at=start + timedelta(days=4 * n), trigger="manual",
            state=State.FAILED if n % 4 == 0 else State.SUCCEEDED, progress_done=n, progress_total=None if n % 2 else n,
            result="" if n % 5 else "Sent 50% of “Öl_1”", attempt=n, exclusive=n % 6 == 0,
        )
        for n in range(60)
    )  # fmt: skip


def of(**chosen: Any) -> Any:
    return sources.of(sources.Choices(RUNS.key, Selection(**chosen).to_json()), YEAR)


def found(**chosen: Any) -> list[Row]:
    return list(of(**chosen).rows())


def numbers(*filters: Filter) -> list[int]:
    return sorted(row[0] for row in found(columns=("rows",), filters=filters))


def test_nothing_chosen_is_every_column_of_every_row() -> None:
    source = of()
    assert [head.label for head in source.heads] == [column.label for column in RUNS.columns]
    listed = list(source.rows())
    assert len(listed) == source.count() == 60
    assert [row[3] for row in listed] == list(range(59, -1, -1)), "newest first, as the data set has it"


def test_columns_come_in_the_order_that_was_chosen() -> None:
    assert found(columns=("kind", "rows"), order=("rows",))[:2] == [("cleanup", 0), ("report", 1)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Filter("rows", "at_least", ("58",)), [58, 59]),
        (Filter("rows", "at_most", ("1",)), [0, 1]),
        (Filter("rows", "between", ("3", "5")), [3, 4, 5]),
        (Filter("rows", "is", ("7",)), [7]),
        (Filter("cost", "is", ("2.25",)), [9]),
        (Filter("limit", "empty"), list(range(1, 60, 2))),
        (Filter("limit", "not_empty"), list(range(0, 60, 2))),
        (Filter("note", "empty"), [n for n in range(60) if n % 5]),
        (Filter("note", "contains", ("50% OF",)), list(range(0, 60, 5))),
        (Filter("note", "contains", ("5_",)), []),
        (Filter("note", "begins", ("sent",)), list(range(0, 60, 5))),
        (Filter("kind", "is", ("Cleanup",)), list(range(0, 60, 3))),
        (Filter("kind", "one_of", ("cleanup", "nothing")), list(range(0, 60, 3))),
        (Filter("state", "one_of", ("failed",)), list(range(0, 60, 4))),
        (Filter("state", "not_one_of", ("failed",)), [n for n in range(60) if n % 4]),
        (Filter("exclusive", "yes"), list(range(0, 60, 6))),
        (Filter("exclusive", "no"), [n for n in range(60) if n % 6]),
        # 23:30 UTC is the next day in Berlin: the days of a filter are those of the report.
        (Filter("due", "is", ("2026-01-16",)), [0]),
        (Filter("due", "is", ("2026-01-15",)), []),
        (Filter("due", "at_most", ("2026-01-20",)), [0, 1]),
        (Filter("due", "between", ("2026-01-20", "2026-01-24")), [1, 2]),
        (Filter("due", "at_least", ("2026-09-09",)), [59]),
    ],
)  # fmt: skip
def test_a_filter_keeps_the_rows_that_it_names(asked: Filter, expected: list[int]) -> None:
    assert numbers(asked) == expected


def test_filters_all_have_to_be_true() -> None:
    assert numbers(Filter("rows", "at_least", ("50",)), Filter("kind", "is", ("cleanup",))) == [51, 54, 57]


def test_one_row_for_each_group_with_its_totals_and_their_sum_is_the_total_of_all() -> None:
    source = of(
        groups=(Group("kind"),), totals=(TotalOf("rows", "sum"), TotalOf("cost", "average"), TotalOf("limit", "most"))
    )
    assert [head.label for head in source.heads] == ["Kind", "Rows", "Lines, sum", "Cost, average", "Limit, highest"]
    groups = list(source.rows())
    assert groups == [
        ("cleanup", 20, 570, Decimal("7.1250"), 54),
        ("report", 40, 1200, Decimal("7.5000"), 58),
    ]
    totals = source.totals()
    assert sum(row[2] for row in groups) == totals["Lines, sum"] == sum(range(60))
    assert sum(row[1] for row in groups) == 60 and totals["Limit, highest"] == 58
    assert totals["Cost, average"] == Decimal("7.3750")
    assert source.count() == 2


@pytest.mark.parametrize("by", ["day", "week", "month"])
def test_groups_of_days_are_those_of_the_reports_zone(by: str) -> None:
    groups = found(groups=(Group("due", by),), totals=(TotalOf("rows", "sum"),))
    starts = [datetime.fromisoformat("2026-01-16") + timedelta(days=4 * n) for n in range(60)]
    first: Callable[[datetime], date] = {
        "day": lambda at: at.date(),
        "week": lambda at: at.date() - timedelta(days=at.weekday()),
        "month": lambda at: at.date().replace(day=1),
    }[by]
    expected: dict[date, list[int]] = {}
    for n, at in enumerate(starts):
        expected.setdefault(first(at), []).append(n)
    assert groups == [(day, len(ns), sum(ns)) for day, ns in sorted(expected.items())]


def test_groups_of_groups_are_ordered_definitely_and_as_chosen() -> None:
    groups = found(groups=(Group("state"), Group("exclusive")), order=("-rows",))
    assert [row[2] for row in groups] == sorted((row[2] for row in groups), reverse=True)
    assert {(row[0], row[1]): row[2] for row in groups} == {
        ("failed", True): 5, ("failed", False): 10, ("succeeded", True): 5, ("succeeded", False): 40,
    }  # fmt: skip


def test_what_is_empty_comes_last_upwards_and_first_downwards_on_every_database() -> None:
    up = [row[0] for row in found(columns=("limit",), order=("limit",))]
    assert up[:3] == [0, 2, 4] and up[-1] is None
    down = [row[0] for row in found(columns=("limit",), order=("-limit",))]
    assert down[0] is None and down[-3:] == [4, 2, 0]


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"columns": ("rows", "cost"), "filters": (Filter("note", "contains", ("50%",)),)},
        {"groups": (Group("due", "month"), Group("kind")), "totals": (TotalOf("rows", "sum"), TotalOf("cost", "average"))},
    ],
)  # fmt: skip
def test_the_statement_gives_the_same_rows_as_reading_does(chosen: dict[str, Any]) -> None:
    source = of(**chosen)
    statement = source.statement()
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters)
        stated = cursor.fetchall()
    read = list(source.rows())
    assert len(stated) == len(read) == source.count()
    place = next(n for n, head in enumerate(source.heads) if head.label in ("Lines", "Lines, sum"))
    assert [int(row[place]) for row in stated] == [row[place] for row in read]
    if connection.vendor == "postgresql" and "groups" in chosen:
        assert stated == read, "days as days, whole numbers as whole numbers"


def test_filters_that_nothing_can_pass_give_no_row_and_no_error() -> None:
    source = of(
        filters=(Filter("rows", "between", ("500", "600")),), groups=(Group("kind"),), totals=(TotalOf("rows", "sum"),)
    )
    assert list(source.rows()) == [] and source.count() == 0
    assert source.totals() == {"Lines, sum": None}


def test_totals_are_one_query_and_groups_another() -> None:
    source = of(groups=(Group("kind"),), totals=tuple(TotalOf("rows", how) for how in ALL))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        source.totals()
    assert len(queries) == 1
    with CaptureQueriesContext(connection) as queries:
        assert of().totals() == {}
    assert len(queries) == 0


def test_text_in_a_filter_is_data_and_never_sql() -> None:
    for text in ("'; DROP TABLE runs_run; --", "%s", "$$", "{}", "\\", "x" * 500, "50%%"):
        assert numbers(Filter("note", "contains", (text,))) == []


def test_a_column_that_is_gone_fails_in_words_and_lists_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for chosen in (
        {"columns": ["opens"]}, {"filters": [{"column": "opens", "is": "is", "values": ["1"]}]},
        {"groups": [{"column": "opens", "by": ""}]}, {"totals": [{"column": "opens", "how": "sum"}]},
    ):  # fmt: skip
        with pytest.raises(sources.Unreadable, match="“Opens” is no longer in “Test runs”; choose again"):
            sources.of(sources.Choices(RUNS.key, {**chosen, "called": {"opens": "Opens"}}), YEAR)
    with pytest.raises(sources.Unreadable, match="cannot be read"):
        sources.of(sources.Choices(RUNS.key, {"filters": "everything"}), YEAR)


def test_rows_that_python_makes_have_columns_and_totals_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = DataSet(
        key="test_made",
        label="Made",
        columns=(Column("day", "Day", Kind.DATE), Column("sent", "Sent", Kind.INTEGER, totals=ALL)),
        rows=lambda window: iter([(date(2026, 1, 1), 5), (date(2026, 1, 2), None), (date(2026, 1, 3), 2)]),
        count=lambda window: 3,
    )
    monkeypatch.setitem(registry._registry, made.key, made)
    selection = Selection(columns=("sent",), totals=tuple(TotalOf("sent", how) for how in ALL))
    source = sources.of(sources.Choices(made.key, selection.to_json()), YEAR)
    assert list(source.rows()) == [(5,), (None,), (2,)]
    assert source.totals() == {
        "Sent, sum": 7, "Sent, average": Decimal("3.5000"), "Sent, lowest": 2, "Sent, highest": 5,
    }  # fmt: skip
    assert source.statement() is None
    grouped = Selection(groups=(Group("day", "month"),)).to_json()
    with pytest.raises(sources.Unreadable, match="cannot be grouped"):
        sources.of(sources.Choices(made.key, grouped), YEAR)


def test_a_definition_reads_what_it_chose() -> None:
    selection = Selection(columns=("rows",), filters=(Filter("rows", "at_most", ("2",)),), order=("rows",))
    definition = ReportDefinition(data_set=RUNS.key, selection=selection.to_json())
    assert list(sources.of(sources.Choices.of(definition), YEAR).rows()) == [(0,), (1,), (2,)]
