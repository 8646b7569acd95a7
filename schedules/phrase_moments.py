"""Pure: phrases for one moment ("tomorrow 14:00", "3 December at 10"), each a pattern of words and what it reads as."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from schedules.phrase_words import AT, COUNT, DAY, DAYS, MONTH, PhraseError, month, number, read_clock


def _on_date(match: re.Match[str], today: datetime) -> str | datetime | None:
    moment = read_clock(match["at"])
    if moment is None:
        return None
    day, number_of_month = int(match["day"]), month(match["month"])
    if match["yearly"]:
        return f"{moment.minute} {moment.hour} {day} {number_of_month} *"
    years = [int(match["year"])] if match["year"] else [today.year, today.year + 1]
    for year in years:
        try:
            wall = datetime.combine(date(year, number_of_month, day), moment)
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


def _relative_day(match: re.Match[str], today: datetime) -> datetime | None:
    moment = read_clock(match["at"])
    ahead = {"today": 0, "tomorrow": 1, "the day after tomorrow": 2}[match["day"]]
    return None if moment is None else datetime.combine(today.date() + timedelta(days=ahead), moment)


def _this_weekday(match: re.Match[str], today: datetime) -> datetime | None:
    moment = read_clock(match["at"])
    if moment is None:
        return None
    ahead = (DAYS.index(match["day"][:3]) - today.isoweekday()) % 7
    wall = datetime.combine(today.date() + timedelta(days=ahead), moment)
    return wall if wall > today.replace(tzinfo=None) else wall + timedelta(days=7)


def _soon(match: re.Match[str], today: datetime) -> datetime:
    count, unit = number(match["count"]), match["unit"].rstrip("s")
    size = {"minute": 60, "min": 60, "hour": 3600, "day": 86400, "week": 604800}[unit]
    later = (today.astimezone(UTC) + timedelta(seconds=count * size)).astimezone(today.tzinfo)
    return later.replace(tzinfo=None, second=0, microsecond=0)


READERS = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (rf"(?:once\s+)?(?P<day>today|tomorrow|the day after tomorrow){AT}", _relative_day),
        (rf"in\s+(?P<count>{COUNT})\s+(?P<unit>minutes?|mins?|hours?|days?|weeks?)", _soon),
        (rf"(?:(?:once\s+)?(?:on\s+)?(?:next|this|coming)|once(?:\s+on)?)\s+(?P<day>{DAY}){AT}", _this_weekday),
        (
            rf"(?:once\s+)?(?P<yearly>every\s+year\s+on\s+|yearly\s+on\s+|each\s+year\s+on\s+)?(?:on\s+)?(?:the\s+)?"
            rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{MONTH})(?:\s+(?P<year>\d{{4}}))?{AT}",
            _on_date,
        ),
        (rf"(?:once\s+)?(?:on\s+)?(?P<date>\d{{4}}-\d{{2}}-\d{{2}}){AT}", _iso_date),
        (rf"(?:once\s+)?(?:on\s+)?(?P<d>\d{{1,2}})\.(?P<m>\d{{1,2}})\.(?P<y>\d{{4}}){AT}", _dotted_date),
    )
)
