"""Random rules over subscribers with tidy and broken values: the database finds whom plain Python finds."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletters import segments
from newsletters.models import (
    Delivery,
    Issue,
    List,
    Newsletter,
    ReaderEvent,
    Subscriber,
    SubscriberField,
    Subscription,
)

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
TODAY = date(2026, 6, 15)
WORDS = [
    "Harbour",
    "harbour",
    "HARBOUR",
    "Old Town",
    "Ärzte",
    "ÄRZTE",
    "",
    "  ",
    "100%",
    "a_b",
    "12",
    "Zürich",
    "'x\"",
    "\\",
]
ASKED = ["harbour", "Harbour", "old", "ärzte", "%", "_", "1", "zürich", "'", "\\", "town", "12"]
CHOICES = ["Harbour", "Hill", "Ärzte"]
NUMBERS: list[Any] = [0, 1, -1, 12, 12.5, 0.1, 0.30000000000000004, 10**14, "12", "12.5", "-3", "007", "1e3", "abc", "",
    "1.2.3", "-", ".", "1.", "9" * 30, True, None, [1], {"a": 1}]  # fmt: skip
DATES: list[Any] = [
    "2026-06-15",
    "2026-06-01",
    "2026-02-31",
    "1999-12-31",
    "2026-6-1",
    "soon",
    20260615,
    "",
    None,
    "2026-06-20",
]
MESS: list[Any] = [None, True, False, 0, 5, 12, 1.5, "yes", "", [], {}, "Harbour"]
KINDS = {"place": "text", "age": "number", "since": "date", "member": "yes_no", "district": "choice"}


@dataclass
class Reader:
    """A subscriber as plain values."""

    attributes: dict[str, Any]
    language: str
    email_norm: str
    created_at: datetime
    lists: dict[int, tuple[str, datetime]] = field(default_factory=dict)
    got: set[int] = field(default_factory=set)
    has_bounced: bool = False


class World(dict[int, Reader]):
    """Readers by number."""

    def __repr__(self) -> str:  # a counter-example is read for its rule
        return "World()"


@pytest.fixture
def world() -> Iterator[World]:
    """A hundred readers, two lists, a newsletter with three issues, and a rule's worth of every mess."""
    dice = random.Random(7)
    for key, kind in KINDS.items():
        SubscriberField.objects.create(
            key=key, label=key.title(), kind=kind, choices=CHOICES if kind == "choice" else []
        )
    lists = [List.objects.create(pk=number, name=f"List {number}", slug=f"l{number}") for number in (1, 2)]
    letter = Newsletter.objects.create(pk=1, name="Letter", subject="S", body="B")
    states = [Issue.State.SENT, Issue.State.SENT_WITH_PROBLEMS, Issue.State.RUNNING, Issue.State.PREPARING]
    for number, state in enumerate(states, start=1):
        Issue.objects.create(
            pk=number, newsletter=letter, scheduled_for=NOW - timedelta(days=10 - number), subject="S", state=state
        )
    rows = World()
    for number in range(1, 101):
        reader = _reader(dice, number)
        row = Subscriber.objects.create(
            pk=number, email=reader.email_norm, attributes=reader.attributes, language=reader.language,
            created_at=reader.created_at,
        )  # fmt: skip
        rows[number] = reader
        for chosen in lists:
            if dice.random() < 0.6:
                place, at = dice.choice(["confirmed", "confirmed", "pending", "unsubscribed"]), _moment(dice)
                confirmed_at = dice.choice([at, None])
                Subscription.objects.create(
                    subscriber=row, list=chosen, state=place, confirmed_at=confirmed_at, created_at=at
                )
                reader.lists[chosen.pk] = (place, at)
        for issue_id in range(1, 5):
            if dice.random() < 0.5:
                fate = dice.choice([Delivery.State.SENT, Delivery.State.SENT, Delivery.State.FAILED])
                Delivery.objects.create(
                    issue_id=issue_id, subscriber=row, email=row.email, email_norm=row.email_norm, state=fate
                )
                reader.got |= {issue_id} if fate == Delivery.State.SENT else set()
        if dice.random() < 0.3:
            kind = dice.choice(["hard", "soft", "policy", "left"])
            ReaderEvent.objects.create(subscriber=row, kind=kind)
            reader.has_bounced = kind in ("hard", "soft")
    # A delivery of somebody who is gone must not turn "not in" into "nobody".
    Delivery.objects.create(issue_id=1, email="gone@x.org", email_norm="gone@x.org", state=Delivery.State.SENT)
    yield rows


