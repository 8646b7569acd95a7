"""What the words say against what the pattern does: a reader of the sentences that knows nothing of cron."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

from hypothesis import given, settings

from schedules import cron
from tests.schedules.test_cron_oracle import FAST, Pattern, patterns

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
COUNTED = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
YEARS = [date(2024, 1, 1) + timedelta(days=n) for n in range(4 * 365 + 1)]
Days = Callable[[date], bool]
Times = set[tuple[int, int]]
EVERY_HOUR = list(range(24))


def parts(text: str) -> list[str]:
    """ "a, b and c" as a list; "or" is a list as well."""
    return re.split(r", | and | or ", text)


def numbers(text: str, unit: str = "") -> list[int]:
    """ "1, 3 to 5 and 9" as numbers; the unit surrounds each."""
    found: list[int] = []
    for part in parts(text):
        ends = [int(re.sub(r"\D", "", end)) for end in part.split(" to ")]
        found += range(ends[0], ends[-1] + 1)
    return found


def clock(text: str) -> tuple[int, int]:
    hour, minute = text.split(":")
    return int(hour), int(minute)


def read_times(text: str) -> Times:
    """The times of day that the words name."""
    if match := re.fullmatch(r"at ([\d:, and]+)", text):
        return {clock(part) for part in parts(match[1])}
    if match := re.fullmatch(r"at minutes ([\d, and]+) of the hours? ([\d, and to]+)", text):
        return {(hour, minute) for hour in numbers(match[2]) for minute in numbers(match[1])}
    if match := re.fullmatch(r"every (?:(\d+) minutes|minute) of every \S* ?hour \(at ([\d, and to]+)\)", text):
        return {(hour, minute) for hour in numbers(match[2]) for minute in range(0, 60, int(match[1] or 1))}
    if match := re.fullmatch(r"every (?:(\d+) minutes|minute)((?: (?:and )?from \S+ to \S+)*)", text.replace(",", "")):
        step = int(match[1] or 1)
        spans = re.findall(r"from (\S+) to (\S+)", match[2])
        if not spans:
            return {(hour, minute) for hour in EVERY_HOUR for minute in range(0, 60, step)}
        found: Times = set()
        for first, last in spans:
            start, end = (hour * 60 + minute for hour, minute in (clock(first), clock(last)))
            found |= {divmod(minute, 60) for minute in range(start, end + 1, step)}
        return found
    if text == "every hour, on the hour":
        return {(hour, 0) for hour in EVERY_HOUR}
    if match := re.fullmatch(r"every hour at (?:minutes )?([\d, and]+?)(?: minutes? past)?", text):
        return {(hour, minute) for hour in EVERY_HOUR for minute in numbers(match[1])}
    if match := re.fullmatch(r"every (\d+) hours from (\S+)", text):
        first, minute = clock(match[2])
        return {(hour, minute) for hour in range(first, 24, int(match[1]))}
    if spans := re.findall(r"from (\S+) to ([\d:]+)", text):
        assert text.startswith("every hour from ")
        return {(hour, clock(first)[1]) for first, last in spans for hour in range(clock(first)[0], clock(last)[0] + 1)}
    raise AssertionError(f"these words mean nothing: {text}")


def read_months(text: str) -> set[int]:
    if text in ("", "every month"):
        return set(range(1, 13))
    found: set[int] = set()
    for part in parts(text):
        ends = [MONTHS.index(end) + 1 for end in part.split(" to ")]
        found |= set(range(ends[0], ends[-1] + 1))
    return found


def read_weekdays(text: str) -> Days:
    """ "a Monday", "the second Tuesday": any of them."""
    plain: set[int] = set()
    counted: set[tuple[int, int]] = set()
    for part in parts(text):
        word, name = part.split(" ")[-2:]
        day = WEEKDAYS.index(name)
        if word in COUNTED:
            counted.add((day, COUNTED[word]))
        else:
            assert word == "a", part
            plain.add(day)

    def holds(day: date) -> bool:
        weekday = day.isoweekday() % 7
        is_last = (day + timedelta(days=7)).month != day.month
        return weekday in plain or (weekday, (day.day + 6) // 7) in counted or (is_last and (weekday, -1) in counted)

    return holds


def read_day_numbers(text: str) -> Days:
    has_last = "the last day" in text
    rest = ", ".join(part for part in parts(text) if part != "the last day")
    listed = set(numbers(rest)) if rest else set()
    return lambda day: day.day in listed or (has_last and (day + timedelta(days=1)).day == 1)


def read_days(text: str) -> Days:
    """The dates that the words name."""
    text = text.strip()
    months = set(range(1, 13))
    if text in ("", "every day"):
        return lambda day: True
    if match := re.fullmatch(r"every year on ([\d, and]+) (\w+)", text):
        listed, month = numbers(match[1]), MONTHS.index(match[2]) + 1
        return lambda day: day.month == month and day.day in listed
    if match := re.fullmatch(r"(on the .*) of (.*), but only if it is (.*),", text):
        numbered, months, weekday = read_day_numbers(match[1]), read_months(match[2]), read_weekdays(match[3])
        return lambda day: day.month in months and numbered(day) and weekday(day)
    if match := re.fullmatch(r"(every .*?)(?: in (.*))?", text):
        months = read_months(match[2] or "")
        words = match[1].removeprefix("every ")
        if words == "day":
            weekdays = set(range(7))
        elif words == "weekday (Monday to Friday)":
            weekdays = {1, 2, 3, 4, 5}
        else:
            weekdays = {WEEKDAYS.index(part) for part in parts(words)}
        return lambda day: day.month in months and day.isoweekday() % 7 in weekdays
    if match := re.fullmatch(r"on (.*?)(?:,? (?:of|in) (.*))?", text):
        months = read_months(match[2] or "")
        is_numbered = re.search(r"\d|last day", match[1]) is not None
        holds = read_day_numbers(match[1]) if is_numbered else read_weekdays(match[1])
        return lambda day: day.month in months and holds(day)
    raise AssertionError(f"these words mean nothing: {text}")


def read(sentence: str) -> tuple[Times, Days]:
    text = sentence[0].lower() + sentence[1:]
    if match := re.fullmatch(r"((?:every|on) .+?) (at (?:\d\d:\d\d.*|minutes .+ of the hours? .*))", text):
        return read_times(match[2]), read_days(match[1])
    if match := re.fullmatch(
        r"(every hour, on the hour|every (?:\d+ )?(?:minute|hour)s?.*?)(?:, ((?:on|every) .*))?", text
    ):
        return read_times(match[1]), read_days(match[2] or "")
    raise AssertionError(f"these words mean nothing: {sentence}")


@settings(FAST, max_examples=1500)
@given(patterns())
def test_the_words_say_what_it_does(pattern: Pattern) -> None:
    try:
        spec = cron.parse(pattern.text, "UTC")
    except cron.CronError:
        return
    times, days = read(spec.describe())
    assert times == {(hour, minute) for hour in pattern.hours for minute in pattern.minutes}, spec.describe()
    for day in YEARS:
        assert days(day) == cron.matches_date(spec.fields, day), f"{spec.describe()!r} on {day}"
