"""Pure: reads what staff type ("every weekday at 9") into a timing, by a small fixed grammar.

What it cannot read it says, with examples; every reading is shown back in words before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schedules import cron, wall_clock
from schedules.timing import words_for_duration

EXAMPLES = (
    "every weekday at 9", "first Monday of the month 07:30", "every 15 minutes between 8 and 18",
    "last day of the month at noon", "tomorrow 14:00",
)  # fmt: skip
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ORDINALS = {
    "first": 1,
    "1st": 1,
    "second": 2,
    "2nd": 2,
    "third": 3,
    "3rd": 3,
    "fourth": 4,
    "4th": 4,
    "fifth": 5,
    "5th": 5,
}
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "other": 2, "second": 2,
}  # fmt: skip
_DAY = (
    r"(?:sun(?:day)?|mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?)s?"
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_CLOCK = r"(?:noon|midday|midnight|\d{1,2}(?:[:.]\d{2})?\s*(?:am|pm|a\.m\.|p\.m\.|o'clock|h)?)"
_AND = r"(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)"
_COUNT = r"(?:\d{1,4}|" + "|".join(_NUMBERS) + ")"
_ORDINAL = r"(?:" + "|".join(_ORDINALS) + r"|last)"
_OF_MONTH = r"(?:of\s+(?:the|every|each)\s+month|in\s+(?:the|every|each)\s+month|monthly)"


class PhraseError(ValueError):
    """The words cannot be read; the message gives examples that can."""


@dataclass(frozen=True)
class Phrase:
    """A reading: exactly one of ``expression``, ``every`` and ``at`` is set."""

    words: str
    """The reading shown back to whoever typed it."""
    expression: str = ""
    every: timedelta | None = None
    at: datetime | None = None
    """Aware, UTC."""


def parse(text: str, *, now: datetime, timezone: str) -> Phrase:
    """Reads words as they are meant in the zone, with ``now`` (aware) as the present.

    Raises:
        PhraseError: with examples.
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
    for pattern, read in _READERS:
        match = pattern.fullmatch(said)
        if match is not None:
            return _checked(read(match, today), text, now, timezone)
    try:
        return _checked(said, text, now, timezone)  # a cron pattern typed into the words box is welcome too
    except cron.CronError:
        raise _unreadable(text) from None


_Reading = str | timedelta | datetime


def _checked(reading: _Reading | None, text: str, now: datetime, timezone: str) -> Phrase:
    if isinstance(reading, str):
        spec = cron.parse(reading, timezone)
        return Phrase(spec.describe(), expression=spec.expression)
    if isinstance(reading, timedelta):
        if reading < timedelta(minutes=1):
            raise PhraseError("Once a minute is the most often that it can run.")
        return Phrase(f"Every {words_for_duration(reading)}", every=reading)
    if isinstance(reading, datetime):
        at = wall_clock.instant(reading, ZoneInfo(timezone))
        if at <= now:
            raise PhraseError(f"{_said_date(reading)} has passed. Choose a time in the future.")
        return Phrase(f"Once, on {_said_date(reading)}", at=at.astimezone(UTC))
    raise _unreadable(text)


def _said_date(wall: datetime) -> str:
    return f"{wall:%A} {wall.day} {wall:%B %Y} at {wall:%H:%M}"


def _unreadable(text: str) -> PhraseError:
    shown = " ".join(text.split())[:60]
    examples = ", ".join(f"“{example}”" for example in EXAMPLES)
    return PhraseError(f"I could not read “{shown}”. Try for example {examples}.")


def read_clock(text: str | None, default: time = time(9, 0)) -> time | None:
    """ "9", "9:30", "9.30pm", "noon" as a time of day; None when it is none."""
    if not text:
        return default
    text = text.strip()
    if text in ("noon", "midday"):
        return time(12, 0)
    if text == "midnight":
        return time(0, 0)
    match = re.fullmatch(r"(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm|a\.m\.|p\.m\.|o'clock|h)?", text)
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    half = (match[3] or "").replace(".", "")
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _clocks(text: str | None) -> tuple[str, str] | None:
    """The minute and hour fields of one or several times that share their minute."""
    times = [read_clock(part) for part in re.split(_AND, text)] if text else [read_clock(None)]
    found = [moment for moment in times if moment is not None]
    if len(found) < len(times):
        return None
    minutes = {moment.minute for moment in found}
    if len(minutes) > 1:
        raise PhraseError(
            "Several times must share their minutes, such as 8:30 and 20:30. Make two schedules otherwise."
        )
    return str(minutes.pop()), ",".join(str(hour) for hour in sorted({moment.hour for moment in found}))


