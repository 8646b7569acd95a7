"""From the cells of a row to what is kept of a subscriber; a wrong cell is said with its column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf.locale import LANG_INFO

from newsletters import addresses, import_columns, import_files
from newsletters import fields as own_fields
from newsletters.models import SubscriberField
from runs import guards

MAX_NAME = 300
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})?")


class WrongCell(ValueError):
    """A cell that cannot be taken over; the message says what to write instead."""

    def __init__(self, message: str, column: str = "", value: str = "") -> None:
        super().__init__(message)
        self.column = column
        self.value = value


@dataclass(slots=True)
class Wanted:
    """What one row says."""

    row: int
    email: str
    email_norm: str
    name: str
    language: str
    attributes: dict[str, own_fields.Value]


class RowReader:
    """Reads the rows of one file, by the columns that staff assigned."""

    def __init__(
        self, mapping: Mapping[int, str], headings: Sequence[str], fields: Mapping[str, SubscriberField]
    ) -> None:
        self._headings = headings
        self._width = len(headings)
        by_target = {target: position for position, target in mapping.items() if target}
        self._email = by_target[import_columns.EMAIL]
        self._names = [
            by_target[target]
            for target in (import_columns.NAME, import_columns.FIRST_NAME, import_columns.LAST_NAME)
            if target in by_target
        ]
        self._language = by_target.get(import_columns.LANGUAGE)
        self._attributes = [
            (position, key, fields.get(key))
            for target, position in by_target.items()
            if target.startswith(import_columns.ATTRIBUTE)
            for key in [target.removeprefix(import_columns.ATTRIBUTE)]
        ]
        self._used = sorted(by_target.values())

    def read(self, row: import_files.Row) -> Wanted:
        """What the row says.

        Raises:
            WrongCell: the row cannot be taken over.
        """
        cells = self._whole(row)
        email = _unguarded(cells[self._email].strip())
        if not email:
            raise WrongCell("There is no e-mail address in this row.", self._headings[self._email])
        try:
            norm = addresses.normalise(email)
        except addresses.BadAddress as error:
            raise self._wrong(self._email, cells, str(error)) from error
        name = " ".join(part for position in self._names for part in _unguarded(cells[position]).split())
        if len(name) > MAX_NAME:
            raise self._wrong(self._names[0], cells, f"The name has more than {MAX_NAME} characters.")
        return Wanted(row.number, email, norm, name, self._language_of(cells), self._attributes_of(cells))

    def _whole(self, row: import_files.Row) -> list[str]:
        cells, width = row.cells, self._width
        if row.problem:
            raise WrongCell(row.problem, value=" ".join(cells))
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            raise WrongCell(
                f"The row has {len(cells)} cells, the file only {width} columns. A text with the delimiter in it needs "
                "quotation marks.",
                value=" ".join(cells[width:]),
            )
        if row.is_last and len(cells) < width:
            raise WrongCell("The file ends in the middle of this row. Was it cut off?", value=" ".join(cells))
        if len(cells) < width:
            cells = [*cells, *[""] * (width - len(cells))]
        for position in self._used:
            if "\0" in cells[position]:
                raise self._wrong(position, cells, "There is a NUL character in it. Is it the right encoding?")
            if import_files.is_damaged(cells[position]):
                raise self._wrong(position, cells, "It holds characters that are not of the file's encoding.")
        return cells

    def _language_of(self, cells: Sequence[str]) -> str:
        if self._language is None:
            return ""
        written = cells[self._language].strip().lower().replace("_", "-")
        code = _LANGUAGES.get(written, written)
        if code and not (_LANGUAGE.fullmatch(code) and len(code) <= 12):
            raise self._wrong(self._language, cells, "This is no language. Write a code such as en, de or pt-br.")
        return code

    def _attributes_of(self, cells: Sequence[str]) -> dict[str, own_fields.Value]:
        found: dict[str, own_fields.Value] = {}
        for position, key, field in self._attributes:
            try:
                value = own_fields.read_value(field, _unguarded(cells[position].strip()))
            except own_fields.BadValue as error:
                raise self._wrong(position, cells, str(error)) from error
            if value is not None:
                found[key] = value
        return found

    def _wrong(self, position: int, cells: Sequence[str], message: str) -> WrongCell:
        return WrongCell(message, self._headings[position], cells[position])


def _unguarded(text: str) -> str:
    """Without the apostrophe that an export puts before text that would start a formula."""
    return text[1:] if text.startswith("'") and guards.guard(text[1:]) != text[1:] else text


def _languages() -> dict[str, str]:
    """Languages by the names that people write: German, Deutsch."""
    known: dict[str, str] = {}
    for code, facts in LANG_INFO.items():
        entry: dict[str, Any] = dict(facts)
        for name in (entry.get("name"), entry.get("name_local")):
            if name and "fallback" not in entry:
                known.setdefault(str(name).lower(), code)
    return known


_LANGUAGES = _languages()
