"""Values as the cells of a worksheet's XML, a column at a time. Nothing here can make a formula."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Any
from zoneinfo import ZoneInfo

from reports.writers import cells

MAX_TEXT = 32_767
"""What a cell can hold, in UTF-16 units."""
_MAX_WHOLE = 10**15
"""Excel keeps 15 digits; what has more is a text with all of them."""
_EPOCH = datetime(1899, 12, 30)
# Before March 1900 Excel counts a 29 February that never was, and before 1900 it has no dates.
_FIRST_DAY = date(1900, 3, 1)
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LOOKS_ESCAPED = re.compile("_(?=x[0-9A-Fa-f]{4}_)")


class CellMaker:
    """Makes the cells of one report, and notes what a cell could not hold."""

    def __init__(self, zone: ZoneInfo, date_style: int, moment_style: int) -> None:
        self.replaced = 0
        """Texts with characters that no XML can hold."""
        self.cut: list[tuple[str, int]] = []
        """(cell, length) of the first texts that were too long."""
        self.cut_count = 0
        self._zone = zone
        self._date_style = f' s="{date_style}"'
        self._moment_style = f' s="{moment_style}"'
        self._makes: dict[type, Callable[[Any], str]] = {
            NoneType: lambda value: "", datetime: self._moment, date: self._date,
        }  # fmt: skip

    def column(self, letter: str, numbers: Sequence[int], values: Sequence[Any], style: int) -> list[str]:
        """The cells of one column in the rows of these numbers; "" for an empty one."""
        kinds = set(map(type, values))
        styled = f' s="{style}"' if style else ""
        if kinds == {int} and min(values) > -_MAX_WHOLE and max(values) < _MAX_WHOLE:
            rows = zip(numbers, values, strict=True)
            return [f'<c r="{letter}{number}"{styled}><v>{value}</v></c>' for number, value in rows]
        made = []
        for number, value in zip(numbers, values, strict=True):
            kind = type(value)
            if kind is str:
                rest = self._text(value, letter, number)
            elif kind is int or kind is float or kind is Decimal:
                digits = _digits(value)
                text = cells.number_text(value) if digits is None else ""
                rest = f"{styled}><v>{digits}</v></c>" if digits is not None else self._text(text, letter, number)
            elif (make := self._makes.get(kind)) is not None:
                rest = make(value)
            else:
                rest = self._text(cells.as_text(value, self._zone), letter, number)
            made.append(f'<c r="{letter}{number}"{rest}' if rest else "")
        return made

    def _text(self, text: str, letter: str, number: int) -> str:
        if len(text) > MAX_TEXT // 2 and (length := len(text.encode("utf-16-le", "replace")) // 2) > MAX_TEXT:
            self.cut_count += 1
            if len(self.cut) < 20:
                self.cut.append((f"{letter}{number}", length))
            text = text.encode("utf-16-le", "replace")[: 2 * MAX_TEXT].decode("utf-16-le", "ignore")
        if text.isprintable() and "&" not in text and "<" not in text and "_x" not in text and text == text.strip():
            return f' t="inlineStr"><is><t>{text}</t></is></c>' if text else ""
        text, replaced = _NOT_XML.subn("\N{REPLACEMENT CHARACTER}", text)
        self.replaced += replaced > 0
        # "_x0041_" is how Excel writes "A" when it must; a text that reads so needs its underscore written that way.
        text = _LOOKS_ESCAPED.sub("_x005F_", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        # A bare CR would come back as LF: XML says so.
        return f' t="inlineStr"><is><t xml:space="preserve">{text.replace(chr(13), "&#13;")}</t></is></c>'

    def _moment(self, value: datetime) -> str:
        local = cells.in_zone(value, self._zone).replace(tzinfo=None)
        if local.date() < _FIRST_DAY:
            return self._text(cells.as_text(value, self._zone), "", 0)
        since = local - _EPOCH
        fraction = (since.seconds * 1_000_000 + since.microseconds) / 86_400_000_000
        return f"{self._moment_style}><v>{since.days + fraction!r}</v></c>"

    def _date(self, value: date) -> str:
        if value < _FIRST_DAY:
            return self._text(value.isoformat(), "", 0)
        return f"{self._date_style}><v>{(value - _EPOCH.date()).days}</v></c>"


def _digits(value: int | float | Decimal) -> str | None:
    """The number as a cell has it; None for one that would not be the same number there."""
    if isinstance(value, int):
        return str(value) if -_MAX_WHOLE < value < _MAX_WHOLE else None
    if isinstance(value, float):
        return repr(value) if isfinite(value) else None
    if not value.is_finite() or not -300 < value.adjusted() < 300:
        return None if not value.is_finite() or value else "0"
    text = f"{value:f}"
    if len(text) <= 15:
        return text
    significant = text.lstrip("-0.").replace(".", "")
    if "." in text:
        significant = significant.rstrip("0")
    return text if len(significant) <= 15 else None