def _daily(clocks: str | None, days: str = "*", months: str = "*", weekdays: str = "*") -> str | None:
    fields = _clocks(clocks)
    return None if fields is None else f"{fields[0]} {fields[1]} {days} {months} {weekdays}"


def _number(text: str | None) -> int:
    if not text:
        return 1
    return int(text) if text.isdigit() else _NUMBERS[text]


def _day(text: str) -> str:
    return text[:3]


def _month(text: str) -> int:
    return _MONTHS.index(text[:3]) + 1


def _weekdays(match: re.Match[str], today: datetime) -> str | None:
    days = [_day(day) for day in re.findall(_DAY, match["days"])]
    if "-" in match["days"] or " to " in match["days"] or " through " in match["days"]:
        return _daily(match["at"], weekdays=f"{days[0]}-{days[1]}")
    return _daily(match["at"], weekdays=",".join(dict.fromkeys(days)))


def _nth_weekday(match: re.Match[str], today: datetime) -> str | None:
    day = _DAYS.index(_day(match["day"]))
    counts = re.findall(_ORDINAL, match["nth"])
    weekdays = ",".join(f"{day}L" if count == "last" else f"{day}#{_ORDINALS[count]}" for count in counts)
    return _daily(match["at"], weekdays=weekdays)


def _month_days(match: re.Match[str], today: datetime) -> str | None:
    days = [int(day) for day in re.findall(r"\d+", match["days"])]
    return _daily(match["at"], days=",".join(str(day) for day in days))


def _every_unit(match: re.Match[str], today: datetime) -> _Reading | None:
    count, unit = _number(match["count"]), match["unit"].rstrip("s")
    if unit in ("minute", "min"):
        return f"*/{count} * * * *" if count < 60 and 60 % count == 0 else timedelta(minutes=count)
    if unit in ("hour", "h"):
        return f"0 */{count} * * *" if count < 24 and 24 % count == 0 else timedelta(hours=count)
    if unit == "day":
        return "0 9 * * *" if count == 1 else timedelta(days=count)
    if unit == "week":
        return "0 9 * * mon" if count == 1 else timedelta(weeks=count)
    if unit == "month":
        return f"0 9 1 */{count} *" if 12 % count == 0 else None
    return None


def _between(match: re.Match[str], today: datetime) -> str | None:
    count, unit = _number(match["count"]), match["unit"].rstrip("s")
    first, last = read_clock(match["first"]), read_clock(match["last"])
    if first is None or last is None or first.minute or last.minute:
        return None
    weekdays = {"weekday": "1-5", "working day": "1-5", "weekend": "6,0"}.get((match["on"] or "").rstrip("s"), "*")
    last_hour = (last.hour - 1) % 24 if unit in ("minute", "min") else last.hour
    hours = f"{first.hour}-{last_hour}" if first.hour != last_hour else str(first.hour)
    if unit in ("minute", "min"):
        return f"*/{count} {hours} * * {weekdays}" if 60 % count == 0 else None
    return f"0 {hours}{f'/{count}' if count > 1 else ''} * * {weekdays}"


def _on_date(match: re.Match[str], today: datetime) -> _Reading | None:
    moment = read_clock(match["at"])
    if moment is None:
        return None
    day, month = int(match["day"]), _month(match["month"])
    if match["yearly"]:
        return f"{moment.minute} {moment.hour} {day} {month} *"
    years = [int(match["year"])] if match["year"] else [today.year, today.year + 1]
    for year in years:
        try:
            wall = datetime.combine(date(year, month, day), moment)
        except ValueError:
            raise PhraseError(f"There is no {day} {match['month'].capitalize()} {year}.") from None
        if match["year"] or wall > today.replace(tzinfo=None):
            return wall
    return None


