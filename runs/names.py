"""The rules for the names that people give to things: there is one, it is not too long, nothing else has it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet


def problem(name: str, noun: str, example: str, *, max_length: int, others: QuerySet[Any]) -> str:
    """What is wrong with the name, in words; empty when nothing is. ``others`` are those that must not have it."""
    if not name.strip():
        return f"Give the {noun} a name, such as “{example}”."
    if len(name) > max_length:
        return f"The name is longer than {max_length} characters."
    if others.filter(name=name).exists():
        return taken(name, noun)
    return ""


def taken(name: str, noun: str) -> str:
    """That something else has the name already."""
    return f"Another {noun} is already called “{name}”. Choose a different name."
