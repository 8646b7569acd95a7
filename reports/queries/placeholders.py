"""Finds the ``:names`` in a text of SQL, which stand for parameters. Pure; nothing is ever put in their place as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
    | (?P<block>/\*)
    | (?P<quoted>
        (?<![A-Za-z0-9_])[eE]'(?:[^'\\]|\\.|'')*'
        | '(?:[^']|'')*'
        | "(?:[^"]|"")*"
        | `[^`]*`
        | (?<![A-Za-z0-9_])\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$
      )
    | (?P<cast>::|:=)
    | :(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<end>;)
    | (?P<other>[A-Za-z0-9_$]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")


@dataclass(frozen=True)
class Token:
    """A piece of the text; ``kind`` is space, name, end or other."""

    kind: str
    text: str


def names(sql: str) -> list[str]:
    """The names in the order in which they first occur; not those in strings, comments and casts."""
    return list(dict.fromkeys(token.text[1:] for token in _tokens(sql) if token.kind == "name"))


def numbered(sql: str, order: list[str]) -> str:
    """The text with each name as PostgreSQL has it: ``$1`` for the first of ``order``. Names that are not in it stay."""
    place = {f":{name}": f"${number}" for number, name in enumerate(order, start=1)}
    return "".join(place.get(token.text, token.text) if token.kind == "name" else token.text for token in _tokens(sql))


def without_end(sql: str) -> str:
    """The text without the semicolon after its last word, and without what follows there. Others stay, and are refused."""
    found = list(_tokens(sql))
    while found and found[-1].kind in ("space", "end"):
        found.pop()
    return "".join(token.text for token in found)


def _tokens(sql: str) -> Iterator[Token]:
    place = 0
    while place < len(sql):
        match = _TOKEN.match(sql, place)
        assert match is not None, "every character is a token"
        end, kind = match.end(), match.lastgroup or "other"
        if kind == "block":
            end, kind = _end_of_comment(sql, match.end()), "space"
        elif kind not in ("space", "name", "end"):
            kind = "other"
        yield Token(kind, sql[place:end])
        place = end


def _end_of_comment(sql: str, place: int) -> int:
    """Comments stand in each other, as PostgreSQL has it; one that never ends goes to the end of the text."""
    depth = 1
    while depth:
        match = _COMMENT.search(sql, place)
        if match is None:
            return len(sql)
        depth += 1 if match.group() == "/*" else -1
        place = match.end()
    return place
