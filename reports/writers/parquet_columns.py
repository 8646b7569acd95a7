"""Columns of values as columns of Arrow: one type a column for the whole file, and no value quietly changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from reports import storage
from reports.datasets.registry import Kind
from reports.sources import Head
from reports.writers import cells

_USUAL = (38, 18)
_LARGE = (76, 38)
"""For what the usual type, which more programs can read, does not hold."""
_MOST_WHOLE = 2**63


class ColumnMaker:
    """Makes one column of a Parquet file. Its type is decided by its kind, and for numbers by the first values."""

    def __init__(self, head: Head, name: str, zone: ZoneInfo, first: Sequence[Any]) -> None:
        self._head = head
        self._zone = zone
        self.rounded = 0
        """Numbers that the type holds only nearly."""
        self.holds = ""
        """What it holds of them, in words."""
        self.type, self._convert = self._decide(first)
        # The zone is where people read the moments; what is stored is UTC, as the format has it.
        self.field = pa.field(name, self.type, metadata={"label": head.label, "kind": str(head.kind)})

    def array(self, values: Sequence[Any]) -> pa.Array:
        """Raises storage.StorageError for a value of another kind than the column's."""
        convert = self._convert
        try:
            wanted = [None if value is None else convert(value) for value in values]
            return pa.array(wanted, self.type)
        except (ArithmeticError, ValueError, TypeError, pa.ArrowException) as error:
            raise storage.StorageError(
                f"The column “{self._head.label}” holds a value that does not fit the others in it ({error}). A Parquet "
                "file has one kind of value in each column. Choose another format for this report."
            ) from error

    def _decide(self, first: Sequence[Any]) -> tuple[pa.DataType, Callable[[Any], Any]]:
        if self._head.choices:
            return pa.string(), self._text
        match self._head.kind:
            case Kind.INTEGER:
                return self._whole(first)
            case Kind.DECIMAL:
                return self._decimal(first)
            case Kind.DATE:
                return pa.date32(), _date
            case Kind.MOMENT:
                return pa.timestamp("us", tz=self._zone.key), self._moment
            case Kind.YES_NO:
                return pa.bool_(), bool
        return pa.string(), self._text

    def _whole(self, first: Sequence[Any]) -> tuple[pa.DataType, Callable[[Any], Any]]:
        if any(value is not None and not -_MOST_WHOLE <= value < _MOST_WHOLE for value in first if _is_number(value)):
            return pa.decimal128(38, 0), _exact_whole
        return pa.int64(), _exact_whole

    def _decimal(self, first: Sequence[Any]) -> tuple[pa.DataType, Callable[[Any], Any]]:
        kinds = {type(value) for value in first if value is not None}
        if float in kinds and Decimal not in kinds:
            self.holds = "about 16 digits"
            return pa.float64(), self._float
        if all(_fits(value, *_USUAL) for value in first if isinstance(value, Decimal)):
            return pa.decimal128(*_USUAL), self._rounded_to(_USUAL[1])
        return pa.decimal256(*_LARGE), self._rounded_to(_LARGE[1])

    def _rounded_to(self, scale: int) -> Callable[[Any], Decimal]:
        step = Decimal(1).scaleb(-scale)
        self.holds = f"{scale} decimals"

        def convert(value: Any) -> Decimal:
            exact = value if isinstance(value, Decimal) else Decimal(str(value))
            if not exact.is_finite():
                raise ValueError(f"{exact} is not a number with digits")
            exponent = exact.as_tuple().exponent
            if isinstance(exponent, int) and -exponent > scale:
                with localcontext(prec=100):
                    shorter = exact.quantize(step)
                self.rounded += shorter != exact
                return shorter
            return exact

        return convert

    def _float(self, value: Any) -> float:
        nearest = float(value)
        self.rounded += isinstance(value, int | Decimal) and nearest != value
        return nearest

    def _text(self, value: Any) -> str:
        text = cells.as_text(value, self._zone)
        return text.encode("utf-8", "replace").decode("utf-8")

    def _moment(self, value: Any) -> datetime:
        if not isinstance(value, datetime):
            raise ValueError(f"{value!r} is not a moment")
        return value if value.tzinfo is not None else value.replace(tzinfo=self._zone)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal)


def _exact_whole(value: Any) -> int:
    whole = int(value)
    if whole != value:
        raise ValueError(f"{value} is not a whole number")
    return whole


def _date(value: Any) -> date:
    if not isinstance(value, date):
        raise ValueError(f"{value!r} is not a date")
    return value.date() if isinstance(value, datetime) else value


def _fits(value: Decimal, precision: int, scale: int) -> bool:
    if not value.is_finite():
        return True
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and -exponent <= scale and value.adjusted() < precision - scale
