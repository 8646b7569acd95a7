"""Many values in a query as one parameter: a thousand placeholders cost more to write and to read than to answer."""

from __future__ import annotations

import json
from collections.abc import Collection

from django.db import connection
from django.db.models.expressions import RawSQL


def rows_of(values: Collection[int] | Collection[str]) -> RawSQL | tuple[()]:
    """The values as the rows of a subquery, for ``field__in``; nothing at all stays nothing, which has no type."""
    if not values:
        return ()
    if connection.vendor != "postgresql":
        return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(list(values))])
    if any(isinstance(value, str) for value in values):
        return RawSQL("SELECT unnest(%s::text[])", [list(values)])
    return RawSQL("SELECT unnest(%s::bigint[])", [list(values)])
