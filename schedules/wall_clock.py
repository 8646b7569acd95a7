"""Pure: from wall-clock times to instants in a zone, through the changes of its clocks.

The rules are Debian cron's, as the library cronsim has them: a fixed time that falls into the gap of a forward
change runs at the first instant after it, and one that comes twice runs the first time only.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)
LONGEST_STEP = timedelta(days=7)
"""No zone changes its clocks twice within this time in a way that cancels out."""


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a fixed wall-clock time: the first of two, or the end of the gap that swallowed it."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return first
    # In a gap the two folds lie on either side of the change.
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return next_change(early, first, zone) or first


def next_change(after: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """The first instant in (after, until] at which the zone's offset differs from the one just before, in UTC."""
    low = after
    while low < until:
        high = min(low + LONGEST_STEP, until)
        if offset_at(high, zone) != offset_at(low, zone):
            return _bisect(low, high, zone)
        low = high
    return None


def _bisect(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    before = offset_at(low, zone)
    low = low.replace(microsecond=0)
    while high - low > SECOND:
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if offset_at(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def offset_at(moment: datetime, zone: ZoneInfo) -> timedelta:
    """How far the zone's clocks are ahead of UTC at an instant."""
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None  # every zone of the tz database has one
    return offset
