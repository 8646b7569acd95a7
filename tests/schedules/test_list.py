"""The list of schedules: what each row says without a click, its tabs and filters, and what a page of it costs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs import queries
from runs.models import Run
from runs.queries import PastRun
from runs.states import State
from schedules import desk_pause, run_bars, services
from schedules.models import HolidayCalendar, Schedule
from schedules.status import LATE, status_of

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]
SetClock = Callable[[str], Any]
LIST = "/admin/schedules/schedule/"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def ran(schedule: Schedule, *states: State, newest: datetime = NOON) -> list[Run]:
    """Runs of the schedule, newest first, an hour apart."""
    rows = [
        Run(
            schedule_id=schedule.pk, kind="test", due_at=newest - timedelta(hours=number), state=state,
            trigger="manual", finished_at=None if state == State.RUNNING else newest,
            started_at=newest - timedelta(minutes=4),
        )
        for number, state in enumerate(states)
    ]  # fmt: skip
    return Run.objects.bulk_create(rows)


def rows(client: Client, query: str = "") -> dict[str, str]:
    """The text of each row by the schedule's name."""
    page = client.get(f"{LIST}{query}").content.decode()
    found = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    named = {re.search(r'al-name"[^>]*>([^<]*)<', row): row for row in found}
    return {name[1]: " ".join(re.sub(r"<[^>]+>", " ", row).split()) for name, row in named.items() if name}


# What a row says


def test_a_row_says_whether_it_is_on_when_how_it_went_and_when_next(
    boss: Client, create: MakeSchedule, fake_clock: SetClock
) -> None:
    fake_clock("2026-11-20T12:00:00")
    schedule = create(name="Letter", expression="0 9 * * *", time_zone="Europe/Berlin")
    ran(schedule, *[State.SUCCEEDED] * 17, State.FAILED, State.FAILED, State.SKIPPED, newest=NOON - timedelta(hours=2))
    text = rows(boss)["Letter"]
    for words in (
        "Active", "Test job: Target", "Every day at 09:00", "Europe/Berlin", "Succeeded 2 hours ago",
        "Last 20 runs: 17 of 20 succeeded, 2 failed, 1 skipped", "tomorrow",
        "Sat 21 Nov 2026, 09:00 CET (08:00 UTC for you)",
        "Pause Letter", "Run now Letter",
    ):  # fmt: skip
        assert words in text, words


def test_the_bars_are_hidden_from_screen_readers_and_lead_to_the_runs(boss: Client, create: MakeSchedule) -> None:
    schedule = create()
    ran(schedule, State.FAILED, State.SUCCEEDED)
    page = boss.get(LIST).content.decode()
    assert page.count('class="al-run al-run-') == 2
    assert page.index("al-run-succeeded") < page.index("al-run-failed"), "the newest is on the right"
    assert re.search(
        rf'<a class="al-run-link" href="/admin/runs/run/\?schedule={schedule.pk}"><span[^>]*aria-hidden', page
    )


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"skip_at": NOON.replace(day=21, hour=9)}, "Will not run. Skipped: somebody chose to skip it"),
        ({"paused_at": NOON, "pause_reason": "New logo"}, "Will not run. Paused: New logo"),
        ({"paused_at": NOON, "paused_until": NOON.replace(hour=20)}, ""),
    ],
)
def test_the_next_run_says_when_it_will_not_take_place(
    boss: Client, create: MakeSchedule, fake_clock: SetClock, change: dict[str, Any], note: str
) -> None:
    fake_clock("2026-11-20T12:00:00")
    schedule = create(name="Letter", expression="0 9 * * *")
    Schedule.objects.filter(pk=schedule.pk).update(**change)
    text = rows(boss)["Letter"]
    assert note in text and ("Will not run" in text) == bool(note)


def test_a_holiday_and_a_pause_of_everything_are_seen_at_the_next_run(
    boss: Client, create: MakeSchedule, fake_clock: SetClock
) -> None:
    fake_clock("2026-11-20T12:00:00")
    calendar = HolidayCalendar.objects.create(name="Own", own_days="2026-11-21 Harvest")
    create(name="Letter", expression="0 9 * * *", calendar_id=calendar.pk)
    assert "Will not run. Day off: Harvest" in rows(boss)["Letter"]
    create(name="Other", expression="0 9 * * *")
    assert "Will not run" not in rows(boss)["Other"]
    desk_pause.pause_everything(None, reason="the move")
    assert "Will not run. Everything is paused: the move" in rows(boss)["Other"]


