"""What staff chose of a data set: columns, filters, groups, totals and the order. Pure.

Stored as JSON in ``ReportDefinition.selection``; an empty object is everything, as the data set has it::

    {"columns": ["day", "sent"],
     "filters": [{"column": "state", "is": "one_of", "values": ["failed"]}],
     "groups": [{"column": "due_at", "by": "month"}],
     "totals": [{"column": "sent", "how": "sum"}],
     "order": ["-sent"],
     "called": {"state": "State"}}

Values stay as they were typed. ``called`` keeps what the columns were called, to name one that is no longer there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reports.datasets.registry import DataSet

ROWS = "rows"
"""The name of the number of rows, among the totals."""


@dataclass(frozen=True)
class Filter:
    """Only rows of which this is true."""

    column: str
    op: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """One row for each value of a column; of a day or moment, for each day, week or month."""

    column: str
    by: str = ""


@dataclass(frozen=True)
class TotalOf:
    """A column summed up."""

    column: str
    how: str

    @property
    def name(self) -> str:
        return f"{self.column}_{self.how}"


@dataclass(frozen=True)
class Selection:
    """Everything that was chosen; nothing chosen is every column of every row."""

    columns: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    groups: tuple[Group, ...] = ()
    totals: tuple[TotalOf, ...] = ()
    order: tuple[str, ...] = ()
    called: tuple[tuple[str, str], ...] = ()
    is_damaged: bool = False
    """Whether something stored could not be read: then it is chosen anew rather than guessed at."""

    @classmethod
    def read(cls, stored: Any) -> Selection:
        """Whatever is stored, as far as it can be read; never raises."""
        if not isinstance(stored, Mapping):
            return cls(is_damaged=stored is not None)
        reading = _Reading()
        chosen = cls(
            columns=reading.texts(stored.get("columns")),
            filters=tuple(
                Filter(reading.text(one, "column"), reading.text(one, "is"), reading.texts(one.get("values")))
                for one in reading.objects(stored.get("filters"))
            ),
            groups=tuple(
                Group(reading.text(one, "column"), reading.text(one, "by")) for one in reading.objects(stored.get("groups"))
            ),
            totals=tuple(
                TotalOf(reading.text(one, "column"), reading.text(one, "how"))
                for one in reading.objects(stored.get("totals"))
            ),
            order=reading.texts(stored.get("order")),
            called=_called(stored.get("called")),
        )  # fmt: skip
        return replace(chosen, is_damaged=reading.is_damaged)

    def to_json(self) -> dict[str, Any]:
        """For ``ReportDefinition.selection``; what was not chosen is left out."""
        written = {
            "columns": list(self.columns),
            "filters": [{"column": one.column, "is": one.op, "values": list(one.values)} for one in self.filters],
            "groups": [{"column": one.column, "by": one.by} for one in self.groups],
            "totals": [{"column": one.column, "how": one.how} for one in self.totals],
            "order": list(self.order),
            "called": dict(self.called),
        }
        return {name: value for name, value in written.items() if value}

    def named(self, data_set: DataSet) -> Selection:
        """With what the columns are called now, for the day when one of them is gone."""
        labels = {**dict(self.called), **{column.name: column.label for column in data_set.columns}}
        return replace(self, called=tuple((name, labels[name]) for name in sorted(self._names()) if name in labels))

    def called_as(self, name: str) -> str:
        """What the column was called when it was chosen."""
        return dict(self.called).get(name, name)

    def _names(self) -> set[str]:
        chosen = {*(one.column for one in self.filters), *(one.column for one in self.groups)}
        chosen |= {one.column for one in self.totals}
        return chosen | set(self.columns) | {name.removeprefix("-") for name in self.order if not self.groups}


class _Reading:
    """Takes JSON apart, and notes whether something was not what it should be."""

    def __init__(self) -> None:
        self.is_damaged = False

    def text(self, stored: Mapping[str, Any], name: str) -> str:
        found = stored.get(name, "")
        self.is_damaged |= not isinstance(found, str)
        return found if isinstance(found, str) else ""

    def texts(self, stored: Any) -> tuple[str, ...]:
        found = self._list(stored)
        self.is_damaged |= any(not isinstance(one, str) for one in found)
        return tuple(one for one in found if isinstance(one, str))

    def objects(self, stored: Any) -> list[Mapping[str, Any]]:
        found = self._list(stored)
        self.is_damaged |= any(not isinstance(one, Mapping) for one in found)
        return [one for one in found if isinstance(one, Mapping)]

    def _list(self, stored: Any) -> list[Any]:
        self.is_damaged |= stored is not None and not isinstance(stored, list | tuple)
        return list(stored) if isinstance(stored, list | tuple) else []


def _called(stored: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(stored, Mapping):
        return ()
    return tuple((name, label) for name, label in stored.items() if isinstance(name, str) and isinstance(label, str))