def _iso_date(match: re.Match[str], today: datetime) -> datetime | None:
    moment = read_clock(match["at"])
    try:
        day = date.fromisoformat(match["date"])
    except ValueError:
        raise PhraseError(f"The date {match['date']} does not exist.") from None
    return None if moment is None else datetime.combine(day, moment)


def _dotted_date(match: re.Match[str], today: datetime) -> datetime | None:
    moment = read_clock(match["at"])
    try:
        day = date(int(match["y"]), int(match["m"]), int(match["d"]))
    except ValueError:
        raise PhraseError(f"The date {match['d']}.{match['m']}.{match['y']} does not exist.") from None
    return None if moment is None else datetime.combine(day, moment)


def _all_but(match: re.Match[str], today: datetime) -> str | None:
    left_out = {_day(day) for day in re.findall(_DAY, match["days"])}
    days = [day for day in (*_DAYS[1:], _DAYS[0]) if day not in left_out]
    return _daily(match["at"], weekdays=",".join(days)) if days else None


def _times_a_day(match: re.Match[str], today: datetime) -> str | None:
    """How often alone says no times, and guessing them would be wrong half the time."""
    count = {"twice": 2, "three times": 3}.get(match["often"]) or _number(match["count"])
    times = len(re.split(_AND, match["at"])) if match["at"] else 0
    if times != count:
        raise PhraseError("Say at which times of the day, such as “every day at 8 and 20”.")
    return _daily(match["at"])


def _two_meanings(match: re.Match[str], today: datetime) -> None:
    day = match["day"] or "Monday"
    raise PhraseError(
        f"That can mean two things. Write “second {day.capitalize()} of the month” for once a month, "
        "or “every 2 weeks” for every other week."
    )


def _relative_day(match: re.Match[str], today: datetime) -> datetime | None:
    moment = read_clock(match["at"])
    ahead = {"today": 0, "tomorrow": 1, "the day after tomorrow": 2}[match["day"]]
    return None if moment is None else datetime.combine(today.date() + timedelta(days=ahead), moment)


def _this_weekday(match: re.Match[str], today: datetime) -> datetime | None:
    moment = read_clock(match["at"])
    if moment is None:
        return None
    ahead = (_DAYS.index(_day(match["day"])) - today.isoweekday()) % 7
    wall = datetime.combine(today.date() + timedelta(days=ahead), moment)
    return wall if wall > today.replace(tzinfo=None) else wall + timedelta(days=7)


def _soon(match: re.Match[str], today: datetime) -> datetime:
    count, unit = _number(match["count"]), match["unit"].rstrip("s")
    size = {"minute": 60, "min": 60, "hour": 3600, "day": 86400, "week": 604800}[unit]
    later = (today.astimezone(UTC) + timedelta(seconds=count * size)).astimezone(today.tzinfo)
    return later.replace(tzinfo=None, second=0, microsecond=0)


def _fixed(
    days: str = "*", months: str = "*", weekdays: str = "*"
) -> Callable[[re.Match[str], datetime], _Reading | None]:
    return lambda match, today: _daily(match["at"], days, months, weekdays)


