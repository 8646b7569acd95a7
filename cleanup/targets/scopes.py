"""By what rows of several targets are held together: one person, one newsletter, one schedule."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.apps import apps
from django.db.models import Q

from cleanup.targets.registry import Filter, Scope

MOST_OFFERED = 500


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


def newsletter(path: str) -> Scope:
    """One newsletter's issues; ``path`` leads from a row to its number."""
    return Scope("newsletter", "One newsletter, with all of its issues", lambda value: Q(**{path: value}), newsletters)


def by_newsletter(path: str) -> Filter:
    """Only one newsletter's."""
    return Filter("newsletter", "Only of the newsletter", newsletters, lambda value: Q(**{path: value}))


def by_list(path: str) -> Filter:
    """Only those on one list."""
    return Filter("list", "Only of the list", lambda: names("newsletters.List"), lambda value: Q(**{path: value}))


def newsletters() -> Sequence[tuple[str, str]]:
    """(number, name) of each, to choose from."""
    return names("newsletters.Newsletter")


def names(model: str) -> Sequence[tuple[str, str]]:
    """(number, name) of a model's rows, by name."""
    rows = apps.get_model(model)._default_manager.order_by("name")
    return [(str(pk), name) for pk, name in rows.values_list("pk", "name")[:MOST_OFFERED]]
