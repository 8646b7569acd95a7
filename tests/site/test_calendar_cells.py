"""Counting by days gives what the evaluator gives due time by due time; very many schedules cost a bounded time."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from runs import clock
from scheduler_site import calendar_coming, calendar_days
from scheduler_site.calendar_cells import Cells
from schedules import cron
from schedules.models import DeskPause
from schedules.timing import CronTiming, IntervalTiming, OnceTiming, Timing
from tests.site.many_rows import schedules

ZONES = ("Europe/Berlin", "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham")
PATTERNS = (
    "0 9 * * 1", "*/5 * * * *", "30 2 * * *", "15,45 1-3 * * *", "0 0 L * *", "59 23 29 2 *", "7 */3 * * 6#2",
    "0 2 * * 0", "*/20 2 * * *",
)  # fmt: skip
WEEKS = (date(2026, 3, 25), date(2026, 10, 21), date(2026, 11, 4), date(2026, 4, 2), date(2024, 2, 27))


def timings(zone: str) -> st.SearchStrategy[Timing]:
    anchor = datetime(2026, 3, 1, 0, 0, 7, 5, tzinfo=UTC)
    return st.one_of(
        st.sampled_from(PATTERNS).map(lambda pattern: CronTiming(cron.parse(pattern, zone))),
        st.integers(60, 100_000).map(lambda seconds: IntervalTiming(anchor, timedelta(seconds=seconds))),
        st.integers(0, 400 * 86400).map(lambda seconds: OnceTiming(anchor + timedelta(seconds=seconds), zone)),
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_cells_hold_what_the_evaluator_says(data: Any) -> None:
    """Also in weeks in which the clocks change, in zones half an hour apart, and for a part of the stretch."""
    timing = data.draw(st.sampled_from(ZONES).flatmap(timings))
    reader, start = ZoneInfo(data.draw(st.sampled_from(ZONES))), data.draw(st.sampled_from(WEEKS))
    days = calendar_days.week_days(start)
    edges = data.draw(st.sampled_from([calendar_days.hour_edges, calendar_days.day_edges]))(days, reader)
    since = edges[0] + timedelta(minutes=data.draw(st.integers(-1000, 8000)))
    until = since + timedelta(minutes=data.draw(st.integers(0, 12_000)))
    inside = max(since, edges[0]), min(until, edges[-1])
    due = timing.between(inside[0] - timedelta(microseconds=1), inside[1] - timedelta(microseconds=1), 100_000)
    by_evaluator = Counter(bisect_right(edges, moment) - 1 for moment in due) if inside[0] < inside[1] else Counter()
    assert Cells(edges).count(timing, since, until) == by_evaluator


@pytest.mark.django_db
def test_of_very_many_the_soonest_are_counted_while_somebody_waits_and_all_of_them_on_request(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    User.objects.create_user("owner")
    schedules(range(1500))
    assert not DeskPause.objects.exists()
    monkeypatch.setattr(calendar_coming, "BUDGET_SECONDS", 0.0)
    day = (clock.now() + timedelta(days=40)).date()
    url = f"/admin/calendar/week/{day.year}/{day.month}/{day.day}/"
    shown = client.get(url)
    ahead = shown.context["ahead"]
    assert ahead.is_partial and ahead.counted < ahead.of == 1500
    text = shown.content.decode()
    assert f"{ahead.counted:,} of 1,500 schedules are counted here" in text and 'href="?count=all"' in text
    whole = client.get(url, {"count": "all"}).context["ahead"]
    assert not whole.is_partial and whole.counted == 1500
    assert sum(load.expected for load in whole.loads) == 1200 * 7, "each runs once a day"
    assert sum(load.left_out for load in whole.loads) == 300 * 7, "every fifth is paused"
