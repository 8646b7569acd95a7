"""Rows that the database keeps: the columns, filters, groups, totals and order that staff chose, as one SELECT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import EmptyResultSet, FieldError
from django.db import connections
from django.db.models import (
    Aggregate,
    Avg,
    BigIntegerField,
    Count,
    DateField,
    DecimalField,
    F,
    Func,
    Max,
    Min,
    OrderBy,
    Q,
    QuerySet,
    Sum,
    Value,
)
from django.db.models.expressions import Combinable, Expression
from django.db.models.functions import Cast, TruncDate, TruncMonth, TruncWeek

from reports import filters, periods, selectable
from reports.datasets.registry import Column, DataSet, Kind, Row, Total
from reports.periods import Window
from reports.selection import ROWS, Filter, Group, Selection, TotalOf
from reports.sources import Head, Statement, Unreadable, head_of

CHUNK = 5000
PLACES = 4
"""Decimals of an average."""
_TRUNCATED = {"week": TruncWeek, "month": TruncMonth}


class QuerysetSource:
    """Rows of the database. What was chosen must fit the data set (:func:`reports.selection_checks.check`)."""

    def __init__(self, data_set: DataSet, window: Window, chosen: Selection | None = None) -> None:
        assert data_set.queryset is not None
        self._data_set = data_set
        self._chosen = chosen or Selection()
        self._zone = ZoneInfo(window.zone)
        # A number in front of what a data set calls its columns: no name can then be that of a field.
        named = {f"c_{column.name}": _expression(column) for column in data_set.columns}
        self._all = self._filtered(data_set.queryset(window).order_by().annotate(**named), window.zone)
        self.heads = self._group_heads() if self._chosen.groups else self._column_heads()
        try:
            self._rows = self._grouped() if self._chosen.groups else self._listed()
        except FieldError:
            # Of rows that are counted together already.
            raise Unreadable(f"“{data_set.label}” cannot be grouped like this; choose again.") from None

    def count(self) -> int | None:
        return int(self._rows.count())

    def rows(self) -> Iterator[Row]:
        yield from self._rows.iterator(chunk_size=CHUNK)

    def statement(self) -> Statement | None:
        try:
            sql, parameters = self._rows.query.sql_with_params()
        except EmptyResultSet:  # nothing can be found by these filters
            return None
        return Statement(sql, tuple(parameters))

    def totals(self) -> Mapping[str, Any]:
        wanted = {f"t_{place}": _aggregate(self._column(one), one.how) for place, one in enumerate(self._totals)}
        found = self._all.aggregate(**wanted) if wanted else {}
        return {self._total_label(one): found[f"t_{place}"] for place, one in enumerate(self._totals)}

    @property
    def _totals(self) -> list[TotalOf]:
        return selectable.totals_of(self._chosen)

    def _column(self, one: Filter | Group | TotalOf) -> Column:
        return self._data_set.column(one.column)

    def _total_label(self, one: TotalOf) -> str:
        return selectable.total_label(self._column(one), one.how)

    def _column_heads(self) -> list[Head]:
        return [head_of(column) for column in selectable.columns_of(self._chosen, self._data_set)]

    def _group_heads(self) -> list[Head]:
        heads = []
        for one in self._chosen.groups:
            column = self._column(one)
            label = selectable.group_label(column, one.by)
            heads.append(Head(column.name, label, Kind.DATE if one.by else column.kind, column.choices))
        heads.append(Head(ROWS, selectable.ROWS_LABEL, Kind.INTEGER))
        for total in self._totals:
            kind = selectable.total_kind(self._column(total), total.how)
            heads.append(Head(total.name, self._total_label(total), kind))
        return heads

    def _filtered(self, queryset: QuerySet[Any], zone: str) -> QuerySet[Any]:
        for one in self._chosen.filters:
            queryset = queryset.filter(_condition(self._column(one), one, zone))
        return queryset

    def _listed(self) -> QuerySet[Any, Any]:
        names = [f"c_{head.name}" for head in self.heads]
        order = [self._order(name, "c_") for name in (*self._chosen.order, *self._data_set.order)]
        return self._all.order_by(*order, "pk").values_list(*names)

    def _grouped(self) -> QuerySet[Any, Any]:
        keys = {f"g_{one.column}": self._key(one) for one in self._chosen.groups}
        sums: dict[str, Any] = {f"g_{ROWS}": Count("*")}
        sums |= {f"g_{one.name}": _aggregate(self._column(one), one.how) for one in self._totals}
        grouped = self._all.annotate(**keys).values(*keys).annotate(**sums)
        # The groups tell the rows apart, so that they make any order definite.
        order = [
            self._order(name, "g_") for name in (*self._chosen.order, *(one.column for one in self._chosen.groups))
        ]
        rows: QuerySet[Any, Any] = grouped.order_by(*order).values_list(*(f"g_{head.name}" for head in self.heads))
        return rows

    def _key(self, one: Group) -> Combinable:
        column = self._column(one)
        key: Any = F(f"c_{column.name}")
        if column.kind == Kind.MOMENT:
            key = TruncDate(key, tzinfo=self._zone)
        return Cast(_TRUNCATED[one.by](key), DateField()) if one.by in _TRUNCATED else key

    def _order(self, name: str, prefix: str) -> OrderBy:
        field, is_down = F(f"{prefix}{name.removeprefix('-')}"), name.startswith("-")
        if connections[self._all.db].vendor == "postgresql":
            return OrderBy(field, descending=is_down)  # its own place for what is empty, which its indexes know
        return OrderBy(field, descending=is_down, nulls_first=is_down or None, nulls_last=not is_down or None)


class _Average(Func):
    """The mean, rounded alike by every database."""

    output_field = DecimalField(max_digits=38, decimal_places=PLACES)

    function = "ROUND"
    template = f"%(function)s(%(expressions)s, {PLACES})"

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template=f"CAST(%(expressions)s AS numeric(38, {PLACES}))", **extra)

    def convert_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else Decimal(str(value)).quantize(Decimal(10) ** -PLACES)


def _expression(column: Column) -> Any:
    source = column.source or column.name
    return F(source) if isinstance(source, str) else source


def _aggregate(column: Column, how: str) -> Expression | Aggregate:
    field = f"c_{column.name}"
    match Total(how):
        case Total.SUM:
            # PostgreSQL sums whole numbers as decimals.
            return Cast(Sum(field), BigIntegerField()) if column.kind == Kind.INTEGER else Sum(field)
        case Total.AVERAGE:
            return _Average(Avg(field))
        case Total.LEAST:
            return Min(field)
        case Total.MOST:
            return Max(field)


def _condition(column: Column, one: Filter, zone: str) -> Q:
    """The filter as the database asks it; days of moments begin and end in the report's zone."""
    name = f"c_{column.name}"
    values = filters.values(column, one.op, one.values)
    if column.kind == Kind.DECIMAL:
        # SQLite compares an expression with a decimal as text, unless it is told that it is a number.
        values = [Cast(Value(value), DecimalField(max_digits=38, decimal_places=12)) for value in values]
    match one.op:
        case "empty" | "not_empty":
            empty = Q(**{f"{name}__isnull": True})
            empty |= Q(**{name: ""}) if column.kind == Kind.TEXT else Q()
            return empty if one.op == "empty" else ~empty
        case "one_of":
            return Q(**{f"{name}__in": values})
        case "not_one_of":
            return ~Q(**{f"{name}__in": values}) | Q(**{f"{name}__isnull": True})
        case "yes" | "no":
            return Q(**{name: one.op == "yes"})
        case "contains" | "begins":
            return Q(**{f"{name}__{'icontains' if one.op == 'contains' else 'istartswith'}": values[0]})
    if column.kind == Kind.TEXT:
        return Q(**{f"{name}__iexact": values[0]})
    low = values[0] if one.op in ("is", "at_least", "between") else None
    high = values[-1] if one.op in ("is", "at_most", "between") else None
    if column.kind == Kind.MOMENT:
        return _between_days(name, low, high, zone)
    least = Q() if low is None else Q(**{f"{name}__gte": low})
    return least if high is None else least & Q(**{f"{name}__lte": high})


def _between_days(name: str, low: date | None, high: date | None, zone: str) -> Q:
    asked = Q()
    if low is not None:
        asked &= Q(**{f"{name}__gte": _starts(low, zone)})
    return asked if high is None else asked & Q(**{f"{name}__lt": _ends(high, zone)})


def _starts(day: date, zone: str) -> datetime:
    return periods.Window(day, day, zone).start


def _ends(day: date, zone: str) -> datetime:
    return periods.Window(day, date.fromordinal(day.toordinal() + 1), zone).end
