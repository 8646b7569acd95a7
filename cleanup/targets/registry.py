"""The registry of what may be cleaned. Nothing that is not registered here is ever deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from django.apps import apps
from django.db.models import Model, Q, QuerySet

from runs import words

Condition = Q | Callable[[datetime], Q]
"""What else must hold; a function gets the frozen cutoff, for conditions that look other models up."""


class IncompletePlan(Exception):
    """The child plan of a target leaves out a table whose rows point at what it deletes."""


@dataclass(frozen=True)
class RowFiles:
    """The files that a row owns: gone through the outbox once no row names them any more."""

    fields: tuple[str, ...]
    """The columns that say which file it is: ("file",), ("key", "format")."""
    path: Callable[..., str] = str
    """Their values → the path relative to the folder of all files; "" for a row without one."""
    also_named_by: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Other tables that may name the same file by the same values: (model, columns). Its own table always counts."""


@dataclass(frozen=True)
class Child:
    """A table whose rows point at rows that are deleted, and what becomes of them. Children go before their parents."""

    model: str
    """As "app_label.ModelName"; a many-to-many field's own table is "app_label.ModelName_field"."""
    parent_field: str
    """The foreign key of the child that points at its parent."""
    action: Literal["delete", "unlink"] = "delete"
    """Unlink empties the foreign key and keeps the row."""
    children: tuple[Child, ...] = ()
    files: tuple[RowFiles, ...] = ()

    @property
    def table(self) -> type[Model]:
        return apps.get_model(self.model)


@dataclass(frozen=True)
class Touched:
    """A table whose rows are changed or deleted by a removal of the target's own: what is held of them keeps its rows."""

    model: str
    """As "app_label.ModelName"; it must be the model of a registered target, or no hold names its rows."""
    stays: Callable[[QuerySet[Any]], Q]
    """Held rows of that table → the rows of this target that stay because of them."""
    by_kind: bool = False
    """A hold on all of a target means only what the target takes at some age, not every row of its table."""


class Named(Protocol):
    """Things that staff choose by name, however many there are."""

    def name_of(self, value: str) -> str:
        """What a value is called; "" when there is none such."""

    def find(self, said: str) -> str:
        """The value of what staff wrote: a name, or the value itself. Raises ValueError in words."""


@dataclass(frozen=True)
class Filter:
    """Something by which staff may narrow a target down."""

    name: str
    label: str
    choices: Callable[[], Sequence[tuple[str, str]]]
    """(value, label), looked up when a form is shown; of very many, the first."""
    q: Callable[[str], Q]
    """The rows with this value."""
    named: Named | None = None
    """Where there may be more values than are offered."""

    def name_of(self, value: str) -> str:
        """What a value is called; "" when there is none such."""
        return _name_of(self, value)


@dataclass(frozen=True)
class Scope:
    """Something by which rows of a target can be held together: a newsletter's issues, one person."""

    name: str
    """The same name in several targets lets one hold cover them all: "person"."""
    label: str
    q: Callable[[str], Q]
    """The rows that belong to this value."""
    choices: Callable[[], Sequence[tuple[str, str]]] | None = None
    """(value, label) to choose from, of very many the first; None where staff write the value themselves."""
    named: Named | None = None
    """Where there may be more values than are offered."""
    normalise: Callable[[str], str] = str.strip
    """What was written → the value as it is stored. Raises ValueError in words."""
    whose: Callable[[str], int | None] | None = None
    """Where what has this value may be called otherwise one day (a person's address): its number, kept with the hold."""
    known_as: Callable[[Collection[int]], Mapping[int, Collection[str]]] | None = None
    """Every value by which these numbers are or were known."""

    def name_of(self, value: str) -> str:
        """What a value is called; "" when there is none such, or where staff write it themselves."""
        return _name_of(self, value)


def _name_of(one: Filter | Scope, value: str) -> str:
    if one.named is not None:
        return one.named.name_of(value)
    return next((label for known, label in one.choices() if str(known) == value), "") if one.choices else ""