@pytest.mark.parametrize(
    ("values", "states", "word"),
    [
        ({}, [], "Active"),
        ({}, [State.RUNNING, State.SUCCEEDED], "Running"),
        ({}, [State.FAILED, State.SUCCEEDED], "Failing"),
        ({}, [State.SKIPPED, State.RUNNING, State.FAILED], "Failing"),
        ({}, [State.SUCCEEDED, State.FAILED], "Active"),
        ({"consecutive_failures": 3}, [State.SUCCEEDED], "Failing"),
        ({"next_due_at": NOON - LATE - timedelta(seconds=1)}, [], "Late"),
        ({"next_due_at": NOON - LATE}, [], "Active"),
        ({"next_due_at": None}, [State.SUCCEEDED], "Ended"),
        ({"next_due_at": None}, [State.FAILED], "Failing"),
        ({"paused_at": NOON, "consecutive_failures": 3}, [], "Paused"),
        ({"paused_at": NOON, "broken_reason": "odd"}, [], "Broken"),
    ],
)
def test_one_word_says_what_staff_must_act_on_first(values: dict[str, Any], states: list[State], word: str) -> None:
    schedule = Schedule(**{"next_due_at": NOON + timedelta(hours=1), **values})
    runs = [PastRun(-number, NOON, state, NOON) for number, state in enumerate(states)]
    assert status_of(schedule, runs, NOON).word == word


def test_the_summary_counts_each_end() -> None:
    states = [State.SUCCEEDED, State.MISSED, State.PLANNED, State.PUBLISHED, State.SUCCEEDED]
    runs = [PastRun(number, NOON, state) for number, state in enumerate(states)]
    assert run_bars.summary(runs) == "2 of 5 succeeded, 2 waiting, 1 missed"


def test_names_are_shown_and_never_read_as_markup(boss: Client, create: MakeSchedule) -> None:
    create(name="<b>&lt;</b>")
    assert "<b>&lt;" not in boss.get(LIST).content.decode()


def test_without_permission_there_is_no_button_and_no_link_to_runs(client: Client, create: MakeSchedule) -> None:
    ran(create(name="Letter"), State.SUCCEEDED)
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_schedule"))
    client.force_login(viewer)
    page = client.get(LIST).content.decode()
    assert "Pause" not in rows(client)["Letter"] and "Run now" not in rows(client)["Letter"]
    assert "1 of 1 succeeded" in page and "/admin/runs/run/" not in page and "Pause everything" not in page


# The last runs, in one query


def test_the_newest_runs_of_each_are_found_in_order(create: MakeSchedule) -> None:
    first, second, none = create(name="A"), create(name="B"), create(name="C")
    ran(first, *[State.SUCCEEDED] * 30)
    same_time = ran(second, State.FAILED)[0]
    again = ran(second, State.SUCCEEDED)[0]  # run again for the same due time: the later one is the newer
    with CaptureQueriesContext(connection) as asked:
        found = queries.newest_runs([first.pk, second.pk, none.pk], 20)
    assert len(asked) == 1
    assert [run.due_at for run in found[first.pk]] == [NOON - timedelta(hours=number) for number in range(20)]
    assert [run.id for run in found[second.pk]] == [again.pk, same_time.pk]
    assert found[none.pk] == [] and queries.newest_runs([], 20) == {}


def test_the_newest_runs_come_from_the_index_and_not_from_all_runs(create: MakeSchedule) -> None:
    ids = [create(name=f"S{number}").pk for number in range(3)]
    for schedule_id in ids:
        ran(Schedule(pk=schedule_id), *[State.SUCCEEDED] * 400)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE runs_run")
            cursor.execute("EXPLAIN ANALYZE " + queries._NEWEST["postgresql"], [ids, 20])
        else:
            cursor.execute("EXPLAIN QUERY PLAN " + queries._NEWEST["sqlite"], [json.dumps(ids), 20])
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "run_by_schedule" in plan and "Seq Scan" not in plan and "SCAN one" not in plan and "SCAN run" not in plan


# Tabs and filters


