"""The registry of data sets that staff can choose from, and what each says about its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import Combinable

from reports.periods import Window

Row = tuple[Any, ...]


class Kind(StrEnum):
    """What the values of a column are, which decides how files, filters and totals treat them."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    MOMENT = "moment"
    """An instant; shown in the report's time zone."""
    YES_NO = "yes_no"


class Total(StrEnum):
    """How a column is summed up, over everything or for each group."""

    SUM = "sum"
    AVERAGE = "average"
    LEAST = "least"
    MOST = "most"


@dataclass(frozen=True)
class Column:
    """One column, as staff see and choose it."""

    name: str
    """Stable identifier, stored in definitions."""
    label: str
    """The head of the column."""
    kind: Kind = Kind.TEXT
    source: str | Combinable = ""
    """The field (``issue__name``) or expression that it comes from; the field of its own name where it is empty."""
    totals: tuple[Total, ...] = ()
    """How staff may sum it up."""
    is_filter: bool = True
    """Whether staff may keep only the rows with certain values of it."""
    is_group: bool = False
    """Whether staff may ask for one row for each of its values (days, weeks or months of a date)."""
    choices: tuple[tuple[str, str], ...] = ()
    """(value, label) where it has few values: what is stored, and what files and staff see."""


@dataclass(frozen=True)
class DataSet:
    """A list that can be made for any window of days: of a queryset, or row by row in Python where SQL cannot say it."""

    key: str
    """Stable identifier, stored in definitions."""
    label: str
    """What staff read when they choose it."""
    columns: tuple[Column, ...]
    """In the order of the file."""
    queryset: Callable[[Window], QuerySet[Any]] | None = None
    """The rows of a window, as rows of a model; columns, filters, groups and totals are put on top of it. Where one is
    filtered and grouped by a value that counts other rows, that is a ``Subquery``: sums of sums are no SQL."""
    order: tuple[str, ...] = ()
    """The names of the columns (``-name`` for downwards) that the rows are ordered by."""
    rows: Callable[[Window], Iterator[Row]] | None = None
    """Where there is no queryset: the rows, made in Python. Such a data set cannot be filtered or grouped."""
    count: Callable[[Window], int | None] = field(default=lambda window: None)
    """How many rows ``rows`` will give, for the progress bar; None when counting would cost too much."""
    description: str = ""
    """What it is good for, in a sentence."""
    permission: str = ""
    """What the report's owner must be allowed to see it; empty for everybody who may make reports."""

    def column(self, name: str) -> Column:
        """The column of this name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


class UnknownDataSet(LookupError):
    """No part of this installation knows this data set any more."""


_registry: dict[str, DataSet] = {}


def register(data_set: DataSet) -> None:
    """Adds a data set; the same key again replaces it."""
    _registry[data_set.key] = data_set


def get(key: str) -> DataSet:
    """The data set with this key. Raises UnknownDataSet."""
    try:
        return _registry[key]
    except KeyError:
        raise UnknownDataSet(key) from None


def all_of_them() -> list[DataSet]:
    """Every data set, in the order they were registered."""
    return list(_registry.values())


def choices() -> list[tuple[str, str]]:
    """(key, label) of every data set, in the order they were registered."""
    return [(data_set.key, data_set.label) for data_set in _registry.values()]
