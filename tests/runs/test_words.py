"""How moments, dates and spans are said to a reader, on their own clock and in their own language of dates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from runs import alerts, words
from runs.models import Alert

BERLIN = ZoneInfo("Europe/Berlin")
FRIDAY_EVENING = datetime(2026, 11, 20, 17, 55, tzinfo=BERLIN)


@pytest.fixture(autouse=True)
def in_berlin() -> Iterator[None]:
    with timezone.override("Europe/Berlin"):
        yield


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (FRIDAY_EVENING + timedelta(milliseconds=500), "now"),
        (FRIDAY_EVENING + timedelta(seconds=59), "in 59 seconds"),
        (FRIDAY_EVENING - timedelta(seconds=100), "1 minute ago"),
        (FRIDAY_EVENING + timedelta(minutes=59, seconds=59), "in 59 minutes"),
        (FRIDAY_EVENING + timedelta(hours=1, minutes=59), "in 1 hour 59 minutes"),
        (FRIDAY_EVENING - timedelta(hours=9), "9 hours ago"),
        (datetime(2026, 11, 20, 0, 5, tzinfo=BERLIN), "17 hours ago"),
        (datetime(2026, 11, 20, 23, 59, tzinfo=BERLIN), "in 6 hours 4 minutes"),
        (datetime(2026, 11, 21, 0, 30, tzinfo=BERLIN), "tomorrow"),
        (datetime(2026, 11, 21, 23, 59, tzinfo=BERLIN), "tomorrow"),
        (datetime(2026, 11, 22, 11, 55, tzinfo=BERLIN), "in 2 days"),  # 42 hours
        (datetime(2026, 11, 23, 9, 0, tzinfo=BERLIN), "in 3 days"),
        (datetime(2026, 11, 19, 23, 59, tzinfo=BERLIN), "yesterday"),
        (datetime(2026, 11, 19, 0, 0, tzinfo=BERLIN), "yesterday"),
        (datetime(2026, 11, 18, 23, 59, tzinfo=BERLIN), "2 days ago"),
        (datetime(2024, 2, 25, 12, 0, tzinfo=BERLIN), "999 days ago"),
    ],
)
def test_a_moment_is_said_by_the_clock_when_near_and_by_the_calendar_when_not(moment: datetime, said: str) -> None:
    assert words.relative(moment, FRIDAY_EVENING) == said


def test_minutes_around_midnight_stay_minutes() -> None:
    late = datetime(2026, 11, 20, 23, 50, tzinfo=BERLIN)
    assert words.relative(late + timedelta(minutes=40), late) == "in 40 minutes"
    assert words.relative(late, late + timedelta(minutes=40)) == "40 minutes ago"


def test_tomorrow_is_the_readers_tomorrow() -> None:
    now, moment = datetime(2026, 11, 20, 16, 0, tzinfo=UTC), datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
    assert words.relative(moment, now) == "tomorrow"
    with timezone.override("America/New_York"):  # 11:00 and 19:30 of one day
        assert words.relative(moment, now) == "in 8 hours 30 minutes"
    with timezone.override("Pacific/Kiritimati"):  # 06:00 and 14:30 of the next
        assert words.relative(moment, now) == "in 8 hours 30 minutes"


@pytest.mark.parametrize("noon", [datetime(2027, 3, 27, 12, tzinfo=BERLIN), datetime(2026, 10, 24, 12, tzinfo=BERLIN)])
def test_a_day_of_23_or_25_hours_is_one_day(noon: datetime) -> None:
    after = noon + timedelta(days=1)  # wall clock: noon again, on the day that clocks change
    assert after.astimezone(UTC) - noon.astimezone(UTC) != timedelta(days=1)
    assert words.relative(after, noon) == "tomorrow"
    assert words.relative(after + timedelta(days=1), noon) == "in 2 days"
    assert words.relative(noon, after) == "yesterday"


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(milliseconds=900), "under a second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(seconds=60), "1 minute"),
        (timedelta(seconds=119), "1 minute 59 seconds"),
        (timedelta(minutes=10, seconds=59), "10 minutes"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(hours=2, seconds=59), "2 hours"),
        (timedelta(hours=42), "1 day 18 hours"),
        (timedelta(days=12, hours=23), "12 days"),
        (timedelta(days=1000), "1,000 days"),
    ],
)
def test_a_span_is_never_short_of_the_truth_by_a_tenth(span: timedelta, said: str) -> None:
    assert words.duration(span) == said


def test_a_moment_names_its_clock_even_where_that_has_no_letters() -> None:
    moment = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert words.here(moment) == "Fri 20 Nov 2026, 13:00 CET"
    assert words.here(moment, seconds=True) == "Fri 20 Nov 2026, 13:00:00 CET"
    assert words.local(moment, "America/Sao_Paulo") == "Fri 20 Nov 2026, 09:00 UTC-03"


def test_another_clock_is_named_only_where_it_shows_something_else() -> None:
    moment = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert words.own_clock(moment, "Europe/Paris") == ""
    assert words.own_clock(moment, "America/New_York") == "Fri 20 Nov, 18:30 EST"
    assert words.own_clock(moment, "Asia/Tokyo") == "08:30 JST"
    assert words.both_clocks(moment, "Europe/Paris") == "Sat 21 Nov 2026, 00:30 CET"
    assert words.both_clocks(moment, "Europe/London") == "Fri 20 Nov 2026, 23:30 GMT (Sat 21 Nov, 00:30 CET for you)"
    assert words.both_clocks(moment, "Asia/Tokyo") == "Sat 21 Nov 2026, 08:30 JST (00:30 CET for you)"


def test_a_time_near_another_says_its_day_only_where_that_differs() -> None:
    due = datetime(2026, 11, 20, 22, 59, tzinfo=UTC)
    assert words.here_near(due + timedelta(seconds=5), due) == "23:59:05 CET"
    assert words.here_near(due + timedelta(minutes=2), due) == "Sat 21 Nov, 00:01:00 CET"
    assert words.here_near(due, due, names_clock=False) == "23:59:00"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("", ["Tue 3 Mar 2026", "Tue 3 Mar", "Tuesday 3 March", "Tuesday 3 March 2026", "March 2026", "Tuesday"]),
        ("de", ["Di 3. März 2026", "Di 3. Mär", "Dienstag 3. März", "Dienstag 3. März 2026", "März 2026", "Dienstag"]),
        ("en", ["Tue March 3, 2026", "Tue Mar 3", "Tuesday March 3", "Tuesday March 3, 2026", "March 2026", "Tuesday"]),
        ("ka", ["სამშაბათი, 3 მარტი, 2026", "სამ 3 მარ", "სამშაბათი 3 მარტი", "სამშაბათი, 3 მარტი, 2026", "მარტი, 2026", "სამშაბათი"]),
    ],
)  # fmt: skip
def test_dates_are_said_in_the_readers_language(language: str, said: list[str]) -> None:
    day = date(2026, 3, 3)
    ways = (words.day, words.short_day, words.full_day, words.full_date, words.month, words.weekday)
    with words.dates_in(language):
        assert [way(day) for way in ways] == said


def test_a_stretch_of_days_is_said_without_saying_anything_twice() -> None:
    assert words.days(date(2026, 11, 16), date(2026, 11, 22)) == "16 to 22 November 2026"
    assert words.days(date(2026, 11, 30), date(2026, 12, 6)) == "30 November to 6 December 2026"
    assert words.days(date(2026, 12, 28), date(2027, 1, 3)) == "28 December 2026 to 3 January 2027"
    with words.dates_in("de"):
        assert words.days(date(2026, 11, 16), date(2026, 11, 22)) == "16. November – 22. November 2026"
        assert words.days(date(2026, 12, 28), date(2027, 1, 3)) == "28. Dezember 2026 – 3. Januar 2027"


def test_a_mail_about_a_problem_names_when_it_began_and_ended_on_the_installations_clock() -> None:
    began = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    alert = Alert(key="x", title="The mail server does not answer", first_seen_at=began)
    assert "does not answer\n  Since Fri 20 Nov 2026, 23:30 UTC." in alerts.body([alert])
    alert.resolved_at = began + timedelta(minutes=45)
    assert "From Fri 20 Nov 2026, 23:30 UTC to Sat 21 Nov 2026, 00:15 UTC." in alerts.body([alert])
