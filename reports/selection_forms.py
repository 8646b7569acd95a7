"""What was chosen of a data set as form inputs and back: what was typed stays as it was typed, wrong or not.

``s.of`` names what the inputs were made for; ``s.known`` every column in the order shown, ``s.column`` the ticked ones;
``s.filter.0.column``, ``.op`` and ``.value``; ``s.group.0`` ("due:month"), ``s.total`` ("sent:sum"), ``s.order.0``; and
``p.region`` is the value of a query's parameter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from django.http import QueryDict

from reports import chosen_source, filters, selectable
from reports.datasets.registry import DataSet
from reports.models import ReportDefinition
from reports.selection import ROWS, Filter, Group, Selection, TotalOf
from reports.selection_checks import MAX_FILTERS, MAX_GROUPS, MAX_ORDER

_DO = re.compile(r"(add-filter|show|(?:remove-filter|up|down):[A-Za-z0-9_]{1,60})")
_LONGEST = 60_000
"""Of everything that is typed into one input."""


@dataclass(frozen=True)
class Typed:
    """What a form says about what is listed."""

    source: str = ""
    """"deliveries_per_day", "query:3"."""
    selection: Selection = field(default_factory=Selection)
    known: tuple[str, ...] = ()
    """Every column, in the order in which they stand on the page."""
    is_none: bool = False
    """Whether every column was unticked."""
    parameters: tuple[tuple[str, str], ...] = ()
    focus: str = ""
    """The control that a button leads on to."""

    @property
    def data_set(self) -> DataSet | None:
        return chosen_source.data_set_of(self.source)


def of_definition(definition: ReportDefinition) -> Typed:
    """A stored definition as its form shows it."""
    source = chosen_source.key_of(definition.data_set, definition.query_id)
    stored = definition.parameters if isinstance(definition.parameters, dict) else {}
    values = tuple((str(name), str(value)) for name, value in stored.items())
    return _settled(Typed(source, Selection.read(definition.selection), parameters=values))


def read(data: QueryDict, source: str) -> Typed:
    """The choices that a form sent; of another data set than the one that is chosen now, none of them."""
    rendered_for = data.get("s.of")
    if rendered_for is not None and rendered_for != source:
        return _settled(Typed(source))
    known = tuple(data.getlist("s.known")[:500])
    ticked = tuple(data.getlist("s.column")[:500])
    values = tuple((name[2:], str(data[name])[:_LONGEST]) for name in list(data)[:400] if name.startswith("p."))
    totals = (one.rpartition(":") for one in data.getlist("s.total")[:200])
    chosen = Selection(
        columns=ticked,
        filters=_filters(data),
        groups=tuple(Group(name, by) for name, _, by in (one.partition(":") for one in _numbered(data, "group"))),
        totals=tuple(TotalOf(name, how) for name, _, how in totals),
        order=tuple(_numbered(data, "order")),
    )
    return _ordered(_settled(Typed(source, chosen, known, bool(known) and not ticked, values)))


def change(typed: Typed, do: str) -> Typed:
    """Does what a button says: add-filter, remove-filter:2, up:sent, down:sent. What it cannot do it leaves."""
    if not _DO.fullmatch(do):
        return typed
    verb, _, what = do.partition(":")
    chosen = typed.selection
    if verb == "add-filter" and len(chosen.filters) < MAX_FILTERS:
        added = replace(chosen, filters=(*chosen.filters, Filter("", "")))
        return replace(typed, selection=added, focus=f"filter.{len(chosen.filters)}")
    if verb == "remove-filter" and what.isdigit():
        left = tuple(one for place, one in enumerate(chosen.filters) if place != int(what))
        return replace(typed, selection=replace(chosen, filters=left), focus="add-filter")
    if verb in ("up", "down") and what in typed.known:
        return _moved(typed, what, verb)
    return typed


def of_selection(typed: Typed) -> Selection:
    """What is stored: nothing where everything is ticked in the data set's own order."""
    data_set = typed.data_set
    if data_set is None:
        return Selection()
    own = tuple(column.name for column in data_set.columns)
    chosen = typed.selection
    return replace(chosen, columns=() if chosen.columns == own else chosen.columns).named(data_set)


