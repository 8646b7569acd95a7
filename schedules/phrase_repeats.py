"""Pure: phrases for what repeats ("every weekday at 9"), each a pattern of words and what it reads as.

A reader gives a cron pattern, or a span for an interval, or None where the words only look like its own. Where no schedule
can do what was said, it says so and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, time, timedelta

from schedules.phrase_words import (
    AND,
    ANY_DAYS,
    AT,
    CLOCK,
    CLOCKS,
    COUNT,
    DAY,
    DAY_LIST,
    DAYS,
    ORDINAL,
    ORDINALS,
    WEEKEND,
    WORK_DAYS,
    PhraseError,
    number,
    read_clock,
    read_clocks,
    weekdays,
)

Reader = Callable[[re.Match[str], datetime], str | timedelta | None]
_OF_MONTH = r"(?:of\s+(?:the|every|each)\s+month|in\s+(?:the|every|each)\s+month|of\s+month|monthly)"
_EVERY = r"(?:every|each|on|all)"
_QUARTERS, _QUARTER_ENDS = "1,4,7,10", "3,6,9,12"
_PARTS = {"morning": time(9), "afternoon": time(14), "evening": time(18), "night": time(3)}
"""What a part of the day means where no time is named; it is shown before anything is saved."""


def _pattern(
    clocks: str | None, days: str = "*", months: str = "*", on: str = "*", *, default: time = time(9)
) -> str | None:
    fields = read_clocks(clocks, default)
    return None if fields is None else f"{fields[0]} {fields[1]} {days} {months} {on}"


def _fixed(days: str = "*", months: str = "*", on: str = "*") -> Reader:
    return lambda match, today: _pattern(match["at"], days, months, on)


def _part_of_day(match: re.Match[str], on: str = "*") -> str | None:
    """ "every evening at 8" is 20:00; "every night at 11" is 23:00 and at 2 it is 02:00."""
    part = (match["part"] or "").removesuffix("ly").rstrip("s")
    at = match["at"]
    if not part or at is None:
        return _pattern(at, on=on, default=_PARTS.get(part, time(9)))
    moment = read_clock(at)
    if moment is None:
        return _pattern(at, on=on)
    is_late = part in ("afternoon", "evening") or (part == "night" and moment.hour >= 6)
    hour = moment.hour + 12 if is_late and moment.hour < 12 else moment.hour
    return f"{moment.minute} {hour} * * {on}"


def _on_weekdays(match: re.Match[str], today: datetime) -> str | None:
    return _part_of_day(match, weekdays(match["days"]))


def _nth_weekday(match: re.Match[str], today: datetime) -> str | None:
    day = DAYS.index(match["day"][:3])
    counts = re.findall(ORDINAL, match["nth"])
    counted = ",".join(f"{day}L" if count == "last" else f"{day}#{ORDINALS[count]}" for count in counts)
    return _pattern(match["at"], on=counted)


def _month_days(match: re.Match[str], today: datetime) -> str | None:
    return _pattern(match["at"], ",".join(str(int(day)) for day in re.findall(r"\d+", match["days"])))


def _all_but(match: re.Match[str], today: datetime) -> str | None:
    left_out = {day[:3] for day in re.findall(DAY, match["days"])}
    if re.search(WEEKEND, match["days"]):
        left_out |= {"sat", "sun"}
    days = [day for day in (*DAYS[1:], DAYS[0]) if day not in left_out]
    return _pattern(match["at"], on=",".join(days)) if days else None


def _every_unit(match: re.Match[str], today: datetime) -> str | timedelta | None:
    count, unit = number(match["count"]), match["unit"].rstrip("s")
    on, at = match["days"], match["at"]
    if not count:
        return None
    if unit in ("minute", "min", "hour", "h"):
        return None if at else _every_so_often(count, "minute" if unit.startswith("m") else "hour", on)
    if unit == "day":
        if on:
            return None
        return (
            _pattern(at) if count == 1 else _elapsed(timedelta(days=count), at, "“Monday, Wednesday and Friday at 9”")
        )
    if unit == "week":
        if count == 1:
            return _pattern(at, on=weekdays(on) if on else "mon")
        day = on if on and re.fullmatch(DAY, on) else "Monday"
        instead = f"“first and third {day.rstrip('s').capitalize()} of the month at 9”"
        return _elapsed(timedelta(weeks=count), on or at, instead if count == 2 else "“on the 1st at 9”")
    if on or 12 % count:
        return None
    return _pattern(at, "1", "*" if count == 1 else f"*/{count}")


def _every_so_often(count: int, unit: str, on: str | None) -> str | timedelta:
    whole = 60 if unit == "minute" else 24
    if count < whole and whole % count == 0:
        days = weekdays(on) if on else "*"
        return f"*/{count} * * * {days}" if unit == "minute" else f"0 {'*' if count == 1 else f'*/{count}'} * * {days}"
    if on:
        raise PhraseError(
            f"Every {count} {unit}s does not fit into a day, so it cannot begin anew each day. Write a number of {unit}s "
            f"that does, such as “every {15 if unit == 'minute' else 2} {unit}s on weekdays”."
        )
    return timedelta(minutes=count) if unit == "minute" else timedelta(hours=count)


def _elapsed(span: timedelta, tied_to: str | None, instead: str) -> timedelta:
    """What counts elapsed time cannot be tied to a weekday or a time of day as well."""
    if not tied_to:
        return span
    said = f"{span.days // 7} weeks" if span.days % 7 == 0 else f"{span.days} days"
    raise PhraseError(
        f"Every {said} cannot be tied to a day or a time: no pattern counts beyond its week or month. Write {instead}, or "
        f"only “every {said}”, which counts from the moment that you save it."
    )


def _fortnight(match: re.Match[str], today: datetime) -> timedelta:
    day = match["day"]
    instead = f"“first and third {(day or 'Monday').rstrip('s').capitalize()} of the month at 9”"
    return _elapsed(timedelta(weeks=2), day or match["at"], instead)


def _between(match: re.Match[str], today: datetime) -> str | None:
    count, unit = number(match["count"]), match["unit"].rstrip("s")
    first, last = read_clock(match["first"]), read_clock(match["last"])
    if not count or first is None or last is None or first.minute or last.minute:
        return None
    on = weekdays(match["days"]) if match["days"] else "*"
    last_hour = (last.hour - 1) % 24 if unit in ("minute", "min") else last.hour
    hours = f"{first.hour}-{last_hour}" if first.hour != last_hour else str(first.hour)
    if unit in ("minute", "min"):
        return f"*/{count} {hours} * * {on}" if 60 % count == 0 else None
    return f"0 {hours}{f'/{count}' if count > 1 else ''} * * {on}"


def _so_many_times(match: re.Match[str], today: datetime) -> str | None:
    """How often alone says no times and no days, and guessing them would be wrong half the time."""
    if match["unit"] != "day":
        such = {"week": "“Monday and Thursday at 9”", "month": "“on the 1st and 15th at 9”"}.get(match["unit"])
        raise PhraseError(f"Say on which days, such as {such or '“every year on 1 March at 9”'}.")
    count = {"twice": 2, "three times": 3}.get(match["often"]) or number(match["count"])
    times = len(re.split(AND, match["at"])) if match["at"] else 0
    if times != count:
        raise PhraseError("Say at which times of the day, such as “every day at 8 and 20”.")
    return _pattern(match["at"])


def _two_meanings(match: re.Match[str], today: datetime) -> None:
    day = match["day"] or "Monday"
    raise PhraseError(
        f"That can mean two things. Write “second {day.rstrip('s').capitalize()} of the month” for once a month, "
        "or “every 2 weeks” for every other week."
    )


def _bimonthly(match: re.Match[str], today: datetime) -> None:
    raise PhraseError(
        "That can mean two things. Write “on the 1st and 15th at 9” for twice a month, or “every 2 months”."
    )


def _working_day_of_month(match: re.Match[str], today: datetime) -> None:
    which = "last" if match["which"] == "last" else "first"
    day, plain = ("Friday", "last day of the month") if which == "last" else ("Monday", "on the 1st")
    raise PhraseError(
        f"Which day is the {which} working day changes with weekends and holidays, and no pattern says it. Write "
        f"“{which} {day} of the month at 9” or “{plain} at 9” instead."
    )


_FROM_TO = rf"(?:between|from)\s+(?P<first>{CLOCK})\s*(?:and|to|until|till|-)\s*(?P<last>{CLOCK})"
_ON_DAYS = rf"(?:\s+(?:on|every)\s+(?:a\s+)?(?P<days>{ANY_DAYS}))?"
_NUMBERED = rf"\d{{1,2}}(?:st|nd|rd|th)(?:{AND}(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th))*"
READERS: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (
            rf"(?:(?:every|each|once an?)\s+hour|hourly){_ON_DAYS}",
            lambda match, today: _every_so_often(1, "hour", match["days"]),
        ),
        (r"every minute", lambda match, today: "* * * * *"),
        (rf"every\s+(?P<count>{COUNT})?\s*(?P<unit>minutes?|mins?|hours?|h)\s+{_FROM_TO}{_ON_DAYS}", _between),
        (
            rf"every\s+(?P<count>{COUNT})?\s*(?P<unit>minutes?|mins?|hours?|h|days?|weeks?|months?){_ON_DAYS}{AT}",
            _every_unit,
        ),
        (
            rf"(?:(?:every|each)\s+day|daily)\s+(?:except|but\s+not|other\s+than|without)\s+(?:on\s+)?(?:at\s+)?"
            rf"(?P<days>{WEEKEND}|{DAY}(?:{AND}{DAY})*){AT}",
            _all_but,
        ),
        (
            rf"(?P<often>twice|three times|(?P<count>{COUNT}) times)\s+(?:a|per|every|each)\s+(?P<unit>day|week|month|year){AT}",
            _so_many_times,
        ),
        (rf"(?:(?:every|each)\s+day|daily|once a day){AT}", _fixed()),
        (
            rf"(?:(?:every|each)\s+)?(?P<part>mornings?|afternoons?|evenings?|night(?:s|ly)?){AT}",
            lambda match, today: _part_of_day(match),
        ),
        (rf"(?:{_EVERY}\s+)?(?P<days>{WORK_DAYS}|{WEEKEND})(?:\s+(?P<part>mornings?|afternoons?|evenings?))?{AT}", _on_weekdays),
        (
            rf"(?:on\s+)?(?:the\s+)?(?P<which>first|1st|last)\s+{WORK_DAYS}(?:\s+{_OF_MONTH})?{AT}",
            _working_day_of_month,
        ),
        (rf"every\s+other\s+(?P<day>{DAY}){AT}", _fortnight),
        (rf"(?:every\s+(?:second|2nd)\s+(?P<day>{DAY})|bi-?weekly)(?!.*\bmonth){AT}", _two_meanings),
        (rf"bi-?monthly{AT}", _bimonthly),
        (rf"(?:fortnightly|(?:every|each|once\s+a)\s+fortnight)(?:\s+on\s+(?:a\s+)?(?P<day>{DAY}))?{AT}", _fortnight),
        (
            rf"(?:on\s+)?(?:the\s+|every\s+)?(?P<nth>{ORDINAL}(?:{AND}(?:the\s+)?{ORDINAL})*)\s+(?P<day>{DAY})"
            rf"(?:\s+{_OF_MONTH})?{AT}",
            _nth_weekday,
        ),
        (rf"(?:on\s+)?(?:the\s+)?last\s+day\s+{_OF_MONTH}{AT}", _fixed("L")),
        (rf"(?:at\s+)?(?:the\s+)?(?:month\s+end|end\s+of\s+(?:the\s+|every\s+|each\s+)?month){AT}", _fixed("L")),
        (
            rf"(?:at\s+)?(?:the\s+)?(?:quarter\s+end|end\s+of\s+(?:the\s+|every\s+|each\s+)?quarter){AT}",
            _fixed("L", _QUARTER_ENDS),
        ),
        (
            rf"(?:at\s+)?(?:the\s+)?(?:start|beginning)\s+of\s+(?:the\s+|every\s+|each\s+)?month{AT}",
            _fixed("1"),
        ),
        (
            rf"(?:on\s+)?(?:every\s+month\s+on\s+|monthly\s+on\s+)?(?:the\s+|every\s+)?(?P<days>{_NUMBERED})"
            rf"(?:\s+{_OF_MONTH})?{AT}",
            _month_days,
        ),
        (rf"(?:(?:every|each)\s+month|monthly|once a month|(?:the\s+)?first day\s+{_OF_MONTH}){AT}", _fixed("1")),
        (rf"(?:quarterly|every\s+quarter|each\s+quarter|once a quarter){AT}", _fixed("1", _QUARTERS)),
        (rf"(?:yearly|annually|every\s+year|once a year){AT}", _fixed("1", "1")),
        (rf"(?:weekly|once a week)\s+(?:on\s+)?(?P<days>{DAY_LIST})(?P<part>\b){AT}", _on_weekdays),
        (rf"(?:weekly|once a week){AT}", _fixed(on="mon")),
        (rf"(?:{_EVERY}\s+)?(?P<days>{DAY_LIST})(?:\s+(?P<part>mornings?|afternoons?|evenings?|nights?))?{AT}", _on_weekdays),
        (rf"(?:every\s+day\s+|daily\s+)?(?:at\s+)?(?P<at>{CLOCKS})", _fixed()),
    )
)  # fmt: skip
