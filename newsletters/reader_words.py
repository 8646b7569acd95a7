"""What a reader's attributes say in a letter: dates, numbers, yes and no in plain words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

YES = frozenset({"yes", "true", "1", "on"})
NO = frozenset({"no", "false", "0", "off"})


def merge_values(
    name: str, email: str, attributes: Mapping[str, Any], urls: Mapping[str, str], kinds: Mapping[str, str]
) -> dict[str, str]:
    """The values for the merge tags of one reader; the fixed tags win over attributes of the same name.

    ``kinds`` says of which kind each attribute is, as ``SubscriberField`` has it; others are said as they are.
    """
    values = {str(key): in_words(value, kinds.get(str(key), "")) for key, value in attributes.items()}
    return {**values, "name": name, "email": email, **urls}


def in_words(value: Any, kind: str = "") -> str:
    """One value as a reader would write it; nothing at all for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(in_words(item) for item in value.values())
    if isinstance(value, list | tuple):
        return ", ".join(in_words(item, kind) for item in value)
    if isinstance(value, int | float):
        if kind == "yes_no":
            return "yes" if value else "no"
        return _number(value)
    return _text(str(value), kind)


def _text(value: str, kind: str) -> str:
    if kind == "date":
        return _day(value)
    if kind == "yes_no":
        word = value.strip().lower()
        return "yes" if word in YES else "no" if word in NO else value
    return value


def _number(value: int | float) -> str:
    """Without an exponent or a useless ".0", and without thousands: it may be a year or a member's number."""
    written = format(Decimal(str(value)), "f") if value == value else ""
    return written.rstrip("0").rstrip(".") if "." in written else written


def _day(value: str) -> str:
    try:
        day = date.fromisoformat(value.strip())
    except ValueError:
        try:
            day = datetime.fromisoformat(value.strip()).date()
        except ValueError:
            return value
    return f"{day.day} {day:%B %Y}"
