"""The one clock: the database's, so that machines with wrong clocks still agree."""

from __future__ import annotations

from datetime import datetime, timezone

from django.db import connection

_QUERIES = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
}


def now() -> datetime:
    """The database's current instant, aware, in UTC."""
    with connection.cursor() as cursor:
        cursor.execute(_QUERIES[connection.vendor])
        (seconds,) = cursor.fetchone()
    return datetime.fromtimestamp(float(seconds), tz=timezone.utc)