@dataclass(frozen=True)
class Target:
    """One kind of row that may be cleaned."""

    key: str
    label: str
    """What staff read when choosing: "Expired sign-in sessions"."""
    noun: tuple[str, str]
    """Singular and plural for counts: ("expired session", "expired sessions")."""
    model: str
    """The model as "app_label.ModelName"; looked up late, so that no app is imported here."""
    date_field: str
    """A row is eligible when this is before the cutoff. May be a path: "issue__finished_at"."""
    floor_days: int
    """The least age that a policy may name."""
    description: str = ""
    promise: str = ""
    """What it never takes, in one sentence."""
    condition: Condition = field(default_factory=Q)
    """What else must hold for a row to be eligible; looked at again in every batch."""
    order: tuple[str, str] | tuple[str] | None = None
    """The keyset of the batches, ("date field", "pk") or ("pk",); by default the first where an index begins with the
    date, else the second, so that no batch sorts the table."""
    children: tuple[Child, ...] = ()
    files: tuple[RowFiles, ...] = ()
    filters: tuple[Filter, ...] = ()
    scopes: tuple[Scope, ...] = ()
    group_by: str | None = None
    """The field of which a policy may keep the last so many rows of each value; those without a value are one group."""
    group_members: Condition | None = None
    """The rows that count among the last of a group, where those are not the ones of the condition."""
    group_order: str | None = None
    """The field that says which of a group are the last, where that is not the date."""
    keep_at_least: int = 0
    """So many of each group stay whatever the policy says."""
    describe: Callable[[Any], str] = str
    """A row in words, for samples."""
    describe_related: tuple[str, ...] = ()
    """What :attr:`describe` reads through foreign keys."""
    number_is: str = ""
    """Where staff find which one it is, for a row without a page that has its number: "the value of its cookie"."""
    may_archive: bool = True
    """False where an archive would keep what must be forgotten."""
    names_people: bool = False
    """Whether its rows name readers, where no scope says so: see :attr:`is_about_people`."""
    most_per_batch: int | None = None
    """Rows, whatever a policy says; for what takes long for each of them."""
    before_batch: Callable[[Sequence[Any], datetime], None] | None = None
    """Called inside the batch's transaction, after rows are locked and holds are read, with the primary keys and now."""
    remove: Callable[[Sequence[Any], datetime], Mapping[str, int]] | None = None
    """Instead of the SQL: removes the rows with these primary keys, inside the batch's transaction; returns the rows
    deleted by model label. Raising isolates the row it raised for: the batch is rolled back and halved."""
    touches: tuple[Touched, ...] = ()
    """What :attr:`remove` changes or deletes elsewhere: its plan says nothing of it."""

    @property
    def table(self) -> type[Model]:
        return apps.get_model(self.model)

    @property
    def is_about_people(self) -> bool:
        """Whether a copy of its rows names readers, also those who are erased later; such a copy must have an end."""
        return self.names_people or any(scope.name == "person" for scope in self.scopes)

    def tables(self) -> list[type[Model]]:
        """Every table that rows are deleted from, each once: children before their parents, its own last."""
        return list(dict.fromkeys([*_deleted_from(self.children), self.table]))

    def eligible(self, cutoff: datetime) -> QuerySet[Any]:
        """Rows that are old enough, without regard to filters, holds and what is kept of each group."""
        rows: QuerySet[Any] = self.table._default_manager.filter(
            self.condition(cutoff) if callable(self.condition) else self.condition, **{f"{self.date_field}__lt": cutoff}
        )
        return rows

    def counted(self, count: int) -> str:
        """ "1 expired session", "1,234 expired sessions"."""
        return words.counted(count, *self.noun)


def _deleted_from(children: Sequence[Child]) -> list[type[Model]]:
    found: dict[type[Model], None] = {}
    for child in children:
        if child.action == "delete":
            found |= dict.fromkeys([*_deleted_from(child.children), child.table])
    return list(found)


@dataclass(frozen=True)
class OrphanFile:
    """A file that no row names."""

    path: str
    """Relative to the folder of all files."""
    byte_count: int
    modified_at: datetime


@dataclass(frozen=True)
class FileTarget:
    """Files that are no rows: what is left over in a folder of ours."""

    key: str
    label: str
    noun: tuple[str, str]
    floor_days: int
    find: Callable[[datetime, float], Iterator[OrphanFile]]
    """The files older than the cutoff that no row names, in an order that does not change (by path); reads as it goes, and raises
    TookTooLong once time.monotonic() is beyond the second value."""
    is_orphan: Callable[[Sequence[str]], set[str]]
    """Asked once more inside each batch: those of the paths that no row names now."""
    total: Callable[[], int]
    """How many files there are, orphans and others."""
    unreadable: Callable[[], Sequence[str]] = list
    """Files that stay whatever their age, because their names are no text; spelled so that people can find them."""
    folders: tuple[str, ...] = ()
    """Only below these folders, relative to the folder of all files, is anything ever removed."""
    description: str = ""
    promise: str = ""
    refuse_above_percent: int = 50
    """More orphans than so many of a hundred files means that something else is wrong: nothing is removed."""
    grace: timedelta = timedelta(hours=24)
    """A younger file may belong to a row that is just being written."""
    filters: tuple[Filter, ...] = ()
    scopes: tuple[Scope, ...] = ()
    group_by: None = None
    may_archive: bool = False
    most_per_batch: int = 500
    """Files, whatever a policy says."""

    def counted(self, count: int) -> str:
        return words.counted(count, *self.noun)


AnyTarget = Target | FileTarget

_registry: dict[str, AnyTarget] = {}


def register(target: AnyTarget) -> None:
    """Adds a target; the same key again replaces it.

    Raises:
        IncompletePlan: rows that point at what it deletes are named nowhere in its plan.
    """
    from cleanup.targets import plans

    if apps.models_ready and isinstance(target, Target):
        plans.require_complete(target)
    _registry[target.key] = target


def unregister(key: str) -> None:
    """Takes a target out again; for tests."""
    _registry.pop(key, None)


def get(key: str) -> AnyTarget:
    """The target with this key. Raises KeyError."""
    return _registry[key]


def row_target(key: str) -> Target:
    """The target with this key, which deletes rows. Raises KeyError."""
    target = _registry[key]
    if not isinstance(target, Target):
        raise KeyError(key)
    return target


def label(key: str) -> str:
    """What staff read for this key, also when its target is no longer registered."""
    return _registry[key].label if key in _registry else key


def all_targets() -> list[AnyTarget]:
    """Every registered target, in the order they were registered."""
    return list(_registry.values())


def known(keys: Iterable[str]) -> list[AnyTarget]:
    """Those of the keys that are still registered, in the same order."""
    return [_registry[key] for key in keys if key in _registry]


def is_known(key: str) -> bool:
    """Whether a target of this key is registered."""
    return key in _registry
