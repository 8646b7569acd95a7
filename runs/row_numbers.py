"""The numbers of rows that addresses and forms name: text from outside, of which anything may come."""

from __future__ import annotations

MOST_DIGITS = 18
"""More of them no database holds as a row's number."""


def row_number(text: str) -> int | None:
    """The number that this text is; None for anything else, and for one that no database could hold."""
    is_number = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if is_number else None
