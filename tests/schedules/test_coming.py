"""Why a due time ahead will not run: one answer, one wording, on every page that speaks of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from runs import clock as house_clock
from runs.models import Run
from schedules import coming, desk_pause, planner, services
from schedules.models import DeskPause, HolidayCalendar, Schedule

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]
NOW = datetime(2026, 11, 20, 17, 55, tzinfo=UTC)
DUE = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def friday_evening(fake_clock: Callable[[str], Any]) -> None:
    fake_clock("2026-11-20T17:55:00")


@pytest.fixture
def letter(create: MakeSchedule) -> Schedule:
    return create(name="Letter", expression="0 9 * * *")


def answer(schedule: Schedule, due: datetime = DUE, *, has_target: bool = True) -> str:
    schedule = Schedule.objects.get(pk=schedule.pk)
    policy = schedule.policy(DeskPause.covering(house_clock.now()))
    return str(coming.why_not(schedule, due, policy, has_target=has_target) or "")


def test_nothing_is_said_of_a_run_that_will_take_place(letter: Schedule) -> None:
    assert answer(letter) == ""


def test_a_pause_says_why_and_only_until_its_end(letter: Schedule) -> None:
    services.pause_schedule(None, letter.pk, reason="New logo", until=DUE + timedelta(hours=1))
    assert answer(letter) == "Paused: New logo"
    assert answer(letter, DUE + timedelta(days=1)) == ""


def test_a_pause_without_a_reason_is_said_all_the_same(letter: Schedule) -> None:
    Schedule.objects.filter(pk=letter.pk).update(paused_at=NOW)
    assert answer(letter) == "Paused"


def test_a_pause_of_everything_is_not_taken_for_one_of_the_schedule(letter: Schedule) -> None:
    desk_pause.pause_everything(None, reason="Moving house")
    assert answer(letter) == "Everything is paused: Moving house"


def test_one_skipped_run_is_only_that_one(letter: Schedule) -> None:
    services.skip_next(None, letter.pk)
    assert answer(letter) == "Skipped: somebody chose to skip it"
    assert answer(letter, DUE + timedelta(days=1)) == ""


def test_a_day_off_is_named(create: MakeSchedule) -> None:
    calendar = HolidayCalendar.objects.create(name="Own", own_days="2026-11-21 Harvest")
    skipping = create(name="Skips", expression="0 9 * * *", calendar_id=calendar.pk)
    moving = create(name="Moves", expression="0 9 * * *", calendar_id=calendar.pk, calendar_rule="move")
    assert answer(skipping) == "Day off: Harvest"
    assert answer(moving) == "Day off: Harvest; moved to Monday 23 November, 09:00"


def test_a_calendar_that_cannot_be_read_is_a_reason_and_no_error(create: MakeSchedule) -> None:
    calendar = HolidayCalendar.objects.create(name="Own", own_days="2026-11-21 Harvest")
    schedule = create(name="Skips", expression="0 9 * * *", calendar_id=calendar.pk)
    HolidayCalendar.objects.update(own_days="banana")
    assert answer(schedule).startswith("Broken: Its calendar cannot be read")


def test_what_has_nothing_to_run_is_broken_whatever_else_holds(letter: Schedule) -> None:
    services.pause_schedule(None, letter.pk, reason="New logo")
    assert answer(letter, has_target=False) == "Broken: what it should run no longer exists"


def test_an_end_by_date_and_one_by_number_are_told_apart(create: MakeSchedule) -> None:
    dated = create(name="Dated", expression="0 9 * * *", ends_at=DUE + timedelta(hours=1))
    counted = create(name="Counted", expression="0 9 * * *", max_runs=1)
    assert answer(dated) == answer(counted) == ""
    assert answer(dated, DUE + timedelta(days=1)) == "Ended: its end comes before this"
    Schedule.objects.filter(pk=counted.pk).update(planned_count=1)
    assert answer(counted) == "Ended: it has run as often as it should"


def test_the_list_the_page_and_what_it_shows_ahead_say_the_same(letter: Schedule, client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    services.pause_schedule(None, letter.pk, reason="New logo")
    page = f"/admin/schedules/schedule/{letter.pk}/"
    for path in ("/admin/schedules/schedule/", page, f"{page}?tab=upcoming", f"{page}delete/"):
        assert "Paused: New logo" in client.get(path).content.decode(), path


def test_what_was_said_beforehand_is_what_the_ledger_then_notes(
    letter: Schedule, fake_clock: Callable[[str], Any]
) -> None:
    desk_pause.pause_everything(None, reason="Moving house")
    said = answer(letter)
    fake_clock("2026-11-21T09:00:10")
    planner.plan_due()
    run = Run.objects.get(schedule_id=letter.pk)
    assert (run.reason_text, said) == (
        "paused: everything is paused: Moving house",
        "Everything is paused: Moving house",
    )


def test_a_schedule_without_its_thing_tells_so_for_every_run_ahead(letter: Schedule, client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    Group.objects.all().delete()
    page = client.get(f"/admin/schedules/schedule/{letter.pk}/?tab=upcoming").content.decode()
    assert page.count("Broken: what it should run no longer exists") == 11 and "Yes</span>" not in page
