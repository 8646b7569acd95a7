"""The formula guard: keeps spreadsheet programs from running text that a stranger typed.

:mod:`reports.guard_sql` says the same where PostgreSQL writes the lines.
"""

from __future__ import annotations

import re
from typing import TypeVar

# The characters that start a formula (OWASP, "CSV Injection") and their full-width twins.
SIGNS = "=+\\-@＝＋－＠"
# Blanks, invisible characters and controls that some programs drop before they look for a formula.
UNSEEN = "\x00-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff"
# At the start also TAB, CR and LF by themselves; after a line break inside the text, the signs only.
_AT_START = re.compile(f"[{UNSEEN}]*[{SIGNS}\t\r\n]")
_AFTER_BREAK = re.compile(f"(?<=[\r\n])(?=[{UNSEEN}\t]*[{SIGNS}])")

Value = TypeVar("Value")


def guard(value: Value) -> Value | str:
    """Text that would start a formula gets an apostrophe in front; everything else is returned as it is.

    Only text: the number -5 stays a number. Blanks and invisible characters before the sign do not hide it,
    and each later line of a text is held to the same rule.
    """
    if not isinstance(value, str):
        return value
    text = f"'{value}" if _AT_START.match(value) else str(value)
    return guard_breaks(text) if "\n" in text or "\r" in text else text


def guard_breaks(text: str) -> str:
    """An apostrophe in front of each sign that begins a later line; a second time it finds nothing more to do."""
    return _AFTER_BREAK.sub("'", text)