def _moment(dice: random.Random) -> datetime:
    return NOW - timedelta(days=dice.choice([0, 1, 13, 14, 15, 29, 30, 31, 400]), minutes=dice.choice([-30, 0, 1, 720]))


def _reader(dice: random.Random, number: int) -> Reader:
    pools = {
        "place": WORDS,
        "age": NUMBERS,
        "since": DATES,
        "member": [True, False, None, "true", 1, 0],
        "district": [*CHOICES, "hill", ""],
    }
    attributes = {
        key: dice.choice(MESS) if dice.random() < 0.15 else dice.choice(pool)
        for key, pool in pools.items()
        if dice.random() < 0.85
    }
    domain = dice.choice(["example.org", "mail.example.org", "my_example.org".replace("_", "-"), "example.com"])
    language = dice.choice(["", "de", "de-AT", "DE", "en", "den"])
    return Reader(attributes, language, f"r{number}@{domain}", _moment(dice))


# The rules


def _attribute(key: str, ops: list[str], values: st.SearchStrategy[Any], bare: list[str]) -> st.SearchStrategy[Any]:
    about = f"attribute:{key}"
    asked = st.fixed_dictionaries({"about": st.just(about), "op": st.sampled_from(ops or bare), "value": values})
    alone = st.fixed_dictionaries({"about": st.just(about), "op": st.sampled_from([*bare, "filled", "empty"])})
    return (asked | alone) if ops else alone


def _other(about: str, ops: list[str], value: st.SearchStrategy[Any] | None, which: int = 0) -> st.SearchStrategy[Any]:
    parts: dict[str, st.SearchStrategy[Any]] = {"about": st.just(about), "op": st.sampled_from(ops)}
    if which:
        parts["which"] = st.integers(1, which)
    if value is not None:
        parts["value"] = value
    return st.fixed_dictionaries(parts)


DAYS = st.sampled_from([1, 13, 14, 30, 365])
A_DATE = st.sampled_from(["2026-06-15", "2026-06-01", "2026-05-16", "1999-12-31"])
LEAVES = st.one_of(
    _attribute("place", ["is", "is_not", "contains", "contains_not", "begins"], st.sampled_from(ASKED), []),
    _attribute("age", ["is", "is_not", "less", "more"], st.sampled_from([0, 1, 12, 12.5, 0.1, -3, 1000]), []),
    _attribute("since", ["on", "before", "after"], A_DATE, []),
    _attribute("since", ["last", "next"], DAYS, []),
    _attribute("member", [], st.none(), ["yes", "no"]),
    _attribute("district", ["in", "not_in"], st.lists(st.sampled_from(CHOICES), min_size=1, unique=True), []),
    _other("list", ["on", "not_on"], None, 2),
    _other("list", ["before", "after"], A_DATE, 2),
    _other("list", ["last"], DAYS, 2),
    _other("subscribed", ["before", "after"], A_DATE),
    _other("subscribed", ["last", "older"], DAYS),
    _other("language", ["is", "is_not"], st.sampled_from(["de", "en", "de-at"])),
    _other("language", ["empty"], None),
    _other("domain", ["is", "is_not"], st.sampled_from(["example.org", "MY-example.org"])),
    _other("issue", ["received", "not_received"], None, 4),
    _other("newsletter", ["received", "not_received"], st.integers(1, 4), 1),
    _other("bounced", ["ever", "never"], None),
)


