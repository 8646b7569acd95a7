"""States, times and durations in words that staff read.

Dates are said in the reader's language, everything else in English: the pages are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import dateformat, formats, timezone, translation

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
_date_language: ContextVar[str] = ContextVar("date_language", default="")


@contextmanager
def dates_in(language: str) -> Iterator[None]:
    """Says dates in this language from here on; "" is British English. One Django does not have is English, too."""
    token = _date_language.set(language if language and translation.check_for_language(language) else "")
    try:
        yield
    finally:
        _date_language.reset(token)


def tone(state: str) -> str:
    """The colour family of a state: good, bad, warn, live or quiet."""
    return _TONES[State(state)]


def state(run: Run) -> str:
    """One word for the run's state."""
    return state_word(run.state)


def state_word(state: str) -> str:
    """One word for a state."""
    value = State(state)
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
    moment = _in(moment, zone)
    of_day = f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"
    return f"{day(moment)}, {of_day} {moment.tzname()}"


def clock_time(moment: datetime, zone: str) -> str:
    """ "09:00:05", where the day is known."""
    return f"{_in(moment, zone):%H:%M:%S}"


def _in(moment: datetime, zone: str) -> datetime:
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        return moment


def day(moment: date) -> str:
    """ "Mon 3 Aug 2026"; in the reader's language and its order."""
    language = _date_language.get()
    if not language:
        return f"{moment:%a} {moment.day} {moment:%b %Y}"
    with translation.override(language):
        pattern = str(formats.get_format("DATE_FORMAT", lang=language, use_l10n=True))
        return dateformat.format(moment, pattern if pattern.startswith("l") else f"D {pattern}")


def here(moment: datetime) -> str:
    """The moment in the reader's own time zone: "Mon 3 Aug 2026, 09:00 CEST"."""
    return local(moment, timezone.get_current_timezone_name())


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
