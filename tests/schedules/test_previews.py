"""The live preview: the sentence, the next runs, or what is wrong, for values that are still being typed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schedules import previews, services
from schedules.forms import ScheduleForm
from schedules.models import Schedule
from schedules.timing_form import TimingForm

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


def test_it_shows_the_sentence_and_the_next_runs_in_the_schedules_zone() -> None:
    shown = previews.preview({"mode": "cron", "expression": "0 9 * * 1", "time_zone": "Europe/Berlin"}, NOW)
    assert shown.sentence == "Every Monday at 09:00" and len(shown.times) == previews.COUNT
    assert f"{shown.times[0]:%a %d %H:%M %Z}" == "Mon 23 09:00 CET"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"mode": "cron", "expression": "0 25 * * *"}, "25 is not between 0 and 23"),
        ({"mode": "cron", "expression": "0 0 30 2 *"}, "never run"),
        ({"mode": "once", "once_at": "2020-01-01T10:00"}, "has passed"),
        ({"mode": "once", "once_at": "2026-02-30T10:00"}, "date and time that exist"),
        ({"mode": "interval", "every_amount": "0", "every_unit": "hours"}, "greater than or equal to 1"),
        ({"mode": "cron", "expression": "0 9 * * *", "time_zone": "Mars/Base"}, "not a time zone"),
        ({"words": "banana", "changed": "words"}, "could not read"),
    ],
)
def test_it_says_what_is_wrong(data: dict[str, str], says: str) -> None:
    shown = previews.preview({"time_zone": "UTC", **data}, NOW)
    assert says in shown.error and not shown.times


def test_words_become_field_values() -> None:
    shown = previews.preview({"words": "tomorrow 14:00", "changed": "words", "time_zone": "Europe/Berlin"}, NOW)
    assert shown.reading == {"mode": "once", "once_at": "2026-11-22T14:00"}
    assert previews.preview({"words": "every 90 minutes", "changed": "words"}, NOW).reading == {
        "mode": "interval", "every_amount": "90", "every_unit": "minutes",
    }  # fmt: skip


def test_nothing_typed_is_no_error() -> None:
    assert previews.preview({"mode": "cron", "expression": ""}, NOW) == previews.Preview()


def test_an_existing_interval_is_shown_from_its_own_anchor_and_up_to_its_end() -> None:
    anchor = NOW - timedelta(minutes=10)
    schedule = Schedule(mode=Schedule.Mode.INTERVAL, every_seconds=3600, anchor_at=anchor, time_zone="Europe/Berlin")
    schedule.ends_at = anchor + timedelta(hours=3)

    shown = previews.preview_schedule(schedule, NOW)

    assert shown.times == [anchor + timedelta(hours=n) for n in (1, 2, 3)]
    assert str(shown.times[0].tzinfo) == "Europe/Berlin"


def test_an_existing_schedule_is_shown_no_more_often_than_it_may_still_run() -> None:
    schedule = Schedule(mode=Schedule.Mode.CRON, expression="0 9 * * *", max_runs=5, planned_count=3)

    assert len(previews.preview_schedule(schedule, NOW).times) == 2


def timed(**changes: Any) -> dict[str, Any]:
    """What a browser posts of a weekly schedule, with the given values changed."""
    values = {"mode": "weekly", "weekdays": ["1"], "times": "09:00", "time_zone": "Europe/Berlin", "month_on": "day"}
    return {**values, **changes}


def test_simple_modes_are_said_and_leave_their_pattern_for_whoever_goes_on_by_hand() -> None:
    shown = previews.preview(timed(weekdays=["1", "4"], times="9, 17"), NOW)
    assert (shown.sentence, shown.expression) == ("Every Monday and Thursday at 09:00 and 17:00", "0 9,17 * * 1,4")
    nth = timed(mode="monthly", month_on="nth", month_nth="-1", month_weekday="5", times="18:00")
    assert previews.preview(nth, NOW).sentence == "On the last Friday of every month at 18:00"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "About 4 runs a month"),
        ({"mode": "daily"}, "About 30 runs a month"),
        ({"mode": "monthly", "month_day": "31"}, "About 7 runs a year"),
        ({"mode": "monthly", "month_day": "1"}, "About 1 run a month"),
        ({"mode": "interval", "every_amount": "1", "every_unit": "minutes"}, "About 43,800 runs a month"),
        ({"mode": "cron", "expression": "0 9 29 2 *"}, "Less than once a year"),
        ({"mode": "once", "once_at": "2026-12-24T18:00"}, "One run"),
    ],
)
def test_it_says_how_often_that_is(changes: dict[str, Any], words: str) -> None:
    assert previews.preview(timed(**changes), NOW).how_many == words


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mode": "daily", "times": "02:30"}, "On Sunday 28 March 2027 clocks go forward from 02:00 to 03:00: 02:30 does not exist"),
        ({"mode": "daily", "times": "01:30", "time_zone": "America/New_York"}, ""),
        ({"mode": "daily", "times": "02:30", "time_zone": "America/New_York"}, "14 March 2027"),
        ({"mode": "cron", "expression": "*/30 * * * *"}, "the runs in between are left out that day"),
        ({"mode": "cron", "expression": "0 9 13 * 5"}, "only when both are true"),
        ({"mode": "monthly", "month_day": "31"}, "“The last day” runs every month"),
        ({"mode": "monthly", "month_on": "nth", "month_nth": "5", "month_weekday": "1"}, "no fifth such day"),
        ({"mode": "interval", "every_amount": "2", "every_unit": "weeks"}, "it runs later by the clock"),
        ({"mode": "interval", "every_amount": "90", "every_unit": "minutes"}, ""),
        ({"mode": "once", "once_at": "2027-03-28T02:30"}, "02:30 does not exist on 28 March 2027"),
        ({"mode": "once", "once_at": "2027-10-31T02:30"}, "02:30 comes twice on 31 October 2027"),
        ({}, ""),
    ],
)  # fmt: skip
def test_it_warns_of_what_may_surprise(changes: dict[str, Any], says: str) -> None:
    cautions = previews.preview(timed(**changes), NOW).cautions
    assert [says in sentence for sentence in cautions] == ([True] if says else [])


def test_a_doubled_hour_is_announced_before_it_comes() -> None:
    shown = previews.preview(timed(mode="daily", times="02:30"), datetime(2026, 9, 1, tzinfo=UTC))
    assert "On Sunday 25 October 2026 clocks go back from 03:00 to 02:00: 02:30 comes twice" in shown.cautions[0]


def test_what_goes_out_very_often_is_pointed_out_for_kinds_that_say_so() -> None:
    often = timed(mode="cron", expression="*/20 * * * *", what="newsletter:1", time_zone="UTC")
    assert "up to 3 times an hour" in previews.preview(often, NOW).cautions[0]
    assert previews.preview({**often, "what": "cleanup:1"}, NOW).cautions == []


def test_another_of_the_kind_at_nearly_the_same_time_is_named_in_one_query(
    create: Callable[..., Schedule], fake_clock: Callable[[str], Any]
) -> None:
    fake_clock("2026-11-21T04:00:00")
    own = create(name="Own", expression="0 9 * * 1", time_zone="Europe/Berlin")
    create(name="Near", expression="8 9 * * 1", time_zone="Europe/Berlin")
    create(name="Far", expression="11 9 * * 1", time_zone="Europe/Berlin")
    asked = timed(what=f"test:{own.target_id}")
    cautions = previews.preview(asked, NOW, own).cautions
    assert len(cautions) == 1 and "“Near” is due Mon 23 Nov 2026, 09:08 CET" in cautions[0]
    assert previews.preview(asked, NOW, own, names_others=False).cautions == []
    for number in range(5):
        create(name=f"Near too {number}", expression="9 9 * * 1", time_zone="Europe/Berlin")
    with CaptureQueriesContext(connection) as queries:
        assert len(previews.preview(asked, NOW, own).cautions) == 3
    assert len([query for query in queries if "next_due_at" in query["sql"]]) == 1


def test_the_readers_own_clock_is_shown_only_where_it_differs() -> None:
    with timezone.override("Asia/Tokyo"):
        shown = previews.preview(timed(times="23:00"), NOW)
    assert shown.reader_zone == "Asia/Tokyo" and shown.for_reader[shown.times[0]] == "Tue 24 Nov, 07:00 JST"
    with timezone.override("Europe/Paris"):
        assert previews.preview(timed(), NOW).reader_zone == ""


def test_an_edit_shows_both_lists_only_when_they_differ(
    create: Callable[..., Schedule], fake_clock: Callable[[str], Any]
) -> None:
    fake_clock("2026-11-21T04:00:00")
    schedule = create(expression="0 9 * * mon", time_zone="Europe/Berlin")
    assert previews.preview(timed(), NOW, schedule).before == []
    shown = previews.preview(timed(times="10:00"), NOW, schedule)
    assert [f"{moment:%H}" for moment in (shown.before[0], shown.times[0])] == ["09", "10"]


def test_an_edited_interval_keeps_its_anchor_in_the_preview(
    create: Callable[..., Schedule], fake_clock: Callable[[str], Any]
) -> None:
    time = fake_clock("2026-11-21T04:00:00")
    schedule = create(mode="interval", expression="", every_seconds=7 * 86400)
    time.value += timedelta(days=2)
    asked = timed(mode="interval", every_amount="1", every_unit="weeks", time_zone="UTC")
    shown = previews.preview(asked, time.value, schedule)
    assert shown.before == [] and shown.times[0] == NOW + timedelta(days=7)


def test_a_skip_that_a_new_timing_forgets_and_a_pause_are_said(
    create: Callable[..., Schedule], fake_clock: Callable[[str], Any]
) -> None:
    fake_clock("2026-11-21T04:00:00")
    schedule = create(expression="0 9 * * 1", time_zone="Europe/Berlin")
    services.skip_next(None, schedule.pk)
    services.pause_schedule(None, schedule.pk, reason="x")
    schedule = Schedule.objects.get()
    said = " ".join(previews.preview(timed(times="10:00"), NOW, schedule).cautions)
    assert "This schedule is paused" in said and "was to be skipped" in said
    assert "was to be skipped" not in " ".join(previews.preview(timed(), NOW, schedule).cautions)


ODD = st.one_of(
    st.text(max_size=40),
    st.sampled_from([
        "", " ", "0", "-1", "99999999999999999999", "1e400", "nan", "2026-02-31T09:00", "9999-12-31T23:59", "0001-01-01T00:00",
        "* * * * *", "0 9 L * *", "0 0 30 2 *", "59 23 31 12 7", "Europe/Berlin", "Pacific/Apia", "../etc/passwd", "Mars/Base",
        "every weekday at 9", "tomorrow", "first monday", "daily", "weekly", "monthly", "interval", "once", "cron", "nth", "last",
        "day", "move", "skip", "minutes", "weeks", "newsletter:1", "test:abc", "\x00", "\ud7ff", "٣", "9:00, 17:00",
    ]),
)  # fmt: skip
NAMES = [*TimingForm.base_fields, "what", "changed", "unknown"]


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.dictionaries(st.sampled_from(NAMES), ODD, max_size=len(NAMES)),
    weekdays=st.lists(ODD, max_size=3),
    now=st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),
)
def test_whatever_is_typed_the_preview_answers_and_a_save_agrees(
    data: dict[str, str], weekdays: list[str], now: datetime
) -> None:
    values: dict[str, Any] = {"mode": "weekly", **data, "weekdays": weekdays}
    posted = QueryDict(mutable=True)
    for name, value in values.items():
        posted.setlist(name, value if isinstance(value, list) else [value])
    shown = previews.preview(posted, now)
    assert not (shown.error and shown.times)
    if shown.error and shown.wrong_field != "words":
        form = ScheduleForm(data={**values, "words": "", "time_zone": values.get("time_zone", "UTC")})
        assert shown.wrong_field in form.errors, (shown, form.errors)
