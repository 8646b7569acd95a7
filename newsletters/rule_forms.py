"""A segment's rules as form inputs and back: what was typed stays as it was typed, wrong or not.

A node is named by where it stands: ``r`` is the outermost group, ``r.0.2`` the third rule of its first. A group has
``<name>.match``; a rule has ``<name>.about``, ``.op``, ``.which`` and ``.value``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from newsletters.rule_trees import GROUPS, MAX_DEPTH, MAX_RULES, Path
from newsletters.segment_leaves import Known, attribute_key

_INPUT = re.compile(r"r((?:\.[0-9]{1,3}){0,6})\.(match|about|op|which|value)")
_DO = re.compile(r"(add|group|remove):r((?:\.[0-9]{1,3}){0,6})")
_PARTS = MAX_RULES * 8
"""More inputs than any segment has are not read."""


@dataclass
class Draft:
    """One node as typed: a group when ``match`` is set."""

    match: str = ""
    children: list[Draft] = field(default_factory=list)
    about: str = ""
    op: str = ""
    which: str = ""
    values: list[str] = field(default_factory=list)
    is_new: bool = False
    """Just added: it gets the focus."""
    is_next: bool = False
    """Something in it was just removed: its button to add gets the focus."""

    @property
    def value(self) -> str:
        return self.values[0] if self.values else ""


def read(data: QueryDict) -> Draft:
    """The rules that a form sent; whatever else it sent is left alone."""
    found: dict[Path, Draft] = {}
    for name in list(data)[:_PARTS]:
        match = _INPUT.fullmatch(name)
        if match is None:
            continue
        node = found.setdefault(_path(match[1]), Draft())
        if match[2] == "value":
            node.values = [value[:1000] for value in data.getlist(name)]
        else:
            setattr(node, match[2], data[name][:1000])
    root = found.get((), Draft())
    root.match = root.match if root.match in GROUPS else "all"
    for path in sorted(found, key=lambda path: (len(path), path)):
        parent = found.get(path[:-1]) if path else None
        if parent is not None and parent.match in GROUPS:
            parent.children.append(found[path])
    return root


def of_rule(rule: Any) -> Draft:
    """A stored rule as its form shows it."""
    if isinstance(rule, dict) and len(rule) == 1:
        word = next(iter(rule))
        if word in GROUPS and isinstance(rule[word], list):
            return Draft(match=word, children=[of_rule(child) for child in rule[word]])
    if not isinstance(rule, dict) or not rule:
        return Draft()
    value = rule.get("value")
    values = [str(one) for one in value] if isinstance(value, list) else [] if value is None else [_typed(value)]
    return Draft(
        about=str(rule.get("about", "")), op=str(rule.get("op", "")), which=str(rule.get("which", "")), values=values
    )


def first() -> Draft:
    """What a new segment begins with: one rule to fill in."""
    return Draft(match="all", children=[Draft()])


def change(root: Draft, do: str) -> None:
    """Does what a button says: add:r.1, group:r.1, remove:r.0.2. What it cannot do it leaves."""
    match = _DO.fullmatch(do)
    if match is None:
        return
    path = _path(match[2])
    group = _at(root, path[:-1] if match[1] == "remove" else path)
    if group is None or not group.match:
        return
    if match[1] == "remove":
        if path and path[-1] < len(group.children):
            del group.children[path[-1]]
            group.is_next = True
    elif match[1] == "group":
        group.children.append(Draft(match="any", children=[Draft(is_new=True)]))
    else:
        group.children.append(Draft(is_new=True))


def settle(node: Draft, known: Known) -> None:
    """Gives each rule a question that its subject has; the first one, where somebody changed the subject."""
    for child in node.children:
        settle(child, known)
    questions = known.questions(node.about) if not node.match else {}
    if questions and node.op not in questions:
        node.op = next(iter(questions))


def to_rule(node: Draft, known: Known) -> dict[str, Any]:
    """The rule to store; what does not fit is passed on as it is, for the check to say so."""
    if node.match:
        return {node.match: [to_rule(child, known) for child in node.children]}
    rule: dict[str, Any] = {"about": node.about, "op": node.op}
    question = known.questions(node.about).get(node.op)
    if node.about in known.which:
        rule["which"] = int(node.which) if _is_number(node.which) else None
    if question is not None and question.takes:
        rule["value"] = _value(question.takes, node.values)
    return rule


def named(root: Draft) -> dict[str, Any]:
    """The rule as far as :meth:`Known.by` reads it: subjects and the numbers of what they name."""
    if root.match:
        return {root.match: [named(child) for child in root.children]}
    return {"about": root.about, "which": int(root.which) if _is_number(root.which) else None}


def depth_left(path: Path) -> bool:
    """Whether another group fits into the group at this path."""
    return len(path) + 1 < MAX_DEPTH


def name_of(path: Path) -> str:
    """ "r.0.2"."""
    return ".".join(["r", *(str(place) for place in path)])


def choices_of(about: str, known: Known) -> list[str]:
    """What a field with fixed values offers."""
    field = known.fields.get(attribute_key(about) or "")
    return [str(choice) for choice in field.choices] if field is not None else []


def _value(takes: str, values: list[str]) -> Any:
    if takes == "choices":
        return values
    text = values[0].strip() if values else ""
    if takes in ("days", "issues"):
        return int(text) if _is_number(text) else text
    if takes == "number":
        try:
            number = float(text.replace(",", "."))
        except ValueError:
            return text
        return int(number) if number.is_integer() else number
    return text


def _typed(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _path(text: str) -> Path:
    return tuple(int(place) for place in text.split(".")[1:])


def _at(node: Draft, path: Path) -> Draft | None:
    for place in path:
        if place >= len(node.children):
            return None
        node = node.children[place]
    return node


def by_place(errors: Mapping[Path, str]) -> dict[str, str]:
    """The check's messages by the names of nodes."""
    return {name_of(path): message for path, message in errors.items()}
