"""The calendar: what ran and what is to come, in the reader's zone, whatever the clocks do and however much there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from runs import clock
from runs.models import QueuePause, Run
from runs.tasks import RunContext
from scheduler_site import calendar_agenda, calendar_coming, calendar_days, calendar_past, density
from schedules import cron, desk_pause, kinds, services
from schedules.drafts import ScheduleDraft
from schedules.models import HolidayCalendar, Schedule
from schedules.timing import CronTiming, IntervalTiming, OnceTiming, Timing

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 17, 55, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MakeSchedule = Callable[..., Schedule]
MONTH = "/admin/calendar/2026/11/"


@pytest.fixture(autouse=True)
def friday_evening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def create(db: None) -> Any:
    target = Group.objects.create(name="Target")

    def perform(run: RunContext) -> str:
        return ""

    kinds.register(kinds.JobKind(key="test", label="Test job", perform=perform, target_model="auth.Group"))

    def make(expression: str = "0 9 * * 1", **changes: Any) -> Schedule:
        rows = {
            name: changes.pop(name) for name in ("paused_at", "paused_until", "skip_at", "max_runs") if name in changes
        }
        name = changes.pop("name", f"S{Schedule.objects.count()}")
        draft = ScheduleDraft(name=name, kind="test", target_id=target.pk, expression=expression, **changes)
        schedule = services.create_schedule(None, draft)
        Schedule.objects.filter(pk=schedule.pk).update(**rows)
        schedule.refresh_from_db()
        return schedule

    yield make
    kinds._registry.pop("test", None)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def viewer(*codenames: str) -> Client:
    client = Client()
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


def ran(due_at: str, state: str = "succeeded", **values: Any) -> Run:
    moment = datetime.fromisoformat(due_at).replace(tzinfo=UTC)
    defaults = {"schedule_id": 1, "schedule_name": "Letter", "kind": "test", "trigger": "manual", "finished_at": moment}
    return Run.objects.create(due_at=moment, state=state, **(defaults | values))


def november(zone: ZoneInfo = BERLIN) -> list[datetime]:
    return calendar_days.day_edges(calendar_days.month_days(date(2026, 11, 1)), zone)


def expected(edges: list[datetime]) -> dict[int, tuple[int, int]]:
    loads = calendar_coming.per_cell(edges, NOW).loads
    return {n: (load.expected, load.left_out) for n, load in enumerate(loads, 1) if load.expected or load.left_out}


# Counting


@settings(max_examples=150, deadline=None)
@given(
    expression=st.sampled_from(
        ["* * * * *", "*/7 * * * *", "5,35 */3 * * *", "30 2 * * *", "0 9 * * 1-5", "15 1,2,3 L * *", "0 0 13 * 5", "10 * * * 1#1"]
    ),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    minutes=st.integers(0, 3 * 1440),
)  # fmt: skip
def test_counting_gives_what_the_evaluator_steps_through(
    expression: str, zone: str, start: datetime, minutes: int
) -> None:
    timing = CronTiming(cron.parse(expression, zone))
    since = start.replace(tzinfo=UTC)
    until = since + timedelta(minutes=minutes)
    assert density.counter(timing, since, until)(since, until) == len(density.due_times(timing, since, until, 9999))


@settings(max_examples=100, deadline=None)
@given(every=st.integers(60, 100_000), ahead=st.integers(-200_000, 200_000), length=st.integers(0, 400_000))
def test_intervals_are_counted_from_their_anchor(every: int, ahead: int, length: int) -> None:
    timing = IntervalTiming(NOW, timedelta(seconds=every))
    since = NOW + timedelta(seconds=ahead)
    until = since + timedelta(seconds=length)
    assert density.counter(timing, since, until)(since, until) == len(density.due_times(timing, since, until, 9999))


def test_a_single_date_counts_once_at_its_own_instant() -> None:
    timing: Timing = OnceTiming(NOW, "UTC")
    count = density.counter(timing, NOW, NOW)
    assert (count(NOW, NOW + density.TICK), count(NOW - timedelta(days=1), NOW)) == (1, 0)


# Zones and clock changes


def test_a_day_with_25_hours_and_one_with_23_are_cut_where_the_clocks_say() -> None:
    autumn = calendar_days.day_edges([date(2026, 10, 25)], BERLIN)
    spring = calendar_days.day_edges([date(2026, 3, 29)], BERLIN)
    assert (autumn[1] - autumn[0], spring[1] - spring[0]) == (timedelta(hours=25), timedelta(hours=23))
    hours = calendar_days.hour_edges([date(2026, 3, 29)], BERLIN)
    assert hours[2] == hours[3]  # 02:00 does not exist


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland"])
def test_runs_stand_on_the_readers_day(zone: str) -> None:
    edges = november(ZoneInfo(zone))
    for edge in edges[3:5]:
        for moment in (edge - timedelta(minutes=1), edge):
            ran(moment.replace(tzinfo=None).isoformat())
    counts = [states.total() for states in calendar_past.per_cell(edges)]
    assert counts[2:5] == [1, 2, 1] and sum(counts) == 4


def test_a_doubled_hour_holds_both_and_a_skipped_one_says_so(boss: Client, create: MakeSchedule) -> None:
    with timezone.override(BERLIN):
        for moment in ("2026-10-25T00:30:00", "2026-10-25T01:30:00"):  # 02:30 in Berlin, twice
            ran(moment)
        autumn = boss.get("/admin/calendar/week/2026/10/25/").context
        assert dict(autumn["hours"])["02:00"][6].ran == 2
        create("30 * * * *", time_zone="Europe/Berlin")
        spring = boss.get("/admin/calendar/week/2027/3/28/")
        cells = [row[6] for _, row in spring.context["hours"]]
        assert [cell.expected for cell in cells] == [1, 1, 0, *[1] * 21]
        assert not cells[2].does_exist and "the clocks skip this hour" in spring.content.decode()


def test_the_month_follows_the_readers_zone_not_the_schedules(boss: Client, create: MakeSchedule) -> None:
    create("30 23 * * 1", time_zone="America/New_York")  # Tuesday 05:30 in Berlin
    with timezone.override(BERLIN):
        page = boss.get("/admin/calendar/2026/12/")
    days = [cell.day.day for week in page.context["weeks"] for cell in week if cell and cell.expected]
    assert days == [1, 8, 15, 22, 29] and "Europe/Berlin" in page.content.decode()


# What is to come


def test_what_is_to_come_begins_where_the_ledger_ends(create: MakeSchedule) -> None:
    schedule = create("0 * * * *")
    for hour in range(18):
        ran(f"2026-11-20T{hour:02d}:00:00", schedule_id=schedule.pk)
    edges = november(ZoneInfo("UTC"))
    today = 19
    assert calendar_past.per_cell(edges)[today].total() == 18
    assert calendar_coming.per_cell(edges, NOW).loads[today].expected == 6


def test_what_nobody_planned_yet_is_not_lost_from_sight(create: MakeSchedule) -> None:
    """No beat for three hours: the due times without a row are still to come, and say that they are due."""
    schedule = create("0 * * * *")
    Schedule.objects.filter(pk=schedule.pk).update(next_due_at=NOW.replace(hour=15, minute=0))
    edges = november(ZoneInfo("UTC"))
    assert calendar_coming.per_cell(edges, NOW).loads[19].expected == 9
    lines = calendar_agenda.coming(edges[19], edges[20], NOW).sorted()
    assert [line.word for line in lines[:4]] == ["Due now", "Due now", "Due now", "Expected"]


def test_pauses_skips_holidays_and_ends_are_honoured(create: MakeSchedule) -> None:
    german = HolidayCalendar.objects.create(name="Own", own_days="11-24 Works outing")
    create("0 9 * * *", paused_at=NOW, paused_until=datetime(2026, 11, 23, tzinfo=UTC))
    create("0 9 * * *", skip_at=datetime(2026, 11, 23, 9, tzinfo=UTC))
    create("0 9 * * *", calendar_id=german.pk)
    create("0 9 * * *", ends_at=datetime(2026, 11, 22, 9, tzinfo=UTC))
    create("0 9 * * *", max_runs=2)
    edges = november(ZoneInfo("UTC"))
    assert expected(edges) == {
        21: (4, 1), 22: (4, 1), 23: (2, 1), 24: (2, 1), **dict.fromkeys(range(25, 31), (3, 0)),
    }  # fmt: skip
    words = {day: {line.word for line in _day(day, edges)} for day in (21, 23, 24, 25)}
    assert words == {
        21: {"Expected", "Paused"},
        23: {"Expected", "Skipped"},
        24: {"Expected", "Day off"},
        25: {"Expected"},
    }


def _day(day: int, edges: list[datetime]) -> list[calendar_agenda.Line]:
    return calendar_agenda.coming(edges[day - 1], edges[day], NOW).sorted()


def test_the_page_and_the_planner_agree_on_a_schedule_that_moves_with_holidays(create: MakeSchedule) -> None:
    calendar = HolidayCalendar.objects.create(name="Own", own_days="11-23 Works outing")
    create("0 9 * * 1", calendar_id=calendar.pk, calendar_rule="move")
    edges = november(ZoneInfo("UTC"))
    assert expected(edges) == {23: (0, 1), 24: (1, 0), 30: (1, 0)}


def test_a_number_of_runs_is_used_up_before_a_month_far_away(create: MakeSchedule) -> None:
    create("0 9 * * *", max_runs=20)
    december = calendar_days.day_edges(calendar_days.month_days(date(2026, 12, 1)), ZoneInfo("UTC"))
    assert list(expected(december)) == list(range(1, 11))


def test_while_everything_is_paused_nothing_is_expected(boss: Client, create: MakeSchedule) -> None:
    create("0 9 * * *")
    desk_pause.pause_everything(None, reason="Moving house")
    QueuePause.objects.create(queue="newsletters", reason="Server moves", paused_at=NOW)
    assert expected(november(ZoneInfo("UTC"))) == dict.fromkeys(range(21, 31), (0, 1))
    page = boss.get(MONTH).content.decode()
    assert "Everything is paused:" in page and "Moving house" in page and "Server moves" in page


def test_a_broken_schedule_is_said_and_stops_nothing(boss: Client, create: MakeSchedule) -> None:
    create("0 9 * * *")
    create("0 9 * * *", name="Broken")
    Schedule.objects.filter(periodic_task__name="Broken").update(expression="0 99 * * *")
    assert expected(november(ZoneInfo("UTC")))[21] == (1, 0)
    Schedule.objects.filter(periodic_task__name="Broken").update(broken_reason="unreadable", next_due_at=None)
    assert "1 schedule is" in boss.get(MONTH).content.decode()


# Bounds


def test_many_alike_are_all_counted_and_cost_one_evaluation(boss: Client, create: MakeSchedule) -> None:
    for _ in range(2):
        ran("2026-11-19T09:00:00", schedule_id=create("0 9 * * *").pk)
    boss.get(MONTH)
    few = _count_queries(boss)
    assert max(few) <= 25
    for number in range(30):
        schedule = create("0 9 * * *")
        ran("2026-11-19T09:00:00", schedule_id=schedule.pk, schedule_name=f"S{number}")
    assert _count_queries(boss) == few
    assert expected(november(ZoneInfo("UTC")))[23] == (32, 0)


def _count_queries(client: Client) -> list[int]:
    found = []
    for path in (
        MONTH,
        "/admin/calendar/week/2026/11/20/",
        "/admin/calendar/2026/11/19/",
        "/admin/calendar/2026/11/23/",
    ):
        with CaptureQueriesContext(connection) as seen:
            assert client.get(path).status_code == 200
        found.append(len(seen))
    return found


def test_what_is_not_counted_is_said(boss: Client, create: MakeSchedule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_coming, "AT_MOST", 2)
    for minute in range(4):
        create(f"{minute} 9 * * *")
    assert "2 of 4 schedules are counted here" in boss.get(MONTH).content.decode()


def test_a_day_too_full_to_show_is_said(boss: Client, create: MakeSchedule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_agenda, "LINES", 2)
    for number in range(3):
        create(f"{number} 9 * * *")
        ran(f"2026-11-20T0{number}:00:00", schedule_id=number)
    assert "More ran on this day" in boss.get("/admin/calendar/2026/11/20/").content.decode()
    assert "More is to come on this day" in boss.get("/admin/calendar/2026/11/23/").content.decode()


def test_what_runs_every_five_minutes_is_one_line(boss: Client, create: MakeSchedule) -> None:
    schedule = create("*/5 * * * *", name="Pulse")
    for minute in range(0, 60, 4):
        ran(f"2026-11-19T09:{minute:02d}:00", "failed" if minute == 8 else "succeeded", schedule_id=schedule.pk)
    (past,) = boss.get("/admin/calendar/2026/11/19/").context["lines"]
    assert (past.count, past.tone, past.detail) == (15, "bad", "1 failed, 14 succeeded")
    (coming,) = boss.get("/admin/calendar/2026/11/21/").context["lines"]
    assert (coming.count, coming.detail) == (288, "Every 5 minutes")


def test_a_row_that_stands_for_many_counts_as_many() -> None:
    ran("2026-11-19T09:00:00", "missed", folded_count=999)
    assert calendar_past.per_cell(november(ZoneInfo("UTC")))[18] == {"missed": 1000}


def test_a_slow_count_is_kept_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_past, "SLOW_SECONDS", -1)
    edges = calendar_days.day_edges([date(2026, 11, 3)], BERLIN)
    assert calendar_past.per_cell(edges)[0].total() == 0
    ran("2026-11-03T09:00:00")
    assert calendar_past.per_cell(edges)[0].total() == 0
    assert calendar_past.per_cell(edges, "test")[0].total() == 1


# Pages


def test_a_day_of_the_month_says_the_worst_in_words(boss: Client, create: MakeSchedule) -> None:
    create("0 20 * * *")
    for state in ("succeeded", "succeeded", "failed"):
        ran("2026-11-20T08:00:00", state)
    page = boss.get(MONTH)
    (today,) = [cell for week in page.context["weeks"] for cell in week if cell and cell.is_today]
    assert today.words == "1 failed, 2 succeeded, 1 to come"
    assert [(note.sign, note.count, note.word) for note in today.notes] == [
        ("✕", 1, "failed"), ("", 2, "others"), ("→", 1, "to come"),
    ]  # fmt: skip
    html = page.content.decode()
    assert "Friday 20 November: 1 failed, 2 succeeded, 1 to come" in html and "<table" in html and 'scope="col"' in html


def test_the_day_leads_to_the_run_and_to_the_schedule(boss: Client, create: MakeSchedule) -> None:
    schedule = create("0 20 * * *", name="Evening letter")
    run = ran("2026-11-20T08:00:00", result="200 sent.")
    html = boss.get("/admin/calendar/2026/11/20/").content.decode()
    assert f"/admin/runs/run/{run.pk}/change/" in html and "200 sent." in html
    assert f"/admin/schedules/schedule/{schedule.pk}/" in html and "Expected" in html


def test_one_kind_alone_is_shown_and_kept_while_moving_on(boss: Client, create: MakeSchedule) -> None:
    create("0 20 * * *")
    ran("2026-11-20T08:00:00", kind="newsletter")
    page = boss.get(f"{MONTH}?kind=newsletter")
    (today,) = [cell for week in page.context["weeks"] for cell in week if cell and cell.is_today]
    assert (today.ran, today.expected) == (1, 0)
    assert page.context["steps"]["after"].url == "/admin/calendar/2026/12/?kind=newsletter"
    assert boss.get(f"{MONTH}?kind=nonsense'").status_code == 200


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/admin/calendar/2026/13/", "There is no month 13"),
        ("/admin/calendar/2026/2/30/", "February 2026 has 28 days; there is no day 30"),
        ("/admin/calendar/1999/12/", "the years 2000 to 2100"),
        ("/admin/calendar/99999999999/1/", "the years 2000 to 2100"),
        ("/admin/calendar/week/2026/11/31/", "there is no day 31"),
        ("/admin/calendar/2101/1/1/", "the years 2000 to 2100"),
    ],
)
def test_dates_that_do_not_exist_are_answered_in_words(boss: Client, path: str, says: str) -> None:
    answer = boss.get(path)
    assert answer.status_code == 404 and says in answer.content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "2000/1/",
        "2100/12/",
        "week/2000/1/1/",
        "week/2100/12/31/",
        "2000/1/1/",
        "2100/12/31/",
        "2028/2/29/",
        "",
        "week/",
    ],
)
def test_the_first_and_the_last_date_open(boss: Client, create: MakeSchedule, path: str) -> None:
    create("* * * * *")
    answer = boss.get(f"/admin/calendar/{path}")
    assert answer.status_code == 200
    steps = answer.context["steps"]
    assert (steps["before"] is None) == path.endswith(("2000/1/", "2000/1/1/"))
    assert (steps["after"] is None) == path.endswith(("2100/12/", "2100/12/31/"))


def test_only_who_may_see_schedules_sees_it_and_runs_need_their_own_permission() -> None:
    assert viewer().get(MONTH).status_code == 403
    User.objects.all().delete()
    ran("2026-11-20T08:00:00")
    some = viewer("view_schedule")
    page = some.get(MONTH)
    assert sum(cell.ran for week in page.context["weeks"] for cell in week if cell) == 0
    assert "What has run is shown to people who may see runs" in page.content.decode()
    assert not some.get("/admin/calendar/2026/11/20/").context["lines"]
    assert some.post(MONTH).status_code == 405


def test_a_schedule_renamed_in_the_middle_of_a_day_is_listed_under_both_names() -> None:
    for minute in range(0, 60, 3):
        ran(f"2026-11-19T09:{minute:02d}:00", schedule_name="Before")
    ran("2026-11-19T10:00:00", schedule_name="After")
    edges = november(ZoneInfo("UTC"))
    lines = calendar_agenda.past(edges[18], edges[19]).sorted()
    assert [(line.name, line.count) for line in lines] == [("Before", 20), ("After", 1)]


def test_the_heat_grows_with_the_load_and_the_numbers_are_there(boss: Client) -> None:
    for hour, count in ((8, 1), (9, 4), (10, 8)):
        for _ in range(count):
            ran(f"2026-11-19T{hour:02d}:00:00", "failed" if count == 4 else "succeeded")
    page = boss.get("/admin/calendar/week/2026/11/19/")
    thursday = [row[3] for _, row in page.context["hours"]]
    assert [cell.heat for cell in thursday[7:11]] == [0, 1, 2, 4]
    assert [cell.total for cell in thursday[7:11]] == [0, 1, 4, 8] and thursday[9].troubled == 4
    assert "failed or missed" in page.content.decode()
