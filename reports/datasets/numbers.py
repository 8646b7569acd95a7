"""Numbers that both databases work out alike: rates in per cent, and whole seconds between two moments."""

from __future__ import annotations

from typing import Any

from django.db.models import BigIntegerField, DecimalField, ExpressionWrapper, F, FloatField, Func, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, NullIf

PERCENT = DecimalField(max_digits=9, decimal_places=2)


def percent(part: str | Combinable, whole: str | Combinable) -> Combinable:
    """``part`` of ``whole`` in per cent with two digits, rounded half up; nothing where the whole is 0.

    Worked out in whole numbers: decimals are floating-point numbers in SQLite, which round ties another way.
    """
    parts, wholes = _whole_number(part), _whole_number(whole)
    hundredths = (parts * Value(20_000) + wholes) / NullIf(wholes * Value(2), Value(0))
    exact = ExpressionWrapper(hundredths, output_field=BigIntegerField())
    shifted = ExpressionWrapper(
        Cast(exact, FloatField()) / Value(100.0, output_field=FloatField()), output_field=FloatField()
    )
    return Cast(shifted, PERCENT)


def _whole_number(value: str | Combinable) -> Any:
    return Cast(F(value) if isinstance(value, str) else value, BigIntegerField())


class SecondsBetween(Func):
    """Whole seconds from one moment to a later one, rounded down; nothing where one of them is missing."""

    arity = 2
    output_field = BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "FLOOR(EXTRACT(EPOCH FROM (%(expressions)s)))::bigint"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" - ", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "(django_timestamp_diff(%(expressions)s) / 1000000)"
        return self.as_sql(compiler, connection, template=template, **context)


def seconds_between(start: str, end: str) -> SecondsBetween:
    """Whole seconds from the moment in the field ``start`` to that in ``end``."""
    return SecondsBetween(F(end), F(start))
