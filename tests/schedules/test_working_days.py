"""Holidays by country and days of one's own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from schedules import cron
from schedules.timing import CronTiming, IntervalTiming, MovingTiming, OnceTiming
from schedules.working_days import CalendarError, WorkingDays, countries, read_own_days, region, working_days


def test_own_days_are_read_line_by_line() -> None:
    days = working_days("", "", "2026-12-24 Christmas Eve\n\n# a comment\n08-15  Town feast # every year\n02-29")
    assert days.holiday(date(2026, 12, 24)) == "Christmas Eve"
    assert days.holiday(date(2027, 12, 24)) == ""
    assert days.holiday(date(2031, 8, 15)) == "Town feast"
    assert days.holiday(date(2028, 2, 29)) == "own day off"


@pytest.mark.parametrize("line", ["tomorrow", "2026-02-30", "13-01", "2025-02-29", "12/24", "2026-12-24-1"])
def test_a_line_that_is_no_date_is_named(line: str) -> None:
    with pytest.raises(CalendarError, match=r"Line 2 .* is no date\. Write 2026-12-24"):
        read_own_days(f"12-24\n{line}")


def test_country_and_region() -> None:
    epiphany = date(2027, 1, 6)
    assert working_days("DE", "BY", "").holiday(epiphany) == "Epiphany"
    assert working_days("DE", "BE", "").holiday(epiphany) == ""
    with pytest.raises(CalendarError, match="no country or region"):
        working_days("DE", "XX", "")
    with pytest.raises(CalendarError, match="no country or region"):
        working_days("ZZ", "", "")
    assert countries()["DE"] == "Germany" and countries()["US"] == "United States"
    assert (region("DE", "Bayern"), region("DE", " by "), region("DE", "")) == ("BY", "BY", "")
    with pytest.raises(CalendarError, match=r"no region of Germany\. There are: BB, "):
        region("DE", "Texas")


def test_every_country_offered_can_be_read() -> None:
    for code in countries():
        working_days(code, "", "").next_working_day(date(2026, 12, 24))


def test_weekends_are_the_countrys_own() -> None:
    friday = date(2026, 11, 20)
    assert working_days("", "", "").is_working_day(friday)
    assert not working_days("IR", "", "").is_working_day(friday)


def test_the_next_working_day_skips_weekends_and_holidays() -> None:
    days = working_days("DE", "", "")
    assert days.next_working_day(date(2026, 12, 25)) == date(2026, 12, 28)
    assert days.streak_start(date(2026, 12, 28)) == date(2026, 12, 25)
    assert days.streak_start(date(2026, 12, 23)) == date(2026, 12, 23)


def test_a_calendar_without_any_working_day_is_refused() -> None:
    never = "\n".join(f"{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29))
    days = working_days(
        "", "", never + "\n" + "\n".join(f"{m:02}-{d}" for m in (1, 3, 5, 7, 8, 10, 12) for d in (29, 30, 31))
    )
    with pytest.raises(CalendarError, match="no working day"):
        days.next_working_day(date(2026, 7, 1))


TIMINGS = [
    CronTiming(cron.parse("0 9 * * fri", "Europe/Berlin")),
    CronTiming(cron.parse("30 2 * * *", "Europe/Berlin")),
    CronTiming(cron.parse("0 */6 25 12 *", "Europe/Berlin")),
    CronTiming(cron.parse("0 9 L * *", "Asia/Kathmandu")),
    IntervalTiming(datetime(2026, 11, 20, 17, 55, tzinfo=UTC), timedelta(hours=31)),
    OnceTiming(datetime(2026, 12, 25, 9, tzinfo=UTC), "Europe/Berlin"),
]


@pytest.mark.parametrize("plain", TIMINGS)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Apia"])
def test_moved_times_are_the_same_whichever_way_one_asks(plain, zone: str) -> None:  # type: ignore[no-untyped-def]
    """Against a plain computation over the whole stretch at once, from every starting point."""
    days = working_days("DE", "BY", "12-24\n12-31\n03-29\n03-30")
    timing = MovingTiming(plain, zone, days)
    start, end = datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 4, 15, tzinfo=UTC)
    expected = _by_hand(plain, zone, days, start - timedelta(days=30), end)
    expected = [moment for moment in expected if moment > start]
    assert timing.between(start, end, 100_000) == expected
    for after in [start, *expected[:: max(1, len(expected) // 60)]]:
        later = [moment for moment in expected if moment > after]
        assert timing.between(after, end, 3) == later[:3]
        if len(later) >= 5:
            assert timing.upcoming(after, 5) == later[:5]
            assert timing.upcoming(after, 1) == later[:1]


def _by_hand(plain, zone: str, days: WorkingDays, start: datetime, end: datetime) -> list[datetime]:  # type: ignore[no-untyped-def]
    from zoneinfo import ZoneInfo

    found = set()
    for due in plain.between(start, end, 100_000):
        found.add(due)
        if days.holiday(due.astimezone(ZoneInfo(zone)).date()):
            found.add(MovingTiming.moved(due, ZoneInfo(zone), days))
    return sorted(moment for moment in found if moment <= end)
