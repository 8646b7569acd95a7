"""The formula guard: keeps spreadsheet programs from running text that a stranger typed."""

from __future__ import annotations

import re
from typing import TypeVar

# The characters that start a formula (OWASP, "CSV Injection") and their full-width twins.
_SIGNS = "=+\\-@＝＋－＠"
# Blanks, invisible characters and controls that some programs drop before they look for a formula.
_UNSEEN = "\x00-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff"
# At the start also TAB, CR and LF by themselves; after a line break inside the text, the signs only.
_AT_START = re.compile(f"[{_UNSEEN}]*[{_SIGNS}\t\r\n]")
_AFTER_BREAK = re.compile(f"(?<=[\r\n])(?=[{_UNSEEN}\t]*[{_SIGNS}])")

Value = TypeVar("Value")


def guard(value: Value) -> Value | str:
    """Text that would start a formula gets an apostrophe in front; everything else is returned as it is.

    Only text: the number -5 stays a number. Blanks and invisible characters before the sign do not hide it,
    and each later line of a text is held to the same rule.
    """
    if not isinstance(value, str):
        return value
    text = f"'{value}" if _AT_START.match(value) else str(value)
    return _AFTER_BREAK.sub("'", text) if "\n" in text or "\r" in text else text
