"""Text that strangers typed, on one line and without control characters. Pure."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
"""With halves of characters (surrogates), which JSON may hold and no mail can."""


def one_line(value: str) -> str:
    """The value without control characters or line breaks: nothing that a header could be broken with."""
    return (value if value.isprintable() else _CONTROL.sub(" ", value)).strip()
