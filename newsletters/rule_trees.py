"""The shape of a segment's rule, without its meaning: groups of rules and groups, walked by path. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

GROUPS = {"all": "all of these hold", "any": "any of these holds", "none": "none of these holds"}
MAX_DEPTH = 4
MAX_RULES = 50
Path = tuple[int, ...]
"""Where a node stands: the place in each group on the way down; the root is ()."""


def group_word(node: Any) -> str | None:
    """all, any or none when the node is a group, else None."""
    if isinstance(node, dict) and len(node) == 1:
        word = next(iter(node))
        if word in GROUPS and isinstance(node[word], list):
            return str(word)
    return None


def walk(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every node with its path, groups before what is in them; goes no deeper than a few levels past the limit."""
    yield path, node
    word = group_word(node)
    if word is not None and len(path) <= MAX_DEPTH:
        for place, child in enumerate(node[word]):
            yield from walk(child, (*path, place))


def subjects(rule: Any) -> set[str]:
    """What the rules are about: attribute:district, list, issue …"""
    return {str(node.get("about")) for _, node in walk(rule) if isinstance(node, dict) and group_word(node) is None}


def leaves(rule: Any, about: str) -> list[dict[str, Any]]:
    """The rules about one subject."""
    return [node for _, node in walk(rule) if isinstance(node, dict) and node.get("about") == about]
