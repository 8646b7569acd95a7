"""Pure: the words that phrases are made of: numbers, weekdays, months and times of day."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS = {word: number for number, word in enumerate(_HOURS, start=1)} | {
    "a": 1, "an": 1, "fifteen": 15, "twenty": 20, "twenty-five": 25, "thirty": 30, "other": 2, "second": 2, "2nd": 2,
    "third": 3, "3rd": 3, "quarter": 15, "a quarter": 15, "half": 30,
}  # fmt: skip
ORDINALS = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5,
}  # fmt: skip

# Pieces of regular expressions, without groups that count.
DAY = (
    r"(?:sun(?:day)?|mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?)s?"
)
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
AND = r"(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)"
COUNT = r"(?:\d{1,4}|a|an|other|second|2nd|third|3rd|fifteen|twenty|thirty|" + "|".join(_HOURS) + ")"
ORDINAL = r"(?:" + "|".join(ORDINALS) + r"|last)"
DAY_LIST = rf"{DAY}(?:\s*(?:-|to|through)\s*{DAY}|(?:{AND}(?:on\s+)?{DAY})*)"
WORK_DAYS = r"(?:week\s?days?|working\s+days?|business\s+days?|work\s?days?)"
WEEKEND = r"(?:(?:the\s+)?weekends?)"
ANY_DAYS = rf"(?:{WORK_DAYS}|{WEEKEND}|{DAY_LIST})"
_HOUR = r"(?:\d{1,2}|" + "|".join(_HOURS) + ")"
_HALF = r"(?:\s*(?:o'clock|hours|hrs?|h))?(?:\s*(?:am|pm|a\.m\.|p\.m\.)|\s+in\s+the\s+(?:morning|afternoon|evening))?"
_MINUTES = r"(?:half|(?:a\s+)?quarter|five|ten|twenty|twenty-five|\d{1,2}(?:\s+minutes)?)"
CLOCK = rf"(?:noon|midday|midnight|{_MINUTES}\s+(?:past|to)\s+{_HOUR}{_HALF}|{_HOUR}(?:[:.]\d{{2}})?{_HALF})"
CLOCKS = rf"{CLOCK}(?:{AND}(?:at\s+)?{CLOCK})*"
AT = rf"(?:(?:\s+at|\s*,|\s*@)?\s+(?P<at>{CLOCKS}))?"

HALF_BEFORE_HOUR = re.compile(rf"\bhalf\s+(?P<hour>{_HOUR})\b")
"""In London it is half an hour later than in Berlin."""
_NAMED = {"noon": time(12), "midday": time(12), "midnight": time(0)}
_TIME = re.compile(
    rf"(?:(?P<shift>{_MINUTES})\s+(?P<way>past|to)\s+)?(?P<hour>{_HOUR})(?:[:.](?P<minute>\d{{2}}))?"
    r"(?:\s*(?:o'clock|hours|hrs?|h))?(?:\s*(?:in\s+the\s+)?(?P<half>am|pm|a\.m\.|p\.m\.|morning|afternoon|evening))?"
)


class PhraseError(ValueError):
    """The words cannot be read, or no schedule can do what they say; the message says what to write instead."""


def number(text: str | None) -> int:
    """ "3", "three", "other"; 1 for nothing."""
    if not text:
        return 1
    return int(text) if text.isdigit() else _NUMBERS[text]


def month(text: str) -> int:
    """ "march" is 3."""
    return MONTHS.index(text[:3]) + 1


def weekdays(text: str) -> str:
    """ "weekdays", "mon to fri", "tuesdays and fridays" as the last part of a pattern."""
    if re.fullmatch(WORK_DAYS, text):
        return "1-5"
    if re.fullmatch(WEEKEND, text):
        return "6,0"
    days = [found[:3] for found in re.findall(DAY, text)]
    if re.search(r"-|\bto\b|\bthrough\b", text):
        return f"{days[0]}-{days[1]}"
    return ",".join(dict.fromkeys(days))


def read_clock(text: str | None, default: time = time(9)) -> time | None:
    """ "9", "9:30", "9.30pm", "half past 7", "quarter to nine", "noon" as a time of day; None when it is none."""
    if not text:
        return default
    text = text.strip()
    if text in _NAMED:
        return _NAMED[text]
    match = _TIME.fullmatch(text)
    if match is None or (match["shift"] and match["minute"]):
        return None
    hour, minute = _hour(number(match["hour"]), match["half"]), int(match["minute"] or 0)
    if hour is None or hour > 23 or minute > 59:
        return None
    if not match["shift"]:
        return time(hour, minute)
    shift = number(" ".join(match["shift"].removesuffix("minutes").split()))
    if shift > 59:
        return None
    moment = datetime(2000, 1, 2, hour) + timedelta(minutes=shift if match["way"] == "past" else -shift)
    return moment.time()


def _hour(hour: int, half: str | None) -> int | None:
    """The hour of 24; None for what nobody says, such as 13 am."""
    half = (half or "").replace(".", "")
    if half in ("am", "pm"):
        return hour % 12 + (12 if half == "pm" else 0) if 1 <= hour <= 12 else None
    if half == "morning":
        return hour if hour < 12 else None
    if half in ("afternoon", "evening") and hour < 12:
        return hour + 12
    return hour


def read_clocks(text: str | None, default: time = time(9)) -> tuple[str, str] | None:
    """The minute and hour fields of one or several times that share their minutes; None when one of them is none."""
    parts = re.split(AND, text) if text else [None]
    times = [read_clock(part.removeprefix("at ") if part else None, default) for part in parts]
    found = [moment for moment in times if moment is not None]
    if len(found) < len(times):
        return None
    minutes = {moment.minute for moment in found}
    if len(minutes) > 1:
        raise PhraseError(
            "Several times must share their minutes, such as 8:30 and 20:30. Make two schedules otherwise."
        )
    return str(minutes.pop()), ",".join(str(hour) for hour in sorted({moment.hour for moment in found}))
