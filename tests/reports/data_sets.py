"""Whether a data set keeps what reports rely on. Call :func:`check` in the test of yours.

    def test_it_keeps_what_reports_rely_on(db: None) -> None:
        data_sets.check(VISITS, WINDOW, add=lambda n: Visit.objects.create(at=WINDOW.start, page=f"Page {n}"))

Run your test on both databases (``python -m tests.postgres pytest …``): the rows that it expects must be the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from reports import sources
from reports.datasets import registry
from reports.datasets.registry import DataSet, Kind, Row
from reports.periods import Window
from reports.sources import Choices, Source

LONG_AGO = Window(date(1971, 3, 1), date(1971, 3, 3), "UTC")
_TYPES: dict[Kind, type | tuple[type, ...]] = {
    Kind.TEXT: str,
    Kind.INTEGER: int,
    Kind.DECIMAL: Decimal,
    Kind.DATE: date,
    Kind.MOMENT: datetime,
    Kind.YES_NO: bool,
}


def rows_of(data_set: DataSet, window: Window) -> list[Row]:
    """Its rows, read as a report reads them."""
    return list(_source(data_set, window).rows())


def check(data_set: DataSet, window: Window, *, add: Callable[[int], object]) -> None:
    """Fails in words where it does not keep a promise. ``add`` makes something that it lists, in the window."""
    _check_columns(data_set)
    assert registry.get(data_set.key) is data_set, "it is not registered in reports/kinds.py"
    assert data_set.label and data_set.label[0].isupper() and not data_set.label.endswith(".")
    empty = _source(data_set, LONG_AGO)
    quiet = list(empty.rows())
    assert all(len(row) == len(data_set.columns) for row in quiet), "a window in which nothing happened"
    assert empty.count() in (None, len(quiet))

    for number in range(3):
        add(number)
    few, queries_of_few = _read(data_set, window)
    assert few, "`add` made nothing that it lists in this window"
    for number in range(3, 12):
        add(number)
    many, queries_of_many = _read(data_set, window)
    assert queries_of_many <= queries_of_few, f"{queries_of_few} queries for few rows, {queries_of_many} for many"
    _check_values(data_set, many)
    assert _read(data_set, window)[0] == many, "its order is not definite"
    source = _source(data_set, window)
    assert source.count() in (None, len(many)), "it announces another number of rows than it has"
    if data_set.queryset is not None:
        _check_statement(source, many)


def _check_columns(data_set: DataSet) -> None:
    for names in ([column.name for column in data_set.columns], [column.label for column in data_set.columns]):
        assert len(set(names)) == len(names), f"a column twice: {names}"
    assert (data_set.queryset is None) != (data_set.rows is None), "either rows or a queryset"
    for name in data_set.order:
        data_set.column(name.removeprefix("-"))
    for column in data_set.columns:
        assert column.name.isidentifier(), f"{column.name} is stored in definitions: letters and _ only"
        assert column.label, f"{column.name} has no head"
        if data_set.queryset is None:
            assert not column.is_group, f"{column.name}: rows made in Python cannot be grouped"
        if column.totals:
            assert column.kind in (Kind.INTEGER, Kind.DECIMAL), f"{column.name} is no number, and has totals"


def _check_values(data_set: DataSet, rows: list[Row]) -> None:
    for row in rows:
        assert len(row) == len(data_set.columns), row
        for column, value in zip(data_set.columns, row, strict=True):
            if value is None:
                continue
            assert isinstance(value, _TYPES[column.kind]), f"{column.name} is no {column.kind}: {value!r}"
            if column.kind is Kind.INTEGER:
                assert not isinstance(value, bool), f"{column.name} is yes or no: {value!r}"
            if column.kind is Kind.DATE:
                assert not isinstance(value, datetime), f"{column.name} is a moment: {value!r}"
            if column.kind is Kind.MOMENT:
                assert isinstance(value, datetime) and value.tzinfo is not None, (
                    f"{column.name} has no time zone: {value!r}"
                )
            if column.choices and value != "":
                assert value in dict(column.choices), f"{column.name}: nobody says what {value!r} means"


def _check_statement(source: Source, rows: list[Row]) -> None:
    """What PostgreSQL writes by itself is what Python would have written."""
    statement = source.statement()
    assert statement is not None, "the rows of a queryset are one SELECT"
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters)
        found = cursor.fetchall()
    assert len(found) == len(rows) and {len(row) for row in found} <= {len(source.heads)}


def _read(data_set: DataSet, window: Window) -> tuple[list[Row], int]:
    with CaptureQueriesContext(connection) as queries:
        found = list(_source(data_set, window).rows())
    return found, len(queries)


def _source(data_set: DataSet, window: Window) -> Any:
    return sources.of(Choices(data_set.key), window)
