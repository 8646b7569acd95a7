"""The simple modes: each says a pattern, the pattern says the mode back, and both fall due at the same times."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules import cron, simple_modes
from schedules.simple_modes import SimpleMode
from tests.schedules.test_cron_oracle import FAST, Pattern, patterns

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


@st.composite
def times(draw: st.DrawFn) -> tuple[time, ...]:
    """Times that a pattern can say: each of some minutes in each of some hours."""
    minutes = draw(st.sets(st.integers(0, 59), min_size=1, max_size=3))
    hours = draw(st.sets(st.integers(0, 23), min_size=1, max_size=8))
    return tuple(sorted(time(hour, minute) for hour in hours for minute in minutes))


daily = st.builds(SimpleMode, st.just("daily"), times())
weekly = st.builds(
    SimpleMode, st.just("weekly"), times(), weekdays=st.frozensets(st.integers(0, 6), min_size=1, max_size=6)
)
monthly = st.one_of(
    st.builds(SimpleMode, st.just("monthly"), times(), month_on=st.just("day"), month_day=st.integers(1, 31)),
    st.builds(SimpleMode, st.just("monthly"), times(), month_on=st.just("last")),
    st.builds(
        SimpleMode, st.just("monthly"), times(), month_on=st.just("nth"),
        month_nth=st.sampled_from([1, 2, 3, 4, 5, -1]), month_weekday=st.integers(0, 6),
    ),
)  # fmt: skip


def runs_on(simple: SimpleMode, moment: datetime) -> bool:
    """What the mode promises, by the calendar alone."""
    if simple.mode == "weekly":
        return moment.isoweekday() % 7 in simple.weekdays
    if simple.mode == "monthly":
        next_month = (moment.replace(day=28) + timedelta(days=4)).replace(day=1)
        last = (next_month - timedelta(days=1)).day
        if simple.month_on == "day":
            return moment.day == simple.month_day
        if simple.month_on == "last":
            return moment.day == last
        is_weekday = moment.isoweekday() % 7 == simple.month_weekday
        if simple.month_nth == simple_modes.LAST:
            return is_weekday and moment.day > last - 7
        return is_weekday and (moment.day - 1) // 7 + 1 == simple.month_nth
    return True


@settings(deadline=None, max_examples=150)
@given(simple=st.one_of(daily, weekly, monthly))
def test_a_mode_says_a_pattern_that_says_it_back_and_falls_due_as_promised(simple: SimpleMode) -> None:
    pattern = simple_modes.write(simple)
    assert simple_modes.find(pattern) == simple
    spec = cron.parse(pattern, "UTC")
    assert all(f"{moment:%H:%M}" in spec.describe() for moment in simple.times[:1]) or len(simple.times) > 6
    due_times = spec.upcoming(NOW, 12)
    for due in due_times:
        assert runs_on(simple, due) and due.time() in simple.times, pattern
    day, expected = NOW, []
    while day.date() <= due_times[0].date():  # and nothing is left out before the first
        expected += [
            moment
            for at in simple.times
            if runs_on(simple, day) and (moment := datetime.combine(day.date(), at, UTC)) > NOW
        ]
        day += timedelta(days=1)
    assert expected[0] == due_times[0]


@FAST
@given(pattern=patterns())
def test_any_pattern_that_opens_in_a_simple_mode_keeps_its_times_through_clock_changes(pattern: Pattern) -> None:
    simple = simple_modes.find(pattern.text)
    if simple is None:
        return
    for zone in ("Europe/Berlin", "Australia/Lord_Howe"):
        before = cron.parse(pattern.text, zone).upcoming(NOW, 20)
        assert cron.parse(simple_modes.write(simple), zone).upcoming(NOW, 20) == before


@pytest.mark.parametrize(
    "pattern",
    [
        "*/15 * * * *", "0 * * * *", "0 9 13 * 5", "0 9 1,15 * *", "0 9 L,1 * *", "0 9 * 1-6 *", "0 9 * * 1,5#2",
        "0 9 * * 1#1,1#3", "*/59 9 * * *", "0,5,10,15,20 8-18 * * *", "nonsense", "",
    ],
)  # fmt: skip
def test_what_no_simple_mode_says_opens_as_a_pattern(pattern: str) -> None:
    assert simple_modes.find(pattern) is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("9", "09:00"), ("17:30, 8.30", "08:30, 17:30"), ("9am and 5pm", "09:00, 17:00"), ("noon", "12:00"),
        (" 08:00;08:30 ", "08:00, 08:30"), ("9, 9:00", "09:00"),
    ],
)  # fmt: skip
def test_times_are_read_as_people_write_them(text: str, read: str) -> None:
    assert simple_modes.times_text(simple_modes.read_times(text)) == read


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Write at what time"), ("25:00", "“25:00” is no time"), ("9:60", "no time"), ("soon", "“soon”"),
        ("8:00, 20:30", "must share their minutes"), (",".join(f"{h}:{m:02}" for h in range(9) for m in (0, 1, 2)), "at most 24"),
    ],
)  # fmt: skip
def test_times_that_no_pattern_says_are_explained(text: str, says: str) -> None:
    with pytest.raises(simple_modes.SimpleModeError, match=says):
        simple_modes.read_times(text)
