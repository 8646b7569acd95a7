"""What patterns mean, what is refused and how, and the words for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schedules import cron

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


def upcoming(expression: str, after: str, count: int, zone: str = "UTC") -> list[str]:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    return [f"{moment:%Y-%m-%d %H:%M}" for moment in cron.parse(expression, zone).upcoming(start, count)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 9 1 * 1", ["2027-02-01 09:00", "2027-03-01 09:00"]),  # day AND weekday
        ("0 9 13 * 5", ["2027-08-13 09:00", "2028-10-13 09:00"]),
        ("0 9 1-7 * 1", ["2026-12-07 09:00", "2027-01-04 09:00"]),
        ("0 9 * * 7", ["2026-11-22 09:00", "2026-11-29 09:00"]),  # Sunday is 0 or 7
        ("0 9 * * 0", ["2026-11-22 09:00", "2026-11-29 09:00"]),
        ("0 9 * * 5-7", ["2026-11-21 09:00", "2026-11-22 09:00"]),
        ("0 9 * * fri-mon", ["2026-11-21 09:00", "2026-11-22 09:00"]),
        ("0 9 * * Monday", ["2026-11-23 09:00", "2026-11-30 09:00"]),
        ("7-7 9 * * *", ["2026-11-21 09:07", "2026-11-22 09:07"]),  # croniter alone reads every minute
        ("0 7-7 * * *", ["2026-11-21 07:00", "2026-11-22 07:00"]),
        ("0 22-1 * * *", ["2026-11-21 22:00", "2026-11-21 23:00"]),
        ("5/25 9 * * *", ["2026-11-21 09:05", "2026-11-21 09:30"]),
        ("0 0 L * *", ["2026-11-30 00:00", "2026-12-31 00:00"]),
        ("0 0 L 2 *", ["2027-02-28 00:00", "2028-02-29 00:00"]),
        ("0 0 15,L * *", ["2026-11-30 00:00", "2026-12-15 00:00"]),
        ("0 9 * * 5L", ["2026-11-27 09:00", "2026-12-25 09:00"]),
        ("0 9 * * L5", ["2026-11-27 09:00", "2026-12-25 09:00"]),
        ("0 9 * * fri#2", ["2026-12-11 09:00", "2027-01-08 09:00"]),
        ("0 9 * * 1#1,3", ["2026-11-25 09:00", "2026-12-02 09:00"]),  # croniter alone refuses the mix
        ("0 9 29 2 *", ["2028-02-29 09:00", "2032-02-29 09:00"]),
        ("0 9 29 2 1", ["2044-02-29 09:00", "2072-02-29 09:00"]),
        ("@weekly", ["2026-11-22 00:00", "2026-11-29 00:00"]),
        ("0 0 31 * *", ["2026-12-31 00:00", "2027-01-31 00:00"]),
    ],
)
def test_it_means(expression: str, expected: list[str]) -> None:
    assert upcoming(expression, "2026-11-21T04:00", 2) == expected


@pytest.mark.parametrize(
    ("expression", "field", "says"),
    [
        ("", "expression", "five parts"),
        ("0 9 * *", "expression", "4 parts instead of five"),
        ("0 0 9 * * *", "expression", "Seconds are not used"),
        ("60 9 * * *", "minute", "not between 0 and 59"),
        ("0 24 * * *", "hour", "not between 0 and 23"),
        ("0 9 0 * *", "day of the month", "not between 1 and 31"),
        ("0 9 * 13 *", "month", "not between 1 and 12"),
        ("0 9 * * 8", "weekday", "not between 0 and 7"),
        ("0 9 * * funday", "weekday", "cannot be read"),
        ("*/0 * * * *", "minute", "not a step"),
        ("1,,2 * * * *", "minute", "something is missing"),
        ("0 9 1- * *", "day of the month", "something is missing"),
        ("0 9 15W * *", "day of the month", "not used"),
        ("0 9 ? * 1", "day of the month", "write * for every day"),
        ("0 9 * * L", "weekday", "5L is the last Friday"),
        ("0 9 * * 1#6", "weekday", "#1 to #5"),
        ("٣ 9 * * *", "minute", "cannot be read"),
        ("-1 9 * * *", "minute", "something is missing"),
        ("@reboot", "expression", "not known"),
        ("0 9 30 2 *", "day of the month", "there is no 30 February"),
        ("0 9 31 4,6 *", "day of the month", "never run"),
        ("0 9 31 * 1#1", "day of the month", "never run"),
        ("0 9 30 2 1", "day of the month", "never run"),
        ("* " * 400, "expression", "longer"),
    ],
)
def test_it_refuses_in_words_and_names_the_field(expression: str, field: str, says: str) -> None:
    with pytest.raises(cron.CronError) as refusal:
        cron.parse(expression, "UTC")
    assert says in str(refusal.value)
    assert refusal.value.field == field


@pytest.mark.parametrize("zone", ["Mars/Base", "", "Europe/", "../etc/passwd", "Europe/Berlin\0"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(cron.CronError, match="not a time zone"):
        cron.parse("0 9 * * *", zone)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # Fixed times: in the gap at the first valid instant after it, in the doubled hour the first time only.
        ("30 2 * * *", "America/New_York", "2026-03-08T00:00", ["2026-03-08 07:00", "2026-03-09 06:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["2026-03-29 01:00", "2026-03-30 00:30"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["2026-10-03 15:30", "2026-10-04 15:15"]),
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", ["2026-04-23 22:00", "2026-04-24 21:00"]),
        ("30 1 * * *", "America/New_York", "2026-11-01T00:00", ["2026-11-01 05:30", "2026-11-02 06:30"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", ["2026-04-04 14:45", "2026-04-05 15:15"]),
        ("0 2,3 * * *", "America/New_York", "2026-03-08T00:00", ["2026-03-08 07:00", "2026-03-09 06:00"]),
        ("0 0 * * *", "Pacific/Apia", "2011-12-29T00:00", ["2011-12-29 10:00", "2011-12-30 10:00"]),
        ("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00", ["2011-12-29 22:00", "2011-12-30 10:00"]),
        ("30 1 * * *", "Antarctica/Troll", "2026-03-29T00:00", ["2026-03-29 01:00", "2026-03-29 23:30"]),
        ("0 9 * * *", "America/New_York", "2026-03-07T15:00", ["2026-03-08 13:00", "2026-03-09 13:00"]),
        # Patterns that begin with * keep their spacing.
        ("*/30 * * * *", "America/New_York", "2026-11-01T05:00", ["2026-11-01 05:30", "2026-11-01 06:00"]),
        ("0 * * * *", "America/New_York", "2026-11-01T05:00", ["2026-11-01 06:00", "2026-11-01 07:00"]),
        ("0 * * * *", "America/New_York", "2026-03-08T06:00", ["2026-03-08 07:00", "2026-03-08 08:00"]),
        ("*/15 2 * * *", "America/New_York", "2026-03-08T00:00", ["2026-03-09 06:00", "2026-03-09 06:15"]),
    ],
)
def test_clock_changes(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert upcoming(expression, after, 2, zone) == expected


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 9 * * 1", "Every Monday at 09:00"),
        ("0 9 * * 1-5", "Every weekday (Monday to Friday) at 09:00"),
        ("*/15 8-17 * * 1-5", "Every 15 minutes from 08:00 to 17:45, every weekday (Monday to Friday)"),
        ("0 12 L * *", "On the last day of every month at 12:00"),
        ("30 7 * * 1#1", "On the first Monday of every month at 07:30"),
        ("0 9 1 * 1", "On the 1st of every month, but only if it is a Monday, at 09:00"),
        ("*/7 * * * *", "Every hour at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56"),
        ("0 18 24 12 *", "Every year on 24 December at 18:00"),
        ("0 8,20 * * *", "Every day at 08:00 and 20:00"),
        ("* * * * *", "Every minute"),
        ("0 * * * *", "Every hour, on the hour"),
        ("0 9 * jan-mar *", "Every day in January to March at 09:00"),
    ],
)
def test_it_says_so_in_words(expression: str, words: str) -> None:
    assert cron.parse(expression, "UTC").describe() == words


def test_one_spec_is_parsed_once() -> None:
    assert cron.parse("1 2 3 4 *", "UTC") is cron.parse("1 2 3 4 *", "UTC")


def test_between_is_half_open_and_limited() -> None:
    spec = cron.parse("0 * * * *", "UTC")
    nine = datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert spec.between(nine, nine + timedelta(hours=2), 10) == [nine + timedelta(hours=1), nine + timedelta(hours=2)]
    assert spec.between(nine, nine + timedelta(hours=9), 3) == [nine + timedelta(hours=n) for n in (1, 2, 3)]


@pytest.mark.parametrize("expression", ["0 9 * * 7", "0 22-1 * jan fri-mon", "*/7 3 1,15 * *", "0 0 * * *"])
def test_what_celery_can_say_is_said_exactly(expression: str) -> None:
    from celery.schedules import crontab

    values, is_exact = cron.parse(expression, "UTC").celery_fields()
    assert is_exact
    stock: Any = crontab(**values)
    spec = cron.parse(expression, "UTC")
    assert stock.minute == set(spec.fields.minutes) and stock.hour == set(spec.fields.hours)
    assert stock.day_of_week == set(spec.fields.weekdays if spec.fields.weekdays is not None else range(7))


def test_what_celery_cannot_say_is_marked() -> None:
    assert cron.parse("0 9 L * *", "UTC").celery_fields()[1] is False
    assert cron.parse("0 9 * * 1#1", "UTC").celery_fields()[1] is False


def test_the_zone_rules_are_those_of_the_pinned_package() -> None:
    import importlib.resources
    import zoneinfo

    assert zoneinfo.TZPATH == ()
    pinned = importlib.resources.files("tzdata.zoneinfo.Europe").joinpath("Berlin").read_bytes()
    with importlib.resources.files("tzdata").joinpath("zones").open() as names:
        assert zoneinfo.available_timezones() == {name.strip() for name in names}
    assert pinned.startswith(b"TZif")
