"""Where a report's rows come from: one reading of a data set, as what staff chose of it, for one window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from reports import selectable, selection_checks
from reports.datasets import registry
from reports.datasets.registry import Column, DataSet, Kind, Row
from reports.models import ReportDefinition
from reports.periods import Window
from reports.running_totals import RunningTotal
from reports.selection import Selection


@dataclass(frozen=True)
class Head:
    """One column of the file."""

    name: str
    label: str
    kind: Kind
    choices: tuple[tuple[str, str], ...] = ()
    """(value, label): rows have the value, files show the label."""


@dataclass(frozen=True)
class Statement:
    """One SELECT, with its parameters."""

    sql: str
    parameters: tuple[Any, ...]


@dataclass(frozen=True)
class Choices:
    """What a definition chose to list, as it was when a report of it was begun (``ReportRun.choices``)."""

    data_set: str = ""
    selection: Mapping[str, Any] = field(default_factory=dict)
    query_id: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    query_sha256: str = ""
    """Of the text that was approved when the report was begun; no other is run for it."""
    period: str = ""
    """What kind of days it covers, which decides what the period before is; empty in older records."""

    @classmethod
    def of(cls, definition: ReportDefinition) -> Choices:
        """As the definition has them now."""
        sha256 = definition.query.approved_sha256 if definition.query is not None else ""
        chosen = (definition.data_set, definition.selection, definition.query_id, definition.parameters)
        return cls(*chosen, sha256, definition.period)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Choices:
        """As :meth:`to_json` wrote them."""
        return cls(**stored)

    def to_json(self) -> dict[str, Any]:
        """For ``ReportRun.choices``."""
        return asdict(self)


class Source(Protocol):
    """What the making of a report reads. Everything is read inside one transaction of its reader."""

    @property
    def heads(self) -> Sequence[Head]:
        """The columns, known before the first row is read."""

    def count(self) -> int | None:
        """How many rows there will be; None when counting would cost too much."""

    def rows(self) -> Iterator[Row]:
        """The rows, streamed: memory stays flat however many there are."""

    def statement(self) -> Statement | None:
        """The same rows as one SELECT, where the database can be left to write them itself (COPY); None otherwise."""

    def totals(self) -> Mapping[str, Any]:
        """Label → value of each total that staff chose, over all rows, counted by the database."""


class Unreadable(Exception):
    """The rows cannot be read; the message says why, in words that staff can act on."""


def of(choices: Choices, window: Window, *, seconds: float | None = None) -> Source:
    """The rows that a definition chose. ``seconds`` is how long a query may take where somebody only looks.

    Raises:
        registry.UnknownDataSet: this installation no longer has it.
        Unreadable: something was chosen of it that it no longer has; the message says what.
    """
    if choices.query_id is not None:
        from reports.query_source import QuerySource  # it is built on what stands here

        return QuerySource(choices, window, seconds)
    data_set = registry.get(choices.data_set)
    chosen = Selection.read(choices.selection)
    if problems := selection_checks.check(chosen, data_set):
        raise Unreadable(" ".join(dict.fromkeys(problems.values())))
    if data_set.queryset is None:
        return MadeSource(data_set, window, chosen)
    from reports.queryset_source import QuerysetSource  # it is one of the sources that this module describes

    return QuerysetSource(data_set, window, chosen)


def head_of(column: Column) -> Head:
    """The head of a column as the data set has it."""
    return Head(column.name, column.label, column.kind, column.choices)


class MadeSource:
    """Rows that Python makes: some or all of their columns, and totals."""

    def __init__(self, data_set: DataSet, window: Window, chosen: Selection | None = None) -> None:
        self._data_set = data_set
        self._window = window
        self._chosen = chosen or Selection()
        self._columns = selectable.columns_of(self._chosen, data_set)
        self.heads = [head_of(column) for column in self._columns]

    def count(self) -> int | None:
        return self._data_set.count(self._window)

    def rows(self) -> Iterator[Row]:
        if self._columns == list(self._data_set.columns):
            yield from self._made()
            return
        places = [self._data_set.columns.index(column) for column in self._columns]
        for row in self._made():
            yield tuple(row[place] for place in places)

    def statement(self) -> Statement | None:
        return None

    def totals(self) -> Mapping[str, Any]:
        wanted = selectable.totals_of(self._chosen)
        sums = [RunningTotal(self._data_set.column(one.column), one.how) for one in wanted]
        places = [self._data_set.columns.index(one.column) for one in sums]
        for row in self._made() if sums else ():
            for one, place in zip(sums, places, strict=True):
                one.add(row[place])
        return {one.label: one.value for one in sums}

    def _made(self) -> Iterator[Row]:
        assert self._data_set.rows is not None
        return self._data_set.rows(self._window)
