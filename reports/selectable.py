"""What can be chosen of a data set, and what it is called in files and forms. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reports.datasets.registry import Column, DataSet, Kind, Total
from reports.selection import ROWS, Selection, TotalOf

ROWS_LABEL = "Rows"
BY = {"day": "day", "week": "week", "month": "month"}
_BY_HEAD = {"day": "day", "week": "week from", "month": "month from"}
_HOW = {Total.SUM: "sum", Total.AVERAGE: "average", Total.LEAST: "lowest", Total.MOST: "highest"}
_HOW_OF_DAYS = {Total.LEAST: "earliest", Total.MOST: "latest"}


def filterable(data_set: DataSet) -> list[Column]:
    """The columns that filters may ask about."""
    return [column for column in data_set.columns if column.is_filter] if data_set.queryset is not None else []


def groupable(data_set: DataSet) -> list[Column]:
    """The columns that may group."""
    return [column for column in data_set.columns if column.is_group] if data_set.queryset is not None else []


def bys(column: Column) -> tuple[str, ...]:
    """How a column may group: by its values, or by day, week or month."""
    return tuple(BY) if column.kind in (Kind.DATE, Kind.MOMENT) else ("",)


def columns_of(chosen: Selection, data_set: DataSet) -> list[Column]:
    """The columns of the file, where it is not grouped. Raises KeyError for one that is gone."""
    return [data_set.column(name) for name in chosen.columns] if chosen.columns else list(data_set.columns)


def totals_of(chosen: Selection) -> list[TotalOf]:
    """The totals but for the number of rows, which is always known."""
    return [one for one in chosen.totals if one.how != ROWS]


def total_label(column: Column, how: str) -> str:
    """ "Sent, sum"; "Due, latest"."""
    return f"{column.label}, {total_word(column, how)}"


def total_word(column: Column, how: str) -> str:
    """ "sum", "average", "lowest", "highest"; of days "earliest", "latest"."""
    total = Total(how)
    return _HOW_OF_DAYS.get(total, _HOW[total]) if column.kind in (Kind.DATE, Kind.MOMENT) else _HOW[total]


def total_kind(column: Column, how: str) -> Kind:
    """What the values of a total are."""
    return Kind.DECIMAL if how == Total.AVERAGE else column.kind


def total_labels(data_set: DataSet) -> dict[str, TotalOf]:
    """Every total that can be chosen, by its label; the number of rows first."""
    found = {ROWS_LABEL: TotalOf("", ROWS)}
    for column in data_set.columns:
        found |= {total_label(column, how): TotalOf(column.name, how.value) for how in column.totals}
    return found


def group_label(column: Column, by: str) -> str:
    """ "Due, month from"; the column's own where it groups by its values."""
    return f"{column.label}, {_BY_HEAD[by]}" if by else column.label


def orders(chosen: Selection, data_set: DataSet) -> list[tuple[str, str]]:
    """By what the rows may be ordered: ("-sent", "Sent, largest first")."""
    if data_set.queryset is None:
        return []
    offered: list[tuple[str, str, Kind]] = []
    if not chosen.groups:
        offered = [(column.name, column.label, column.kind) for column in data_set.columns]
    else:
        for one in chosen.groups:
            column = data_set.column(one.column)
            offered.append((column.name, group_label(column, one.by), Kind.DATE if one.by else column.kind))
        offered.append((ROWS, ROWS_LABEL, Kind.INTEGER))
        for total in totals_of(chosen):
            column = data_set.column(total.column)
            offered.append((total.name, total_label(column, total.how), total_kind(column, total.how)))
    return [way for name, label, kind in offered for way in _ways(name, label, kind)]


def _ways(name: str, label: str, kind: Kind) -> Iterable[tuple[str, str]]:
    match kind:
        case Kind.INTEGER | Kind.DECIMAL:
            up, down = "smallest first", "largest first"
        case Kind.DATE | Kind.MOMENT:
            up, down = "oldest first", "newest first"
        case Kind.YES_NO:
            up, down = "no first", "yes first"
        case _:
            up, down = "A to Z", "Z to A"
    return (name, f"{label}, {up}"), (f"-{name}", f"{label}, {down}")
