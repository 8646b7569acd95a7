"""Pure: reads what staff type ("every weekday at 9") into a timing, by a small fixed grammar.

What it cannot read it says, with examples; every reading is shown back in words before it is used. The grammar itself
is in ``phrase_repeats``, ``phrase_moments`` and ``phrase_words``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from runs import words as said_in_words
from schedules import cron, phrase_moments, phrase_repeats, phrase_words, wall_clock
from schedules.phrase_words import AND, CLOCKS, MONTH
from schedules.phrase_words import PhraseError as PhraseError  # part of what this module promises
from schedules.timing import words_for_duration

EXAMPLES = (
    "every weekday at 9", "first Monday of the month 07:30", "every 15 minutes between 8 and 18",
    "last day of the month at noon", "tomorrow 14:00",
)  # fmt: skip
_READERS = (*phrase_repeats.READERS[:-2], *phrase_moments.READERS, *phrase_repeats.READERS[-2:])
"""A bare weekday or time reads last: "on 3 May" is no weekday, and "at 7" no date."""
_TIME_FIRST = re.compile(
    rf"(?:at\s+)?(?P<at>{CLOCKS})\s*,?\s+(?P<days>(?:on|every|each|daily|today|tomorrow|next|in|week\s?days?|weekends?)\b.*)"
)
_HOLIDAYS = re.compile(
    r"\s*,?\s*(?:\(?(?:except|excluding|excl\.?|but\s+not|not|other\s+than|without|unless\s+(?:it\s+is|it's|it\s+falls\s+on))\s+)"
    r"(?:for\s+|on\s+)?(?:a\s+|any\s+|the\s+)?(?:(?:bank|public|national|school)\s+)?holidays?\)?(?=\s|,|$)"
)
_END = re.compile(r"\s*,?\s+(?:until|till|up\s+to|ending)\s+(?:on\s+)?(?P<end>.+)")
_IN_MONTHS = re.compile(rf"\s+(?:only\s+)?in\s+(?P<months>{MONTH}(?:{AND}{MONTH})*)(?=\s|$)")


@dataclass(frozen=True)
class Phrase:
    """A reading: exactly one of ``expression``, ``every`` and ``at`` is set."""

    words: str
    """The reading shown back to whoever typed it."""
    expression: str = ""
    every: timedelta | None = None
    at: datetime | None = None
    """Aware, UTC."""
    note: str = ""
    """What was said and is not part of the reading, and where to say it."""


def parse(text: str, *, now: datetime, timezone: str) -> Phrase:
    """Reads words as they are meant in the zone, with ``now`` (aware) as the present.

    Raises:
        PhraseError: with examples, or with what to write instead.
        schedules.cron.CronError: the zone does not exist.
    """
    said = " ".join(text.lower().replace("’", "'").split()).strip(" .!,")
    said = re.sub(r"(\d{4}-\d{2}-\d{2})t(?=\d)", r"\1 ", said)
    if not said or len(said) > 200:
        raise _unreadable(text)
    try:
        today = now.astimezone(ZoneInfo(timezone))
    except (KeyError, ValueError, OSError) as error:
        raise cron.CronError(
            f"“{timezone}” is not a time zone. Write one such as Europe/Berlin or UTC.", "time zone"
        ) from error
    found = _read(said, today) or _without_asides(said, today)
    if found is not None:
        return found
    try:
        return _phrase(said, today)  # a cron pattern typed into the words box is welcome too
    except cron.CronError:
        raise _unreadable(text) from None


_Reading = str | timedelta | datetime


def _read(said: str, today: datetime) -> Phrase | None:
    reading = _match(said, today)
    if reading is None and (swapped := _TIME_FIRST.fullmatch(said)):
        reading = _match(f"{swapped['days']} at {swapped['at']}", today)
    return None if reading is None else _phrase(reading, today)


def _match(said: str, today: datetime) -> _Reading | None:
    for pattern, read in _READERS:
        match = pattern.fullmatch(said)
        if match is not None:
            return read(match, today)
    return None


def _without_asides(said: str, today: datetime) -> Phrase | None:
    """Reads on without what belongs into other fields of the form, and says so."""
    if _HOLIDAYS.search(said):
        rest = _read_on(_HOLIDAYS.sub("", said, count=1), today)
        note = "Holidays are not left out yet: choose a holiday calendar below, under “Holidays of”."
        return None if rest is None else replace(rest, note=f"{note} {rest.note}".strip())
    if months := _IN_MONTHS.search(said):
        rest = _read_on(_IN_MONTHS.sub("", said, count=1), today)
        return None if rest is None else _only_in(rest, months["months"], today)
    if end := _END.search(said):
        rest = _read_on(said[: end.start()], today)
        note = "Its end is not set yet: fill in “Ends on” below."
        return None if rest is None or rest.at is not None else replace(rest, note=f"{rest.note} {note}".strip())
    return None


def _read_on(said: str, today: datetime) -> Phrase | None:
    said = said.strip(" ,")
    return (_read(said, today) or _without_asides(said, today)) if said else None


def _only_in(rest: Phrase, months: str, today: datetime) -> Phrase | None:
    minute, hour, day, month, weekday = rest.expression.split() if rest.expression else [""] * 5
    if month != "*":
        return None
    numbers = ",".join(str(phrase_words.month(found)) for found in re.findall(MONTH, months))
    return replace(_phrase(f"{minute} {hour} {day} {numbers} {weekday}", today), note=rest.note)


def _phrase(reading: _Reading, today: datetime) -> Phrase:
    zone = today.tzinfo
    assert isinstance(zone, ZoneInfo)
    if isinstance(reading, str):
        spec = cron.parse(reading, zone.key)
        return Phrase(spec.describe(), expression=spec.expression)
    if isinstance(reading, timedelta):
        if reading < timedelta(minutes=1):
            raise PhraseError("Once a minute is the most often that it can run.")
        return Phrase(f"Every {words_for_duration(reading)}", every=reading)
    at = wall_clock.instant(reading, zone)
    date = f"{said_in_words.full_date(reading)} at {reading:%H:%M}"
    if at <= today:
        raise PhraseError(f"{date} has passed. Choose a time in the future.")
    return Phrase(f"Once, on {date}", at=at.astimezone(UTC))


def _unreadable(text: str) -> PhraseError:
    if half := phrase_words.HALF_BEFORE_HOUR.search(text.lower()):
        hour = phrase_words.number(half["hour"])
        return PhraseError(f"“{half[0].capitalize()}” can mean two times. Write {hour}:30 or {(hour - 1) % 24}:30.")
    shown = " ".join(text.split())[:60]
    examples = ", ".join(f"“{example}”" for example in EXAMPLES)
    return PhraseError(f"I could not read “{shown}”. Try for example {examples}.")
