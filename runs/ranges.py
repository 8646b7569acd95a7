"""Parts of a file that a browser asks for (RFC 9110, section 14). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SINGLE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE | re.ASCII)


class CannotSatisfy(ValueError):
    """The part lies beyond the end of the file: answer 416."""


@dataclass(frozen=True)
class Part:
    """Bytes from ``first`` to ``last``, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def parse(header: str, size: int) -> Part | None:
    """The one part that is asked for; None when the whole file is to be sent.

    Several parts at once, other units and anything unreadable give the whole file, which the RFC allows.

    Raises:
        CannotSatisfy: the part begins at or after the end, or is empty.
    """
    match = _SINGLE.fullmatch(header.strip())
    if match is None or len(header) > 100:
        return None
    start, end = match.groups()
    if not start and not end:
        return None
    if not start:
        length = min(int(end), size)
        if length == 0:
            raise CannotSatisfy(header)
        return Part(size - length, size - 1)
    first = int(start)
    if end and int(end) < first:
        return None
    if first >= size:
        raise CannotSatisfy(header)
    return Part(first, min(int(end), size - 1) if end else size - 1)
