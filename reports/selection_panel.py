"""What the builder of a report shows: everything that can be chosen, with what is chosen and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports import chosen_source, filters, selectable
from reports.datasets.registry import Column, DataSet, Kind
from reports.models import ReportQuery
from reports.queries.parameters import Kind as ParameterKind
from reports.queries.parameters import Parameter
from reports.selection import Filter, Group, Selection
from reports.selection_checks import MAX_FILTERS, MAX_GROUPS, MAX_ORDER
from reports.selection_forms import Typed, group_value, total_value

Option = tuple[str, str, bool]
"""Value, label, whether it is chosen."""
_ONE_LINE = {Kind.DATE: "date", Kind.MOMENT: "date", Kind.INTEGER: "number", Kind.DECIMAL: "number"}
_PARAMETER_TYPES = {ParameterKind.DATE: "date", ParameterKind.INTEGER: "number"}


@dataclass(frozen=True)
class ColumnShown:
    """One column that may be ticked and moved."""

    name: str
    label: str
    is_chosen: bool
    can_go_up: bool
    can_go_down: bool

    @property
    def up(self) -> str:
        return f"up:{self.name}"

    @property
    def down(self) -> str:
        return f"down:{self.name}"


@dataclass(frozen=True)
class FilterShown:
    """One filter with its inputs."""

    place: int
    number: int
    columns: list[Option]
    questions: list[Option]
    choices: list[Option]
    values: list[str]
    lines: str
    takes: int
    input_type: str
    error: str
    is_focused: bool

    @property
    def key(self) -> str:
        """Its place, as templates put it together with text."""
        return str(self.place)


@dataclass(frozen=True)
class ListShown:
    """One of several selects that follow each other."""

    place: int
    number: int
    options: list[Option]
    error: str


@dataclass(frozen=True)
class TotalShown:
    """One column with the ways in which it may be summed up."""

    label: str
    options: list[Option]


def context(typed: Typed, errors: Mapping[str, str]) -> dict[str, Any]:
    """For the template of the builder."""
    shown: dict[str, Any] = {"source": typed.source, "errors": errors, "focus": typed.focus, "damage": errors.get("")}
    data_set, query = typed.data_set, chosen_source.query_of(typed.source)
    if query is not None:
        return shown | {"query": query, "parameters": _parameters(query, typed, errors)}
    if data_set is None:
        return shown
    chosen = typed.selection
    return shown | {
        "data_set": data_set,
        "known": typed.known,
        "columns": _columns(typed, data_set),
        "is_grouped": bool(chosen.groups),
        "can_filter": bool(selectable.filterable(data_set)),
        "filters": [_filter(typed, data_set, place, one, errors) for place, one in enumerate(chosen.filters)],
        "can_add_filter": len(chosen.filters) < MAX_FILTERS,
        "groups": _groups(chosen, data_set, errors),
        "totals": _totals(chosen, data_set),
        "orders": _orders(chosen, data_set, errors),
    }


def _columns(typed: Typed, data_set: DataSet) -> list[ColumnShown]:
    last = len(typed.known) - 1
    return [
        ColumnShown(name, data_set.column(name).label, name in typed.selection.columns, place > 0, place < last)
        for place, name in enumerate(typed.known)
    ]


def _filter(typed: Typed, data_set: DataSet, place: int, one: Filter, errors: Mapping[str, str]) -> FilterShown:
    offered = selectable.filterable(data_set)
    column = next((column for column in offered if column.name == one.column), None)
    questions = filters.questions(column) if column is not None else {}
    takes = questions[one.op].takes if one.op in questions else 0
    options = [(column.name, column.label, column.name == one.column) for column in offered]
    return FilterShown(
        place=place,
        number=place + 1,
        columns=_with_lost(options, one.column, typed.selection.called_as(one.column)),
        questions=[(op, question.label, op == one.op) for op, question in questions.items()],
        choices=_choices(column, one) if takes == -1 else [],
        values=[*one.values, "", ""][: max(takes, 0)],
        lines="\n".join(one.values),
        takes=takes,
        input_type=_ONE_LINE.get(column.kind, "text") if column is not None else "text",
        error=errors.get(f"filters.{place}", ""),
        is_focused=typed.focus == f"filter.{place}",
    )


def _choices(column: Column | None, one: Filter) -> list[Option]:
    return [(value, label, value in one.values) for value, label in column.choices] if column is not None else []


def _groups(chosen: Selection, data_set: DataSet, errors: Mapping[str, str]) -> list[ListShown]:
    """The chosen ones, and one more select while another fits."""
    possible = [
        (Group(column.name, by), f"{column.label}, each {by}" if by else column.label)
        for column in selectable.groupable(data_set)
        for by in selectable.bys(column)
    ]
    if not possible and not chosen.groups:
        return []
    wanted = [group_value(one) for one in chosen.groups]
    options = [(group_value(one), label) for one, label in possible]
    gone = {group_value(one): chosen.called_as(one.column) for one in chosen.groups}
    return _selects("groups", wanted, options, MAX_GROUPS, gone, errors)


def _orders(chosen: Selection, data_set: DataSet, errors: Mapping[str, str]) -> list[ListShown]:
    try:
        options = selectable.orders(chosen, data_set)
    except (KeyError, ValueError):  # of what is grouped by a column that is gone
        options = []
    if not options:
        return []
    gone = {name: chosen.called_as(name.removeprefix("-")) for name in chosen.order}
    return _selects("order", list(chosen.order), options, MAX_ORDER, gone, errors)


def _selects(
    what: str,
    wanted: list[str],
    options: list[tuple[str, str]],
    most: int,
    gone: dict[str, str],
    errors: Mapping[str, str],
) -> list[ListShown]:
    shown = []
    for place, value in enumerate([*wanted, ""][:most]):
        own = [(key, label, key == value) for key, label in options]
        lost = _with_lost(own, value, gone.get(value, value))
        shown.append(ListShown(place, place + 1, lost, errors.get(f"{what}.{place}", "")))
    return shown


def _with_lost(options: list[Option], value: str, label: str) -> list[Option]:
    """Also what is chosen and can no longer be: it stays to be seen until something else is chosen."""
    known = not value or any(key == value for key, _, _ in options)
    return options if known else [*options, (value, f"{label} (no longer there)", True)]


def _totals(chosen: Selection, data_set: DataSet) -> list[TotalShown]:
    wanted = {total_value(one) for one in chosen.totals}
    return [
        TotalShown(
            column.label,
            [
                (
                    f"{column.name}:{how.value}",
                    selectable.total_word(column, how),
                    f"{column.name}:{how.value}" in wanted,
                )
                for how in column.totals
            ],
        )
        for column in data_set.columns
        if column.totals
    ]


def _parameters(query: ReportQuery, typed: Typed, errors: Mapping[str, str]) -> list[dict[str, Any]]:
    values = dict(typed.parameters)
    return [_parameter(one, values.get(one.name, one.default), errors) for one in chosen_source.parameters_of(query)]


def _parameter(one: Parameter, value: str, errors: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": f"p.{one.name}",
        "label": one.label,
        "value": value,
        "input_type": _PARAMETER_TYPES.get(one.kind, "text"),
        "choices": [(choice, choice, choice == value) for choice in one.choices],
        "error": errors.get(f"parameters.{one.name}", ""),
    }
