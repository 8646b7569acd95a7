"""Settles the rows of an import batch by batch: a few statements for thousands of rows, and no object per row."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model

from newsletters import audience
from newsletters.import_values import Wanted
from newsletters.models import Subscriber, Subscription

State = Subscription.State
_ROWS_PER_STATEMENT = 2000


@dataclass(frozen=True)
class Rules:
    """What an import does with the people in it."""

    lists: Mapping[int, str]
    """The lists they are put on: names by number."""
    update_existing: bool
    source: str
    consent: str


@dataclass(slots=True)
class Person:
    """A subscriber as they are, or as the rows before this one made them."""

    email: str
    name: str = ""
    language: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    """Their place on each of the import's lists."""
    id: int | None = None
    is_changed: bool = False
    """Whether name, language or attributes are to be written."""
    to_add: list[int] = field(default_factory=list)
    to_confirm: list[int] = field(default_factory=list)


@dataclass
class Outcome:
    """What became of the rows; the five numbers together are the rows."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    suppressed: int = 0
    wrong: int = 0
    problems: list[tuple[int, str, str, str, str]] = field(default_factory=list)
    """Row, kind, column, value and message of each row that is not taken over."""

    @property
    def rows(self) -> int:
        return self.added + self.updated + self.unchanged + self.suppressed + self.wrong


def decide(
    rows: Iterable[Wanted], people: dict[str, Person], suppressed: set[str], rules: Rules, outcome: Outcome
) -> None:
    """Decides row after row what becomes of it, as if each were alone; changes ``people`` and ``outcome`` only.

    Who is on the suppression list, or left all of the lists, is left alone. An address that comes twice is added once:
    the first row counts, or with ``update_existing`` the last one.
    """
    for row in rows:
        person = people.get(row.email_norm)
        if row.email_norm in suppressed:
            outcome.suppressed += 1
            outcome.problems.append(
                (row.row, "suppressed", "", row.email, "The address is on the suppression list and gets no mail.")
            )
        elif person is None:
            people[row.email_norm] = Person(
                row.email, row.name, row.language, row.attributes, dict.fromkeys(rules.lists, State.CONFIRMED.value),
                to_add=list(rules.lists),
            )  # fmt: skip
            outcome.added += 1
        elif rules.lists and all(person.states.get(one) == State.UNSUBSCRIBED for one in rules.lists):
            outcome.suppressed += 1
            left = " and ".join(rules.lists.values())
            outcome.problems.append(
                (row.row, "suppressed", "", row.email, f"The reader left {left}; only they can come back.")
            )
        elif _change(person, row, rules):
            outcome.updated += 1
        else:
            outcome.unchanged += 1


def _change(person: Person, row: Wanted, rules: Rules) -> bool:
    """Brings the row's values and lists to somebody who is there already; empty cells leave what there is."""
    is_changed = False
    if rules.update_existing:
        attributes = {**person.attributes, **row.attributes}
        after = (row.name or person.name, row.language or person.language, attributes)
        if after != (person.name, person.language, person.attributes):
            person.name, person.language, person.attributes = after
            person.is_changed = is_changed = True
    for one in rules.lists:
        state = person.states.get(one)
        if state is None:
            person.to_add.append(one)
        elif state == State.PENDING:
            person.to_confirm.append(one)
        if state in (None, State.PENDING):
            person.states[one] = State.CONFIRMED.value
            is_changed = True
    return is_changed


def people_of(norms: Sequence[str], rules: Rules) -> dict[str, Person]:
    """Those of the addresses that are subscribers, with their places on the lists: two statements."""
    columns = ("email_norm", "pk", "email") + (("name", "language", "attributes") if rules.update_existing else ())
    found = {
        values[0]: _person(*values[1:])
        for values in Subscriber.objects.filter(email_norm__in=norms).order_by().values_list(*columns)
    }
    if found and rules.lists:
        by_id = {person.id: person for person in found.values()}
        places = Subscription.objects.filter(subscriber_id__in=list(by_id), list_id__in=list(rules.lists)).order_by()
        for subscriber_id, list_id, state in places.values_list("subscriber_id", "list_id", "state"):
            by_id[subscriber_id].states[list_id] = state
    return found


def _person(
    number: int, email: str, name: str = "", language: str = "", attributes: dict[str, Any] | None = None
) -> Person:
    return Person(email, name, language, attributes or {}, id=number)


def suppressed_among(norms: Sequence[str]) -> set[str]:
    """Those of the addresses that are never written to, erased ones included."""
    return audience.suppressed_among(norms)


