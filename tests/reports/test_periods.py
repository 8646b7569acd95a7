from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from reports import periods

ZONES = [
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Africa/Cairo",
    "America/Havana",
    "Asia/Kathmandu",
    "UTC",
    "Pacific/Auckland",
]
STEPS = {"yesterday": 1, "last_week": 7}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ("yesterday", "18 November 2026, Europe/Berlin"),
        ("last_week", "9 to 15 November 2026, Europe/Berlin"),
        ("last_month", "1 to 31 October 2026, Europe/Berlin"),
        ("month_to_date", "1 to 18 November 2026, Europe/Berlin"),
        ("last_n_days", "20 October to 18 November 2026, Europe/Berlin"),
    ],
)
def test_it_says_the_window_in_words(period: str, words: str) -> None:
    assert periods.resolve(period, at("2026-11-19T09:00+01:00"), "Europe/Berlin", 30).words == words


def test_words_over_the_turn_of_the_year_name_both_years() -> None:
    window = periods.resolve("last_week", at("2027-01-05T09:00+00:00"), "UTC")
    assert window.words == "28 December 2026 to 3 January 2027, UTC"


def test_on_the_first_of_the_month_there_is_no_day_yet() -> None:
    window = periods.resolve("month_to_date", at("2026-11-01T09:00+00:00"), "UTC")
    assert window.start == window.end
    assert window.words == "no day yet (from 1 November 2026), UTC"


def test_the_day_is_that_of_the_reports_zone() -> None:
    due = at("2026-11-19T23:30+00:00")
    assert periods.resolve("yesterday", due, "Asia/Tokyo").first.isoformat() == "2026-11-19"
    assert periods.resolve("yesterday", due, "America/New_York").first.isoformat() == "2026-11-18"


@pytest.mark.parametrize(
    ("due", "hours"), [("2026-03-30T08:00+02:00", 23), ("2026-10-26T08:00+01:00", 25), ("2026-10-27T08:00+01:00", 24)]
)
def test_it_handles_dst_transition(due: str, hours: int) -> None:
    window = periods.resolve("yesterday", at(due), "Europe/Berlin")
    assert window.end - window.start == timedelta(hours=hours)


def test_a_midnight_that_clocks_jump_over_starts_at_the_jump() -> None:
    # Cairo goes from 23:59:59 on 23 April 2026 to 01:00 on the 24th.
    window = periods.resolve("yesterday", at("2026-04-25T08:00+00:00"), "Africa/Cairo")
    assert window.start == datetime(2026, 4, 23, 22, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", ["yesterday", "last_week", "last_month"])
def test_consecutive_windows_tile(period: str, zone: str) -> None:
    chance = random.Random(f"{period}{zone}")
    for _ in range(60):
        due = datetime(2000, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=chance.randrange(0, 40 * 525_600))
        window = periods.resolve(period, due, zone)
        local = due.astimezone(ZoneInfo(zone))
        if period == "last_month":
            later = (local.replace(day=1, hour=12) + timedelta(days=32)).replace(day=1)
        else:
            later = local.replace(hour=12) + timedelta(days=STEPS[period])
        following = periods.resolve(period, later, zone)
        assert window.end == following.start
        assert window.start < window.end <= due
        days = list(window.days)
        assert days[0] == window.first and days[-1] + timedelta(days=1) == window.beyond


@pytest.mark.parametrize(("period", "last_n"), [("whenever", None), ("last_n_days", None), ("last_n_days", 0)])
def test_it_refuses_what_it_cannot_resolve(period: str, last_n: int | None) -> None:
    with pytest.raises(ValueError, match=r"period|days"):
        periods.resolve(period, at("2026-11-19T09:00+00:00"), "UTC", last_n)
