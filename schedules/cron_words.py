"""Pure: says a cron pattern in plain English, for people who have never heard of cron."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from schedules.cron_fields import Fields

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last"}
MAX_TIMES_LISTED = 6


def describe(fields: Fields) -> str:
    """One sentence without a full stop: which days, then which times."""
    days, times = _days(fields), _times(fields)
    sentence = times
    if times.startswith("at "):
        sentence = f"{days or 'every day'} {times}"
    elif days:
        sentence = f"{times}, {days}"
    return sentence[0].upper() + sentence[1:]


def why_never(fields: Fields) -> str:
    """Why no date matches."""
    if fields.has_weekday and fields.has_day:
        days = _day_numbers(fields).replace(" and ", " or ")
        return f"{days} of {_months(fields) or 'a month'} is never {_weekdays(fields)}"
    if fields.days is not None:
        months = joined([MONTHS[month - 1] for month in sorted(fields.months)], "or")
        return f"there is no {joined([str(day) for day in sorted(fields.days)], 'or')} {months}"
    return f"there is no {_weekdays(fields)} in that month"


def joined(words: Sequence[str], word: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(words) <= 1:
        return "".join(words)
    return f"{', '.join(words[:-1])} {word} {words[-1]}"


def _days(fields: Fields) -> str:
    months = _months(fields)
    if fields.has_day and fields.has_weekday:
        base = f"on {_day_numbers(fields)} of {months or 'every month'}, but only if it is {_weekdays(fields)},"
        return base
    if fields.has_day:
        if months and fields.days is not None and not fields.has_last_day and len(fields.months) == 1:
            return f"every year on {joined([str(day) for day in sorted(fields.days)])} {months}"
        return f"on {_day_numbers(fields)} of {months or 'every month'}"
    if fields.nth_weekdays:
        return f"on {_weekdays(fields)} of {months or 'every month'}" if fields.weekdays is None else (
            f"on {_weekdays(fields)}" + (f", in {months}" if months else " of every month")
        )  # fmt: skip
    if fields.weekdays is not None:
        base = _every_weekday(fields.weekdays)
        return f"{base} in {months}" if months else base
    return f"every day in {months}" if months else ""


def _every_weekday(weekdays: frozenset[int]) -> str:
    if weekdays == {1, 2, 3, 4, 5}:
        return "every weekday (Monday to Friday)"
    if weekdays == {0, 6}:
        return "every Saturday and Sunday"
    return f"every {joined([WEEKDAYS[day] for day in _monday_first(weekdays)])}"


def _monday_first(weekdays: frozenset[int]) -> list[int]:
    return sorted(weekdays, key=lambda day: (day - 1) % 7)


def _weekdays(fields: Fields) -> str:
    words = []
    if fields.weekdays is not None:
        words += [f"a {WEEKDAYS[day]}" for day in _monday_first(fields.weekdays)]
    ordered = sorted(fields.nth_weekdays, key=lambda pair: ((pair[1] - 1) % 7, (pair[0] - 1) % 7))
    words += [f"the {ORDINALS[count]} {WEEKDAYS[day]}" for day, count in ordered]
    return joined(words, "or" if fields.has_day else "and")


def _day_numbers(fields: Fields) -> str:
    words = [f"the {ordinal(day)}" for day in sorted(fields.days or ())]
    if len(words) > 4:
        runs = _runs(sorted(fields.days or ()))
        words = [f"the {ordinal(a)}" if a == b else f"the {ordinal(a)} to the {ordinal(b)}" for a, b in runs]
    if fields.has_last_day:
        words.append("the last day")
    return joined(words)


def ordinal(number: int) -> str:
    """ "1st", "2nd", "3rd", "11th"."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _months(fields: Fields) -> str:
    if len(fields.months) == 12:
        return ""
    runs = _runs(sorted(fields.months))
    words = [MONTHS[a - 1] if a == b else f"{MONTHS[a - 1]} to {MONTHS[b - 1]}" for a, b in runs if b - a != 1]
    words += [MONTHS[month - 1] for a, b in runs if b - a == 1 for month in (a, b)]
    return joined(sorted(words, key=lambda word: MONTHS.index(word.split(" ")[0])))


def _runs(values: Sequence[int]) -> list[tuple[int, int]]:
    """Stretches of consecutive values."""
    runs: list[tuple[int, int]] = []
    for value in values:
        if runs and runs[-1][1] == value - 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    return runs


def _times(fields: Fields) -> str:
    minutes, hours = fields.minutes, fields.hours
    all_hours = len(hours) == 24
    if len(minutes) * len(hours) <= MAX_TIMES_LISTED and not all_hours:
        return f"at {joined([f'{hour:02d}:{minute:02d}' for hour in hours for minute in minutes])}"
    step = _even_step(minutes, 60)
    hour_step = _even_step(hours, 24)
    if step is not None:
        every = "every minute" if step == 1 else f"every {step} minutes"
        if all_hours:
            return every
        if hour_step is not None:
            return f"{every} of every {ordinal_hour(hour_step)} hour (at {_hour_list(hours)})"
        return f"{every} {_hour_ranges(hours, minutes)}"
    if all_hours:
        if minutes == (0,):
            return "every hour, on the hour"
        return f"every hour at {_minute_words(minutes)}"
    if len(minutes) == 1:
        if hour_step is not None:
            past = "" if minutes == (0,) else f" at {_minute_words(minutes)}"
            return f"every {hour_step} hours from {hours[0]:02d}:{minutes[0]:02d}{past and ''}"
        runs = _runs(hours)
        if len(runs) <= 2 and all(b - a >= 2 for a, b in runs):
            spans = joined([f"from {a:02d}:{minutes[0]:02d} to {b:02d}:{minutes[0]:02d}" for a, b in runs])
            return f"every hour {spans}"
        return f"at {joined([f'{hour:02d}:{minutes[0]:02d}' for hour in hours])}"
    return f"at {_minute_words(minutes)} of the hour{'' if len(hours) == 1 else 's'} {_hour_list(hours)}"


def _even_step(values: Sequence[int], size: int) -> int | None:
    """The step of values that divide their field evenly, starting at 0; None when they do not."""
    if len(values) < 2 or values[0] != 0:
        return None
    step = values[1]
    return step if size % step == 0 and list(values) == list(range(0, size, step)) else None


def ordinal_hour(step: int) -> str:
    """ "", "2nd", "3rd"."""
    return ordinal(step)


def _hour_ranges(hours: Sequence[int], minutes: Sequence[int]) -> str:
    spans = [f"from {a:02d}:{minutes[0]:02d} to {b:02d}:{minutes[-1]:02d}" for a, b in _runs(hours)]
    return joined(spans)


def _hour_list(hours: Sequence[int]) -> str:
    return joined([f"{a:02d}" if a == b else f"{a:02d} to {b:02d}" for a, b in _runs(hours)])


def _minute_words(minutes: Sequence[int]) -> str:
    if len(minutes) == 1:
        return "1 minute past" if minutes[0] == 1 else f"{minutes[0]} minutes past"
    return f"minutes {joined([str(minute) for minute in minutes])}"


def long_date(day: date) -> str:
    """ "3 December 2026"."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
