"""The registry of data sets that staff can choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from reports.periods import Window

Row = tuple[Any, ...]


@dataclass(frozen=True)
class DataSet:
    """A list that can be made for any window of days."""

    key: str
    """Stable identifier, stored in definitions."""
    label: str
    """What staff read when they choose it."""
    columns: tuple[str, ...]
    """The heads of the columns, in order."""
    rows: Callable[[Window], Iterator[Row]]
    """The rows of a window, read from the database as they are needed."""
    count: Callable[[Window], int | None] = lambda window: None
    """How many rows there will be, for the progress bar; None when counting would cost too much."""


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


def choices() -> list[tuple[str, str]]:
    """(key, label) of every data set, in the order they were registered."""
    return [(data_set.key, data_set.label) for data_set in _registry.values()]