def write(people: Mapping[str, Person], rules: Rules, now: datetime) -> None:
    """Brings the decided changes into the database. Call it in the transaction that moves the import's position on."""
    new = sorted((norm, person) for norm, person in people.items() if person.id is None)
    for piece in _pieces(new):
        _insert_subscribers(piece, now)
    changed = sorted((person for person in people.values() if person.is_changed and person.id), key=_by_id)
    if changed:
        _update_subscribers(changed)
    subscriptions = [(person.id, one) for person in people.values() if person.id for one in person.to_add]
    for piece in _pieces(sorted(subscriptions)):
        _insert_subscriptions(piece, rules, now)
    for one in rules.lists:
        waiting = sorted(person.id for person in people.values() if person.id and one in person.to_confirm)
        if waiting:  # only those who still wait: whoever left meanwhile stays away
            Subscription.objects.filter(list_id=one, subscriber_id__in=waiting, state=State.PENDING).update(
                state=State.CONFIRMED, confirmed_at=now, source=rules.source, consent_text=rules.consent
            )


def _by_id(person: Person) -> int:
    return person.id or 0


def _pieces(rows: list[Any]) -> Iterator[list[Any]]:
    for first in range(0, len(rows), _ROWS_PER_STATEMENT):
        yield rows[first : first + _ROWS_PER_STATEMENT]


def _insert_subscribers(new: list[tuple[str, Person]], now: datetime) -> None:
    """Whoever signed up by themselves a moment ago is found instead."""
    columns = ("public_id", "email", "email_norm", "name", "attributes", "language", "soft_bounces", "created_at")
    at = _adapted(Subscriber, "created_at", now)
    values: list[Any] = []
    for norm, person in new:
        public_id = uuid.uuid4()
        values += (
            public_id if connection.features.has_native_uuid_field else public_id.hex,
            person.email, norm, person.name, json.dumps(person.attributes), person.language, 0, at,
        )  # fmt: skip
    ids = dict(_insert(Subscriber, columns, len(new), values, "email_norm", returning=("email_norm", "id")))
    missing = [norm for norm, _ in new if norm not in ids]
    if missing:
        ids |= dict(Subscriber.objects.filter(email_norm__in=missing).values_list("email_norm", "pk"))
    for norm, person in new:
        person.id = ids[norm]


def _insert_subscriptions(pairs: list[tuple[int, int]], rules: Rules, now: datetime) -> None:
    columns = ("subscriber_id", "list_id", "state", "source", "consent_text", "created_at", "confirmed_at")
    at = _adapted(Subscription, "created_at", now)
    values: list[Any] = []
    for subscriber_id, list_id in pairs:
        values += (subscriber_id, list_id, State.CONFIRMED.value, rules.source, rules.consent, at, at)
    _insert(Subscription, columns, len(pairs), values, "subscriber_id, list_id")


def _insert(
    model: type[Model], columns: Sequence[str], rows: int, values: list[Any], unique: str, returning: Sequence[str] = ()
) -> list[Any]:
    """One INSERT of many rows that leaves alone what is there; the names are this module's own, never anybody's input."""
    marks = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * rows)
    sql = (
        f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({', '.join(columns)}) VALUES {marks} "  # noqa: S608
        f"ON CONFLICT ({unique}) DO NOTHING"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {', '.join(returning)}" if returning else sql, values)
        return cursor.fetchall() if returning else []


def _update_subscribers(changed: Sequence[Person]) -> None:
    table = connection.ops.quote_name(Subscriber._meta.db_table)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET name = %s, language = %s, attributes = %s WHERE id = %s",  # noqa: S608
            [(person.name, person.language, json.dumps(person.attributes), person.id) for person in changed],
        )


def _adapted(model: type[Model], name: str, value: Any) -> Any:
    return model._meta.get_field(name).get_db_prep_value(value, connection)  # type: ignore[union-attr]


class Scratch:
    """What a check has decided so far, kept in a temporary file: it must know the rows before, and change nothing."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a nameless file that ends with the connection
        self._db.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16000;"
            "CREATE TABLE person (norm TEXT PRIMARY KEY, kept TEXT) WITHOUT ROWID; BEGIN;"
        )

    def close(self) -> None:
        self._db.close()

    def overlay(self, people: dict[str, Person], norms: Sequence[str]) -> None:
        """Puts in those whom an earlier batch would have added or changed."""
        marks = ", ".join("?" * len(norms))
        for norm, kept in self._db.execute(f"SELECT norm, kept FROM person WHERE norm IN ({marks})", norms):  # noqa: S608
            name, language, attributes, states = json.loads(kept)
            people[norm] = Person(norm, name, language, attributes, {int(one): state for one, state in states.items()})

    def keep(self, people: Mapping[str, Person]) -> None:
        """Remembers those whom this batch adds or changes."""
        rows = [
            (norm, json.dumps((person.name, person.language, person.attributes, person.states)))
            for norm, person in people.items()
            if person.to_add or person.to_confirm or person.is_changed or person.id is None
        ]
        self._db.executemany("INSERT OR REPLACE INTO person VALUES (?, ?)", rows)
