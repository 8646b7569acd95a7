"""States, times and durations in words that staff read."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from runs.models import Run
from runs.states import State

_TONES = {
    State.SUCCEEDED: "good",
    State.FAILED: "bad",
    State.MISSED: "bad",
    State.CANCELLED: "quiet",
    State.SKIPPED: "warn",
    State.RUNNING: "live",
    State.PLANNED: "quiet",
    State.PUBLISHED: "quiet",
}
_SHORT = {State.PLANNED: "Waiting", State.PUBLISHED: "Waiting"}


def tone(state: str) -> str:
    """The colour family of a state: good, bad, warn, live or quiet."""
    return _TONES[State(state)]


def state(run: Run) -> str:
    """One word for the run's state."""
    value = State(run.state)
    return _SHORT.get(value, value.label)


def relative(moment: datetime, now: datetime | None = None) -> str:
    """ "in 5 minutes", "2 hours ago": the largest unit, rounded down."""
    gap = moment - (now or timezone.now())
    amount = duration(abs(gap))
    if abs(gap) < timedelta(seconds=1):
        return "now"
    return f"in {amount}" if gap > timedelta(0) else f"{amount} ago"


def local(moment: datetime, zone: str, *, seconds: bool = False) -> str:
    """ "Mon 3 Aug 2026, 09:00 CEST"; as it is stored when the zone cannot be read."""
    try:
        moment = moment.astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        pass
    clock_time = f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"
    return f"{moment:%a} {moment.day} {moment:%b %Y}, {clock_time} {moment.tzname()}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """ "1 row", "1,234 rows"; give the plural where it is not the noun with an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(span: timedelta) -> str:
    """ "3 seconds", "5 minutes", "2 hours", "4 days"."""
    seconds = int(span.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "under a second"
