"""What a new text changes of the one that is approved, line by line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

KEPT = 3
"""Unchanged lines that are shown around a change."""


@dataclass(frozen=True)
class Line:
    """One line of the comparison."""

    kind: str
    """same, added, removed, or skipped: so many lines that did not change."""
    text: str


def of_texts(before: str, after: str) -> list[Line]:
    """The lines of both; nothing when they are the same."""
    old, new = before.splitlines(), after.splitlines()
    if old == new:
        return []
    lines: list[Line] = []
    for tag, first, last, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += _shortened(old[first:last], is_first=first == 0, is_last=last == len(old))
            continue
        lines += [Line("removed", text) for text in old[first:last]]
        lines += [Line("added", text) for text in new[start:end]]
    return lines


def of_parameters(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The same of the parameters, each as one line."""
    return of_texts("\n".join(map(_in_words, before)), "\n".join(map(_in_words, after)))


def _shortened(lines: Sequence[str], *, is_first: bool, is_last: bool) -> list[Line]:
    head = 0 if is_first else KEPT
    tail = 0 if is_last else KEPT
    hidden = len(lines) - head - tail
    if hidden <= 1:
        return [Line("same", text) for text in lines]
    shown = [Line("same", text) for text in lines[:head]]
    shown.append(Line("skipped", f"{hidden} unchanged lines"))
    return shown + [Line("same", text) for text in lines[len(lines) - tail :]]


def _in_words(parameter: Mapping[str, Any]) -> str:
    choices = ", ".join(map(str, parameter.get("choices") or ()))
    facts = (parameter.get("kind"), choices, f"default {parameter['default']}" if parameter.get("default") else "")
    return f":{parameter.get('name')} {parameter.get('label')} ({', '.join(str(fact) for fact in facts if fact)})"
