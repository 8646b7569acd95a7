"""The page of one schedule: what it says of the past, of what comes, of who changed it, and before it is deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from runs import ledger
from runs.models import AuditEntry, Run
from runs.states import State
from schedules import change_words, coming, desk_pause, planner, services
from schedules.drafts import ScheduleDraft
from schedules.models import HolidayCalendar, Schedule

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]
MakeDraft = Callable[..., ScheduleDraft]
SetClock = Callable[[str], Any]


@pytest.fixture
def boss(client: Client) -> User:
    user = User.objects.create_superuser("boss", password="boss")
    client.force_login(user)
    return user


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def text(client: Client, schedule: Schedule, tab: str = "runs") -> str:
    answer = client.get(f"/admin/schedules/schedule/{schedule.pk}/?tab={tab}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_each_tab_shows_its_list_and_an_unknown_one_the_runs(client: Client, boss: User, create: MakeSchedule) -> None:
    schedule = create()
    assert "It has not run yet" in text(client, schedule)
    assert "It has not run yet" in text(client, schedule, "../../etc")
    assert text(client, schedule, "upcoming").count("Yes</span>") == 10
    assert "created the schedule" in text(client, schedule, "changes")


def test_a_run_is_listed_with_what_it_did(client: Client, boss: User, create: MakeSchedule) -> None:
    schedule = create()
    run = services.run_now(boss, schedule.pk)
    claimed = ledger.claim(run.pk, "w")
    assert claimed is not None
    ledger.finish(claimed, "Counted <everything>.")
    page = text(client, schedule)
    assert "Counted &lt;everything&gt;." in page and "Run now, boss" in page
    assert page.count("al-bar al-bar-good") == 1


def test_what_comes_says_which_runs_will_not_take_place(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T08:00:00")
    calendar = HolidayCalendar.objects.create(name="Own", own_days="2026-11-22 Harvest")
    schedule = create(expression="0 9 * * *", calendar_id=calendar.pk, max_runs=2)
    services.skip_next(None, schedule.pk)
    schedule = Schedule.objects.get()
    found = [(item.due_at, str(item.why_not or "")) for item in coming.coming(schedule, clock.value, 10)]
    assert found == [
        (at(20, 9), "Skipped: somebody chose to skip it"), (at(21, 9), ""), (at(22, 9), "Day off: Harvest"),
        (at(23, 9), ""),
    ]  # fmt: skip


def test_what_comes_is_what_the_planner_then_decides(create: MakeSchedule, fake_clock: SetClock) -> None:
    clock = fake_clock("2026-11-20T08:00:00")
    calendar = HolidayCalendar.objects.create(name="Own", own_days="2026-11-22 Harvest")
    schedule = create(expression="0 */8 * * *", calendar_id=calendar.pk, overlap="allow")
    services.pause_schedule(None, schedule.pk, reason="x", until=at(21, 9))
    foretold = {item.due_at: not item.why_not for item in coming.coming(Schedule.objects.get(), clock.value, 9)}
    for due in foretold:
        clock.value = due
        planner.end_pauses()
        planner.plan_due()
    assert foretold == {run.due_at: run.state == State.PLANNED for run in Run.objects.all()}


def test_a_pause_of_everything_is_seen_here_too(client: Client, boss: User, create: MakeSchedule) -> None:
    schedule = create()
    desk_pause.pause_everything(boss, reason="the move")
    assert "Will not run</span>" in text(client, schedule)
    assert "Everything is paused: the move" in text(client, schedule, "upcoming")


def test_a_change_is_told_before_and_after_in_words(
    client: Client, boss: User, create: MakeSchedule, draft: MakeDraft
) -> None:
    schedule = create()
    services.edit_schedule(
        boss, schedule.pk, draft(expression="30 7 1 * *", missed="all", time_limit_seconds=5400, name="Monthly <b>")
    )
    services.pause_schedule(boss, schedule.pk, reason="New logo")
    page = text(client, schedule, "changes")
    for words in (
        "Every Monday at 09:00 (0 9 * * 1)", "Run each of them, one after another", "1 hour", "90 minutes",
        "Monthly &lt;b&gt;", "“New logo”", "boss",
    ):  # fmt: skip
        assert words in page, words
    changed = AuditEntry.objects.get(action="changed the schedule")
    labels = {difference.label for difference in change_words.differences(changed, "UTC")}
    assert labels == {"Name", "When", "If nothing was running", "Stopped after", "Next run"}


def test_the_page_that_deletes_shows_what_stops_and_keeps_the_runs(
    client: Client, boss: User, create: MakeSchedule, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-20T08:59:00")
    schedule = create(expression="0 9 * * *")
    clock.value = at(20, 9)
    planner.plan_due()
    services.run_now(boss, schedule.pk)
    address = f"/admin/schedules/schedule/{schedule.pk}/delete/"
    page = " ".join(client.get(address).content.decode().split())
    assert "These runs will not take place any more" in page and "1 run that waits for a worker" in page
    assert "1 run that somebody started by hand will still take place" in page
    assert Schedule.objects.exists(), "looking deletes nothing"
    assert client.post(address, {"post": "yes"}).status_code == 302
    assert not Schedule.objects.exists() and Run.objects.exists()


def test_only_what_one_may_do_is_offered(client: Client, create: MakeSchedule) -> None:
    schedule = create()
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_schedule"))
    client.force_login(viewer)
    page = text(client, schedule)
    assert "Every Monday at 09:00" in page
    for verb in ("Pause", "Run now", "Delete", "Edit", "Duplicate", "Skip the next run"):
        assert f">{verb}<" not in page
    viewer.user_permissions.clear()
    assert client.get(f"/admin/schedules/schedule/{schedule.pk}/").status_code == 403


def test_the_page_costs_the_same_whatever_lies_behind_it(
    client: Client, boss: User, create: MakeSchedule, django_assert_max_num_queries: Any
) -> None:
    schedule = create()
    now = datetime.now(UTC)
    rows = [
        Run(schedule_id=schedule.pk, kind="test", due_at=now - timedelta(hours=n), state=State.SUCCEEDED)
        for n in range(200)
    ]
    Run.objects.bulk_create(rows)
    for tab in ("runs", "upcoming", "changes"):
        with django_assert_max_num_queries(16):
            text(client, schedule, tab)
