"""Whether what was chosen fits the data set as it is now; what does not is said in words. Pure."""

from __future__ import annotations

from reports import filters
from reports.datasets.registry import Column, DataSet
from reports.selectable import bys, filterable, groupable, orders
from reports.selection import ROWS, Selection

MAX_FILTERS = 20
MAX_GROUPS = 3
MAX_ORDER = 3


def check(chosen: Selection, data_set: DataSet) -> dict[str, str]:
    """What does not fit the data set: place → message, in plain words. Places: "columns", "filters.0", "order.1", ""."""
    found: dict[str, str] = {}
    if chosen.is_damaged:
        found[""] = "What was chosen of this data set cannot be read any more. Choose again."
    labels = {column.name: column for column in data_set.columns}
    for name in chosen.columns:
        if name not in labels:
            found["columns"] = _gone(chosen, name, data_set)
    if len(set(chosen.columns)) < len(chosen.columns):
        found.setdefault("columns", "A column is chosen twice. Choose again.")
    found |= _check_filters(chosen, data_set) | _check_groups(chosen, data_set) | _check_totals(chosen, data_set)
    heads = [name for name, _ in orders(chosen, data_set)] if not found else []
    for place, name in enumerate(chosen.order if not found else ()):
        if name not in heads:
            found[f"order.{place}"] = _gone(chosen, name.removeprefix("-"), data_set, "no longer in the rows of")
    return found


def _check_filters(chosen: Selection, data_set: DataSet) -> dict[str, str]:
    found = {}
    if len(chosen.filters) > MAX_FILTERS:
        found[f"filters.{MAX_FILTERS}"] = f"At most {MAX_FILTERS} filters fit here."
    for place, one in enumerate(chosen.filters[:MAX_FILTERS]):
        column = _find(data_set, one.column)
        if not one.column:
            found[f"filters.{place}"] = "Choose a column, or remove this filter."
        elif column is None:
            found[f"filters.{place}"] = _gone(chosen, one.column, data_set)
        elif column not in filterable(data_set):
            found[f"filters.{place}"] = f"The rows cannot be filtered by “{column.label}”. Choose another column."
        else:
            try:
                filters.values(column, one.op, one.values)
            except filters.BadValue as error:
                found[f"filters.{place}"] = str(error)
    return found


def _check_groups(chosen: Selection, data_set: DataSet) -> dict[str, str]:
    found = {}
    if len(chosen.groups) > MAX_GROUPS:
        found[f"groups.{MAX_GROUPS}"] = f"At most {MAX_GROUPS} fit here."
    seen = set()
    for place, one in enumerate(chosen.groups[:MAX_GROUPS]):
        column = _find(data_set, one.column)
        if column is None:
            found[f"groups.{place}"] = _gone(chosen, one.column, data_set)
        elif column not in groupable(data_set) or one.by not in bys(column):
            found[f"groups.{place}"] = f"The rows cannot be grouped by “{column.label}” like this. Choose again."
        elif one.column in seen:
            found[f"groups.{place}"] = f"“{column.label}” is chosen above already."
        seen.add(one.column)
    return found


def _check_totals(chosen: Selection, data_set: DataSet) -> dict[str, str]:
    found = {}
    for one in chosen.totals:
        column = _find(data_set, one.column)
        if one.how == ROWS and not one.column:
            continue
        if column is None:
            found["totals"] = _gone(chosen, one.column, data_set)
        elif one.how not in column.totals:
            found["totals"] = f"“{column.label}” cannot be summed up like this any more. Choose again."
    if len(set(chosen.totals)) < len(chosen.totals):
        found.setdefault("totals", "A total is chosen twice. Choose again.")
    return found


def _find(data_set: DataSet, name: str) -> Column | None:
    return next((column for column in data_set.columns if column.name == name), None)


def _gone(chosen: Selection, name: str, data_set: DataSet, how: str = "no longer in") -> str:
    return f"“{chosen.called_as(name)[:60]}” is {how} “{data_set.label}”; choose again."
