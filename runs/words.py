"""States, times and durations in words that staff read.

Dates are said in the reader's language, everything else in English: the pages are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from itertools import pairwise
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
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_BY_THE_CLOCK = timedelta(hours=6)
"""Nearer than this, "tomorrow" says less than the hours do: at midnight it may be minutes away."""
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
    """ "in 5 minutes", "in 7 hours", "tomorrow", "3 days ago".

    Near moments are counted in elapsed time; from six hours on, another day of the reader's calendar is named by how many
    days away it is. So 42 hours from a Friday evening is "in 2 days", as somebody with a calendar on the wall says it.
    """
    now = now or timezone.now()
    gap = moment - now
    if abs(gap) < timedelta(seconds=1):
        return "now"
    days_away = (timezone.localtime(moment).date() - timezone.localtime(now).date()).days
    if days_away and abs(gap) >= _BY_THE_CLOCK:
        return _in_days(days_away)
    # Under an hour the smaller unit changes too fast to be worth reading.
    amount = duration(abs(gap)) if abs(gap) >= timedelta(hours=1) else _largest_unit(abs(gap))
    return f"in {amount}" if gap > timedelta(0) else f"{amount} ago"


def _in_days(count: int) -> str:
    if abs(count) == 1:
        return "tomorrow" if count > 0 else "yesterday"
    return f"in {count:,} days" if count > 0 else f"{-count:,} days ago"


def local(moment: datetime, zone: str, *, seconds: bool = False) -> str:
    """ "Mon 3 Aug 2026, 09:00 CEST"; as it is stored when the zone cannot be read."""
    moment = _in(moment, zone)
    of_day = f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"
    return f"{day(moment)}, {of_day} {clock_name(moment)}"


def clock_name(moment: datetime) -> str:
    """ "CEST", "UTC-03": the clock that the moment is told by; some zones have no letters for it, only numbers."""
    name = moment.tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name


def _in(moment: datetime, zone: str) -> datetime:
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        return moment


def day(moment: date) -> str:
    """ "Mon 3 Aug 2026"; in the reader's language and its order."""
    if not _date_language.get():
        return f"{short_day(moment)} {moment.year}"
    pattern = _format("DATE_FORMAT")
    return _patterned(moment, pattern if pattern.startswith("l") else f"D {pattern}")


def short_day(moment: date) -> str:
    """ "Mon 3 Aug": a day whose year is known."""
    if not _date_language.get():
        return f"{moment:%a} {moment.day} {moment:%b}"
    return _patterned(moment, f"D {_abbreviated(_format('MONTH_DAY_FORMAT'))}")


def full_day(moment: date) -> str:
    """ "Monday 3 August", within a sentence."""
    if not _date_language.get():
        return f"{moment:%A} {moment.day} {moment:%B}"
    return _patterned(moment, f"l {_format('MONTH_DAY_FORMAT')}")


def full_date(moment: date) -> str:
    """ "Monday 3 August 2026", within a sentence or as a heading."""
    if not _date_language.get():
        return f"{full_day(moment)} {moment.year}"
    pattern = _format("DATE_FORMAT")
    return _patterned(moment, pattern if pattern.startswith("l") else f"l {pattern}")


def plain_date(moment: date) -> str:
    """ "3 August 2026", without its weekday."""
    if not _date_language.get():
        return f"{moment.day} {moment:%B} {moment.year}"
    return _patterned(moment, _format("DATE_FORMAT").removeprefix("l, "))


def days(first: date, last: date) -> str:
    """ "16 to 22 November 2026", "28 December 2026 to 3 January 2027"."""
    if _date_language.get():
        start = plain_date(first) if first.year != last.year else _patterned(first, _format("MONTH_DAY_FORMAT"))
        return f"{start} – {plain_date(last)}"  # an English word between them would read oddly
    start = str(first.day)
    if (first.year, first.month) != (last.year, last.month):
        start += f" {first:%B}" + (f" {first.year}" if first.year != last.year else "")
    return f"{start} to {plain_date(last)}"


def month(first: date) -> str:
    """ "August 2026"."""
    if not _date_language.get():
        return f"{first:%B} {first.year}"
    return _patterned(first, _format("YEAR_MONTH_FORMAT"))


def weekday(moment: date) -> str:
    """ "Monday"."""
    return _patterned(moment, "l") if _date_language.get() else f"{moment:%A}"


def short_weekday(moment: date) -> str:
    """ "Mon"."""
    return _patterned(moment, "D") if _date_language.get() else f"{moment:%a}"


def _format(name: str) -> str:
    return str(formats.get_format(name, lang=_date_language.get(), use_l10n=True))


def _patterned(moment: date, pattern: str) -> str:
    with translation.override(_date_language.get()):
        return dateformat.format(moment, pattern)


def _abbreviated(pattern: str) -> str:
    return pattern.replace("F", "M").replace("E", "M")


def here(moment: datetime, *, seconds: bool = False) -> str:
    """The moment in the reader's own time zone: "Mon 3 Aug 2026, 09:00 CEST"."""
    return local(moment, timezone.get_current_timezone_name(), seconds=seconds)


def own_clock(moment: datetime, zone: str) -> str:
    """ "03:00 EDT": what a clock in the zone shows, with its day where that is another than the reader's.

    Empty where the reader's clock shows the same.
    """
    return _beside(_in(moment, zone), timezone.localtime(moment))


def for_reader(moment: datetime, zone: str) -> str:
    """ "09:00 CEST": what the reader's clock shows while a clock in the zone is looked at; empty where it is the same."""
    return _beside(timezone.localtime(moment), _in(moment, zone))


def both_clocks(moment: datetime, zone: str) -> str:
    """ "Mon 3 Aug 2026, 03:00 EDT (09:00 CEST for you)": on the clock of the zone, and the reader's where it differs."""
    own = for_reader(moment, zone)
    return f"{local(moment, zone)} ({own} for you)" if own else local(moment, zone)


def _beside(one: datetime, other: datetime) -> str:
    if one.utcoffset() == other.utcoffset():
        return ""
    on = "" if one.date() == other.date() else f"{short_day(one)}, "
    return f"{on}{one:%H:%M} {clock_name(one)}"


def here_near(moment: datetime, near: datetime | None, *, names_clock: bool = True) -> str:
    """ "09:00:05 CEST" in the reader's zone; with its day where that is not the day of ``near``."""
    own = timezone.localtime(moment)
    of_day = f"{own:%H:%M:%S} {clock_name(own)}" if names_clock else f"{own:%H:%M:%S}"
    if near is not None and timezone.localtime(near).date() == own.date():
        return of_day
    return f"{short_day(own)}, {of_day}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """ "1 row", "1,234 rows"; give the plural where it is not the noun with an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(span: timedelta) -> str:
    """ "3 seconds", "5 minutes", "1 hour 59 minutes", "1 day 18 hours", "12 days".

    Rounded down to the largest unit, with the next one beside it where leaving it out could mislead by a tenth or more.
    """
    seconds = int(span.total_seconds())
    for (size, unit), (next_size, next_unit) in pairwise((*_UNITS, (1, ""))):
        if seconds >= size:
            count, rest = divmod(seconds, size)
            further = rest // next_size if count < 10 and next_unit else 0
            return f"{_so_many(count, unit)} {_so_many(further, next_unit)}" if further else _so_many(count, unit)
    return "under a second"


def _largest_unit(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), _UNITS[-1])
    return _so_many(seconds // size, unit)


def _so_many(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'' if count == 1 else 's'}"
