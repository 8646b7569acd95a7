"""The live preview: the sentence, the next runs, or what is wrong, for values that are still being typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schedules import previews
from schedules.models import Schedule

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