def _group(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    inside = st.lists(children, min_size=1, max_size=4)
    return st.sampled_from(["all", "any", "none"]).flatmap(lambda word: inside.map(lambda rules: {word: rules}))


RULES = _group(LEAVES | _group(LEAVES | _group(LEAVES | _group(LEAVES))))


# The oracle


def holds(rule: Any, reader: Reader) -> Any:
    if "all" in rule:
        return all(holds(one, reader) for one in rule["all"])
    if "any" in rule:
        return any(holds(one, reader) for one in rule["any"])
    if "none" in rule:
        return not any(holds(one, reader) for one in rule["none"])
    about, op, value, which = rule["about"], rule["op"], rule.get("value"), rule.get("which")
    if about.startswith("attribute:"):
        return _attribute_holds(reader.attributes.get(about[10:]), KINDS[about[10:]], op, value)
    if about == "list":
        state, at = reader.lists.get(which, ("", NOW))
        is_on = state == "confirmed"
        if op in ("on", "not_on"):
            return is_on == (op == "on")
        return is_on and _moment_holds(at, op, value)
    if about == "subscribed":
        return _moment_holds(reader.created_at, op, value)
    if about == "language":
        mine = reader.language.lower()
        same = mine == value or mine.startswith(f"{value}-")
        return {"is": same, "is_not": not same, "empty": mine == ""}[op]
    if about == "domain":
        return (reader.email_norm.split("@")[1] == value.lower()) == (op == "is")
    if about == "issue":
        return (which in reader.got) == (op == "received")
    if about == "newsletter":  # issue 4 is being prepared: nobody was sent it
        return bool(reader.got & set([3, 2, 1][:value])) == (op == "received")
    return reader.has_bounced == (op == "ever")


def _moment_holds(at: datetime, op: str, value: Any) -> Any:
    if op in ("before", "after"):
        day = at.astimezone(timezone.utc).date()
        return day < date.fromisoformat(value) if op == "before" else day > date.fromisoformat(value)
    is_recent = at >= NOW - timedelta(days=value)
    return is_recent if op == "last" else not is_recent


def _attribute_holds(stored: Any, kind: str, op: str, value: Any) -> Any:
    if op in ("filled", "empty"):
        is_there = stored is not None and (not isinstance(stored, str) or stored.strip(" ") != "")
        return is_there == (op == "filled")
    if kind == "number":
        number = _number(stored)
        if op == "is_not":
            return number != value
        return number is not None and {"is": number == value, "less": number < value, "more": number > value}[op]
    if kind == "date":
        return _date_holds(stored, op, value)
    if kind == "yes_no":
        return stored is (op == "yes")
    text = _text(stored)
    if kind == "choice":
        return (text is not None and any(_same(text, one) for one in value)) == (op == "in")
    found = text is not None and any(
        {"is": form == _low(text), "contains": form in _low(text), "begins": _low(text).startswith(form)}[
            {"is_not": "is", "contains_not": "contains"}.get(op, op)
        ]
        for form in _forms(value)
    )
    return found != (op in ("is_not", "contains_not"))


def _date_holds(stored: Any, op: str, value: Any) -> Any:
    if not isinstance(stored, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", stored):
        return False
    if op in ("on", "before", "after"):
        return {"on": stored == value, "before": stored < value, "after": stored > value}[op]
    span = timedelta(days=value)
    first, last = (TODAY - span, TODAY) if op == "last" else (TODAY, TODAY + span)
    return str(first) <= stored <= str(last)


def _number(stored: Any) -> float | None:
    if isinstance(stored, bool):
        return None
    if isinstance(stored, (int, float)):
        return stored
    is_written = isinstance(stored, str) and re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", stored)
    return float(stored) if is_written else None


def _text(stored: Any) -> str | None:
    if isinstance(stored, str):
        return stored
    return str(stored) if isinstance(stored, int) and not isinstance(stored, bool) and abs(stored) < 10**15 else None


def _low(text: str) -> str:
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), text)


def _forms(word: str) -> set[str]:
    return {_low(form) for form in (word, word.lower(), word.upper(), word.title(), word.capitalize())}


def _same(text: str, word: str) -> bool:
    return _low(text) in _forms(word)


@settings(
    max_examples=int(os.environ.get("RULE_EXAMPLES", "120")), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(rule=RULES)
def test_the_database_finds_whom_plain_python_finds(world: World, rule: Any) -> None:
    assert segments.check(rule) == {}
    found = set(Subscriber.objects.filter(segments.condition(rule, NOW)).values_list("pk", flat=True))
    assert found == {number for number, reader in world.items() if holds(rule, reader)}, segments.describe(rule)
    left = set(Subscriber.objects.exclude(segments.condition(rule, NOW)).values_list("pk", flat=True))
    assert left == set(world) - found, "and it is never neither true nor false"