def remembering(typed: Typed, stored: Typed) -> Typed:
    """With what columns were called when they were chosen; a form sends their names only."""
    if typed.source != stored.source:
        return typed
    return replace(typed, selection=replace(typed.selection, called=stored.selection.called))


def with_total(chosen: Selection, one: TotalOf) -> Selection:
    """Counts it as well; the number of rows is counted anyway."""
    if one.how == ROWS or one in chosen.totals:
        return chosen
    return replace(chosen, totals=(*chosen.totals, one))


def parameters_of(typed: Typed) -> dict[str, str]:
    """The values for a query, as they were typed; nothing for a data set."""
    query = chosen_source.query_of(typed.source)
    declared = {one.name for one in chosen_source.parameters_of(query)} if query is not None else set()
    return {name: value for name, value in typed.parameters if name in declared}


def _moved(typed: Typed, name: str, verb: str) -> Typed:
    names = list(typed.known)
    place = names.index(name)
    other = place - 1 if verb == "up" else place + 1
    if 0 <= other < len(names):
        names[place], names[other] = names[other], names[place]
    at_end = names.index(name) == (0 if verb == "up" else len(names) - 1)
    # Where a button has done all it can, the other one of the column goes on.
    focus = f"{'down' if verb == 'up' else 'up'}:{name}" if at_end else f"{verb}:{name}"
    ticked = tuple(one for one in names if one in typed.selection.columns)
    return replace(typed, known=tuple(names), selection=replace(typed.selection, columns=ticked), focus=focus)


def _settled(typed: Typed) -> Typed:
    """Names every column of the data set once, the chosen ones first, and gives each filter a question it has."""
    data_set = typed.data_set
    if data_set is None:
        return typed
    own = [column.name for column in data_set.columns]
    chosen = typed.selection
    first = typed.known or chosen.columns
    known = tuple(dict.fromkeys([*(name for name in first if name in own), *own]))
    ticked = chosen.columns or (() if typed.is_none else tuple(own))
    labels = {column.name: column for column in data_set.columns}
    asked = []
    for one in chosen.filters:
        column = labels.get(one.column)
        questions = filters.questions(column) if column is not None else {}
        asked.append(replace(one, op=next(iter(questions))) if questions and one.op not in questions else one)
    return replace(typed, known=known, selection=replace(chosen, columns=ticked, filters=tuple(asked)))


def _ordered(typed: Typed) -> Typed:
    """Without an order by what the rows, now grouped otherwise, do not have."""
    try:
        offered = dict(selectable.orders(typed.selection, typed.data_set)) if typed.data_set is not None else {}
    except (KeyError, ValueError):
        return typed  # grouped by what is gone: that is said first
    order = tuple(name for name in typed.selection.order if name in offered)
    return replace(typed, selection=replace(typed.selection, order=order))


def _filters(data: QueryDict) -> tuple[Filter, ...]:
    found = []
    for place in range(MAX_FILTERS + 1):
        name = f"s.filter.{place}"
        if f"{name}.column" not in data:
            continue
        values = [value[:_LONGEST] for value in data.getlist(f"{name}.value")[: filters.MAX_VALUES + 1]]
        lines = [line for value in values for line in value.split("\n")] if data.get(f"{name}.lines") else values
        kept = tuple(line.strip("\r") for line in lines)
        found.append(Filter(str(data[f"{name}.column"]), data.get(f"{name}.op", ""), kept))
    return tuple(found)


def _numbered(data: QueryDict, what: str) -> list[str]:
    most = {"group": MAX_GROUPS, "order": MAX_ORDER}[what]
    names = (f"s.{what}.{place}" for place in range(most))
    return [str(data[name]) for name in names if data.get(name)]


def group_value(one: Group) -> str:
    """ "due:month"."""
    return f"{one.column}:{one.by}"


def total_value(one: TotalOf) -> str:
    """ "sent:sum"."""
    return f"{one.column}:{one.how}"


def possible_totals(typed: Typed) -> list[str]:
    """What a condition may look at, by label."""
    data_set = typed.data_set
    return list(selectable.total_labels(data_set)) if data_set is not None else [selectable.ROWS_LABEL]
