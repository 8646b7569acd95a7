"""The formula guard of :mod:`runs.guards` where PostgreSQL writes the lines: what begins a text in SQL, the rest in passing.

A break within a text is rare and seen at once in the bytes of a line, while to look for one in each text would cost the
database as much again as the look at how it begins.
"""

from __future__ import annotations

from runs.guards import SIGNS, UNSEEN, guard_breaks

# Brackets of PostgreSQL take a hyphen last instead of escaped, and its texts have no NUL. None of it holds a quote, a
# backslash or a per cent sign, so it can stand in any statement.
_AT_START = f"^[{UNSEEN.replace(chr(0) + '-', chr(1) + '-')}]*[{SIGNS.replace(chr(92) + '-', '')}\t\r\n-]"

# Nearly all texts begin with an ASCII letter or digit: for them a look at the first character must do, which costs a tenth
# of a regular expression. 61 is "=", 64 is "@".
_HARMLESS = "ascii({0}) BETWEEN 65 AND 126 OR ascii({0}) BETWEEN 48 AND 60"


def guarded(text: str) -> str:
    """The value of ``text``, an expression of type text with collation "C", guarded at its start; NULL where it is empty."""
    return (
        f"CASE WHEN {_HARMLESS.format(text)} THEN {text} WHEN {text} = '' THEN NULL "
        f"WHEN {text} ~ '{_AT_START}' THEN chr(39) || {text} ELSE {text} END"
    )


def guarded_line(line: bytes) -> bytes:
    """A line of CSV, without its end, with its texts guarded after each break: a break in it is always one in a text."""
    return guard_breaks(line.decode()).encode()
