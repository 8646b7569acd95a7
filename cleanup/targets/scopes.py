"""By what rows of several targets are held together: one person, one newsletter, one schedule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.apps import apps
from django.db.models import Q, QuerySet

from cleanup.targets.registry import Filter, Scope

MOST_OFFERED = 500
"""So many values stand on a page to choose from; the others are found by their name."""


def _lower(address: str) -> str:
    address = address.strip().lower()
    if "@" not in address:
        raise ValueError("Write the whole address, such as ann@example.org.")
    return address


@dataclass(frozen=True)
class Addresses:
    """What a hold on a person asks about addresses; the app that has the people says."""

    normalise: Callable[[str], str] = _lower
    """An address as it is compared. Raises ValueError in words."""
    whose: Callable[[str], int | None] = lambda address: None
    """The number of whom it belongs or belonged to."""
    known_as: Callable[[Collection[int]], Mapping[int, Collection[str]]] = lambda numbers: {}
    """Every address of these people, former ones included."""


_addresses = [Addresses()]


def addresses_by(asked: Addresses) -> None:
    """From now on, this is asked about addresses."""
    _addresses[:] = [asked]


def person(*paths: str) -> Scope:
    """One person, by their address, whatever it is by now; ``paths`` lead from a row to it."""
    return Scope(
        name="person",
        label="One person, by their e-mail address",
        q=lambda value: reduce(or_, (Q(**{path: value}) for path in paths)),
        normalise=lambda value: _addresses[0].normalise(value),
        whose=lambda value: _addresses[0].whose(value),
        known_as=lambda numbers: _addresses[0].known_as(numbers),
    )


@dataclass(frozen=True)
class Rows:
    """Rows of a model that staff choose by their name, however many there are; their values are their numbers."""

    model: str
    noun: str
    """What one of them is called: "newsletter"."""
    field: str = "name"
    """May be a path."""

    def first(self) -> Sequence[tuple[str, str]]:
        """(number, name) of so many as a page may list, by name."""
        known = self._rows().order_by(self.field).values_list("pk", self.field)
        return [(str(pk), name) for pk, name in known[:MOST_OFFERED]]

    def name_of(self, value: str) -> str:
        return (
            self._rows().filter(pk=int(value)).values_list(self.field, flat=True).first() or ""
            if _is_number(value)
            else ""
        )

    def find(self, said: str) -> str:
        said = said.strip()
        for lookup in (self.field, f"{self.field}__iexact"):
            found = list(self._rows().filter(**{lookup: said}).values_list("pk", flat=True)[:2])
            if len(found) == 1:
                return str(found[0])
            if found:
                raise ValueError(
                    f"More than one {self.noun} is called so. Write its number, as in the address of its page."
                )
        if self.name_of(said):
            return said
        raise ValueError(f"No {self.noun} is called so. Write its whole name, or choose it from what is offered.")

    def _rows(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = apps.get_model(self.model)._default_manager.all()
        return rows


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


LISTS = Rows("newsletters.List", "list")
NEWSLETTERS = Rows("newsletters.Newsletter", "newsletter")
REPORTS = Rows("reports.ReportDefinition", "report")
SCHEDULES = Rows("schedules.Schedule", "schedule", "periodic_task__name")


def newsletter(path: str) -> Scope:
    """One newsletter's issues; ``path`` leads from a row to its number."""
    return of_one("newsletter", "One newsletter, with all of its issues", NEWSLETTERS, path)


def of_one(name: str, label: str, rows: Rows, path: str) -> Scope:
    """All that belong to one of these; ``path`` leads from a row to its number."""
    return Scope(name, label, lambda value: Q(**{path: value}), rows.first, rows)


def by_newsletter(path: str) -> Filter:
    """Only one newsletter's."""
    return by("newsletter", "Only of the newsletter", NEWSLETTERS, lambda value: Q(**{path: value}))


def by_list(path: str) -> Filter:
    """Only those on one list."""
    return by("list", "Only of the list", LISTS, lambda value: Q(**{path: value}))


def by(name: str, label: str, rows: Rows, q: Callable[[str], Q]) -> Filter:
    """Only those of one of these."""
    return Filter(name, label, rows.first, q, rows)
