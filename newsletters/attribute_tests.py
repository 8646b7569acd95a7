"""Tests of one attribute of a subscriber in SQL: each is true or false, never NULL, and no stored value breaks it.

Attributes are JSON that imports and older versions wrote, so a number may be text and a date may be nonsense. Letters
are compared without their case as far as ASCII goes, because databases disagree about the rest; :func:`spellings`
adds the other usual spellings of a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import BooleanField, F, Func

# @a is the column. What is no text, number or date of the wanted form is NULL here, and false in the test around it.
_TEXT = {
    "postgresql": (
        "CASE jsonb_typeof(@a -> @k) WHEN 'string' THEN @a ->> @k"
        " WHEN 'number' THEN substring(@a ->> @k from '^-?[0-9]{1,15}$') END"
    ),
    "sqlite": (
        "CASE json_type(@a, @k) WHEN 'text' THEN json_extract(@a, @k) WHEN 'integer' THEN"
        " CASE WHEN abs(json_extract(@a, @k)) < 1000000000000000 THEN CAST(json_extract(@a, @k) AS TEXT) END END"
    ),
}
_NUMBER = {
    "postgresql": (
        "CASE jsonb_typeof(@a -> @k) WHEN 'number' THEN (@a ->> @k)::numeric"
        " WHEN 'string' THEN CASE WHEN length(@a ->> @k) <= 100"
        " THEN substring(@a ->> @k from '^-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?$')::numeric END END"
    ),
    "sqlite": (
        "CASE json_type(@a, @k) WHEN 'integer' THEN json_extract(@a, @k) WHEN 'real' THEN json_extract(@a, @k)"
        " WHEN 'text' THEN CASE WHEN length(json_extract(@a, @k)) <= 100"
        " AND json_extract(@a, @k) NOT GLOB '*[^0-9.-]*'"
        " AND json_valid(json_extract(@a, @k)) THEN CAST(json_extract(@a, @k) AS REAL) END END"
    ),
}
_DATE = {
    "postgresql": "substring(@a ->> @k from '^[0-9]{4}-[0-9]{2}-[0-9]{2}$') COLLATE \"C\"",
    "sqlite": (
        "CASE WHEN json_extract(@a, @k) GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]' THEN json_extract(@a, @k) END"
    ),
}
_FOLDED = {"postgresql": f'lower(({_TEXT["postgresql"]}) COLLATE "C")', "sqlite": f"lower({_TEXT['sqlite']})"}
_FILLED = {
    "postgresql": "COALESCE(btrim(@a ->> @k, ' '), '') <> ''",
    "sqlite": "COALESCE(trim(CAST(json_extract(@a, @k) AS TEXT)), '') <> ''",
}
_SAYS = {
    "postgresql": "COALESCE(@a -> @k = %s::jsonb, false)",
    "sqlite": "COALESCE(json_type(@a, @k) = %s, false)",
}
_FIND = {"postgresql": "strpos", "sqlite": "instr"}


@dataclass(frozen=True)
class _Sql:
    """One test, for one database."""

    text: str
    parameters: tuple[Any, ...] = ()
    """For the %s of the text, in order."""


class AttributeTest(Func):
    """A condition on one key of ``attributes``."""

    output_field = BooleanField()

    def __init__(self, key: str, per_vendor: dict[str, _Sql]) -> None:
        self.key, self.per_vendor = key, per_vendor
        super().__init__(F("attributes"))

    @property
    def identity(self) -> tuple[Any, ...]:  # what Django compares expressions by
        return (type(self), self.key, tuple(sorted((name, sql) for name, sql in self.per_vendor.items())))

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        return self._as("sqlite", compiler, f'$."{self.key}"')

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        return self._as("postgresql", compiler, self.key)

    def _as(self, vendor: str, compiler: Any, key: str) -> tuple[str, list[Any]]:
        column, _ = compiler.compile(self.source_expressions[0])
        sql, values, parameters = self.per_vendor[vendor], iter(self.per_vendor[vendor].parameters), []
        pieces = sql.text.replace("@a", column).split("@k")
        for place, piece in enumerate(pieces):
            parameters += [next(values) for _ in range(piece.count("%s"))]
            if place < len(pieces) - 1:
                parameters.append(key)
        return f"({'%s'.join(pieces)})", parameters


def is_filled(key: str) -> AttributeTest:
    """There is a value, and it is more than blanks."""
    return AttributeTest(key, {vendor: _Sql(text) for vendor, text in _FILLED.items()})


def is_one_of(key: str, words: Sequence[str]) -> AttributeTest:
    """The text is one of these, in any of the usual spellings."""
    wanted = spellings(*words)
    holders = ", ".join(["%s"] * len(wanted))
    return _sure(key, {vendor: f"{folded} IN ({holders})" for vendor, folded in _FOLDED.items()}, wanted)


def contains(key: str, word: str) -> AttributeTest:
    """The text has this somewhere in it."""
    return _found(key, word, "> 0")


def begins(key: str, word: str) -> AttributeTest:
    """The text begins with this."""
    return _found(key, word, "= 1")


def compares(key: str, sign: str, number: float) -> AttributeTest:
    """The number is =, < or > this one."""
    assert sign in ("=", "<", ">")
    return AttributeTest(
        key,
        {
            "postgresql": _Sql(f"COALESCE({_NUMBER['postgresql']} {sign} %s, false)", (Decimal(str(number)),)),
            "sqlite": _Sql(f"COALESCE({_NUMBER['sqlite']} {sign} %s, false)", (number,)),
        },
    )


def is_between(key: str, first: str, last: str) -> AttributeTest:
    """The date lies between these two, both included; they are written as 2026-03-31."""
    texts = {vendor: f"{text} >= %s AND {text} <= %s" for vendor, text in _DATE.items()}
    return _sure(key, texts, (first, last))


def says(key: str, answer: bool) -> AttributeTest:
    """It is yes, or no; somebody of whom it is not known has said neither."""
    word = "true" if answer else "false"
    return AttributeTest(key, {vendor: _Sql(text, (word,)) for vendor, text in _SAYS.items()})


def spellings(*words: str) -> tuple[str, ...]:
    """The words as written, all small, all capital and capitalised; ASCII letters are small in each, as in the test."""
    written = (form for word in words for form in (word, word.lower(), word.upper(), word.title(), word.capitalize()))
    return tuple(dict.fromkeys(ascii_lower(form) for form in written))


def ascii_lower(text: str) -> str:
    """Small letters for A to Z, everything else as it is."""
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in text)


def _found(key: str, word: str, where: str) -> AttributeTest:
    wanted = spellings(word)
    texts = {
        vendor: " OR ".join([f"{_FIND[vendor]}({folded}, %s) {where}"] * len(wanted))
        for vendor, folded in _FOLDED.items()
    }
    return _sure(key, texts, wanted)


def _sure(key: str, texts: dict[str, str], parameters: Sequence[Any]) -> AttributeTest:
    return AttributeTest(
        key, {vendor: _Sql(f"COALESCE({text}, false)", tuple(parameters)) for vendor, text in texts.items()}
    )