_AT = rf"(?:(?:\s+at|\s*,|\s*@)?\s+(?P<at>{_CLOCK}(?:{_AND}{_CLOCK})*))?"
_EVERY = r"(?:every|each|on|all)"
_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], datetime], _Reading | None]], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (r"(?:(?:every|each|once an?)\s+hour|hourly)", lambda match, today: "0 * * * *"),
        (r"every minute", lambda match, today: "* * * * *"),
        (
            rf"every\s+(?P<count>{_COUNT})?\s*(?P<unit>minutes?|mins?|hours?|h)\s+(?:between|from)\s+(?P<first>{_CLOCK})"
            rf"\s*(?:and|to|until|till|-)\s*(?P<last>{_CLOCK})(?:\s+(?:on|every)\s+(?P<on>weekdays?|working days?|weekends?))?",
            _between,
        ),
        (rf"every\s+(?P<count>{_COUNT})?\s*(?P<unit>minutes?|mins?|hours?|h|days?|weeks?|months?)", _every_unit),
        (
            rf"(?:(?:every|each)\s+day|daily)\s+(?:except|but not|other than|without)\s+(?:on\s+)?(?P<days>{_DAY}(?:{_AND}{_DAY})*){_AT}",
            _all_but,
        ),
        (rf"(?P<often>twice|three times|(?P<count>{_COUNT}) times)\s+(?:a|per|every)\s+day{_AT}", _times_a_day),
        (rf"(?:(?:every|each)\s+day|daily|once a day|every night|nightly){_AT}", _fixed()),
        (
            rf"(?:(?:{_EVERY}\s+)?(?:week\s?days?|working\s+days?|business\s+days?|workdays?)){_AT}",
            _fixed(weekdays="1-5"),
        ),
        (rf"(?:(?:{_EVERY}\s+)?(?:weekends?|(?:the\s+)?weekend)){_AT}", _fixed(weekdays="6,0")),
        (
            rf"(?:every\s+(?:other|second|2nd)\s+(?P<day>{_DAY})|bi-?weekly|bi-?monthly)(?!.*\bmonth){_AT}",
            _two_meanings,
        ),
        (r"(?:fortnightly|every\s+fortnight)", lambda match, today: timedelta(weeks=2)),
        (
            rf"(?:on\s+)?(?:the\s+|every\s+)?(?P<nth>{_ORDINAL}(?:{_AND}{_ORDINAL})*)\s+(?P<day>{_DAY})"
            rf"(?:\s+{_OF_MONTH})?{_AT}",
            _nth_weekday,
        ),
        (rf"(?:on\s+)?(?:the\s+)?last\s+day\s+{_OF_MONTH}{_AT}", _fixed(days="L")),
        (rf"(?:at\s+)?(?:the\s+)?(?:month\s+end|end\s+of\s+(?:the\s+|every\s+|each\s+)?month){_AT}", _fixed(days="L")),
        (
            rf"(?:on\s+)?(?:every\s+month\s+on\s+|monthly\s+on\s+)?(?:the\s+)?(?P<days>\d{{1,2}}(?:st|nd|rd|th)"
            rf"(?:{_AND}(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th))*)(?:\s+{_OF_MONTH})?{_AT}",
            _month_days,
        ),
        (rf"(?:(?:every|each)\s+month|monthly|once a month|first day\s+{_OF_MONTH}){_AT}", _fixed(days="1")),
        (rf"(?:quarterly|every\s+quarter|(?:every|each)\s+3\s+months){_AT}", _fixed(days="1", months="1,4,7,10")),
        (rf"(?:yearly|annually|every\s+year|once a year){_AT}", _fixed(days="1", months="1")),
        (rf"(?:weekly|every\s+week|once a week)(?:\s+on\s+(?P<days>{_DAY})){_AT}", _weekdays),
        (rf"(?:weekly|once a week){_AT}", _fixed(weekdays="mon")),
        (rf"(?P<day>today|tomorrow|the day after tomorrow){_AT}", _relative_day),
        (rf"in\s+(?P<count>{_COUNT})\s+(?P<unit>minutes?|mins?|hours?|days?|weeks?)", _soon),
        (rf"(?:next|this|coming)\s+(?P<day>{_DAY}){_AT}", _this_weekday),
        (
            rf"(?P<yearly>every\s+year\s+on\s+|yearly\s+on\s+|each\s+year\s+on\s+)?(?:on\s+)?(?:the\s+)?(?P<day>\d{{1,2}})"
            rf"(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})(?:\s+(?P<year>\d{{4}}))?{_AT}",
            _on_date,
        ),
        (rf"(?:on\s+)?(?P<date>\d{{4}}-\d{{2}}-\d{{2}}){_AT}", _iso_date),
        (rf"(?:on\s+)?(?P<d>\d{{1,2}})\.(?P<m>\d{{1,2}})\.(?P<y>\d{{4}}){_AT}", _dotted_date),
        (
            rf"(?:{_EVERY}\s+)?(?P<days>{_DAY}(?:\s*(?:-|to|through)\s*{_DAY}|(?:{_AND}{_DAY})*)){_AT}",
            _weekdays,
        ),
        (rf"(?:every\s+day\s+|daily\s+)?(?:at\s+)?(?P<at>{_CLOCK}(?:{_AND}{_CLOCK})*)", _fixed()),
    )
)