@pytest.fixture
def one_of_each(create: MakeSchedule) -> dict[str, Schedule]:
    words = ("Active", "Paused", "Failing", "Broken", "Ended")
    made = {word: create(name=f"{word} one") for word in words}
    services.pause_schedule(None, made["Paused"].pk, reason="x")
    Schedule.objects.filter(pk=made["Broken"].pk).update(broken_reason="odd")
    Schedule.objects.filter(pk=made["Ended"].pk).update(next_due_at=None)
    ran(made["Failing"], State.FAILED)
    ran(made["Active"], State.SUCCEEDED, State.FAILED)
    return made


@pytest.mark.parametrize("word", ["Paused", "Failing", "Broken", "Ended"])
def test_each_tab_shows_the_schedules_that_its_word_is_said_of(
    boss: Client, one_of_each: dict[str, Schedule], word: str
) -> None:
    found = rows(boss, f"?status={word.lower()}")
    assert list(found) == [f"{word} one"] and word in found[f"{word} one"]


def test_active_holds_whatever_runs_and_all_holds_everything(boss: Client, one_of_each: dict[str, Schedule]) -> None:
    assert set(rows(boss, "?status=active")) == {"Active one", "Failing one"}
    assert len(rows(boss)) == 5 and len(rows(boss, "?status=nonsense")) == 5


def test_failing_is_also_told_by_the_count_alone(boss: Client, create: MakeSchedule) -> None:
    Schedule.objects.filter(pk=create(name="Letter").pk).update(consecutive_failures=2)
    assert "2 failures in a row" in rows(boss, "?status=failing")["Letter"]


def test_mine_and_the_owner_filter_offer_only_people_who_work_here(
    boss: Client, create: MakeSchedule, draft: Callable[..., Any]
) -> None:
    anna = User.objects.create_superuser("anna")
    User.objects.create_user("bertha")
    services.create_schedule(User.objects.get(username="boss"), draft(name="Mine"))
    services.create_schedule(anna, draft(name="Hers"))
    create(name="Nobody's")
    assert list(rows(boss, "?status=mine")) == ["Mine"]
    assert list(rows(boss, f"?owner={anna.pk}")) == ["Hers"]
    page = boss.get(LIST).content.decode()
    assert ">anna</option>" in page and "bertha" not in page
    for odd in ("?owner=x", "?owner=999999999999999999999", "?owner=%00", "?kind=x", "?p=99", "?o=9.x"):
        assert boss.get(f"{LIST}{odd}", follow=True).status_code == 200


def test_a_tab_keeps_what_was_searched_and_a_search_keeps_the_tab(boss: Client, create: MakeSchedule) -> None:
    create(name="Letter")
    page = boss.get(f"{LIST}?status=active&kind=cleanup&q=Lett&p=1").content.decode()
    tab = re.search(r'<a href="([^"]*)">Paused</a>', page)
    assert tab and {"status=paused", "kind=cleanup", "q=Lett"} == set(tab[1].lstrip("?").split("&amp;"))
    assert re.search(r'<a href="[^"]*" aria-current="page">Active</a>', page)
    assert '<input type="hidden" name="status" value="active">' in page and 'value="Lett"' in page
    assert '<option value="cleanup" selected>' in page


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "There is no schedule yet."),
        ("?status=failing", "No schedule is failing."),
        ("?q=zzz", "At least none that fits what you searched for."),
    ],
)
def test_an_empty_list_says_what_that_means(boss: Client, query: str, says: str) -> None:
    assert says in boss.get(f"{LIST}{query}").content.decode()


# What a page costs


def test_a_page_asks_the_same_number_of_questions_whatever_the_number_of_rows(
    boss: Client, create: MakeSchedule
) -> None:
    calendar = HolidayCalendar.objects.create(name="Own", own_days="12-24 Eve")

    def add(first: int, last: int) -> int:
        for number in range(first, last):
            rule = {"calendar_id": calendar.pk, "calendar_rule": "move"} if number % 2 else {}
            ran(create(name=f"S{number:02d}", expression=f"{number} 9 * * *", **rule), State.SUCCEEDED, State.FAILED)
        with CaptureQueriesContext(connection) as asked:
            assert len(rows(boss)) == min(last, 50)
        return len(asked)

    boss.get(LIST)
    assert add(0, 10) == add(10, 60) <= 16
