"""The overview answers: is everything all right, what needs somebody, and what happens next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs import clock
from runs.models import Heartbeat, QueuePause, Run
from runs.tasks import RunContext
from scheduler_site import dashboard, health, overview_chart
from schedules import desk_pause, kinds, services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 17, 55, tzinfo=UTC)
MakeSchedule = Callable[..., Schedule]


@pytest.fixture(autouse=True)
def a_sound_house(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    monkeypatch.setattr(health, "_broker", lambda: (True, "Answers."))
    for role in ("beat", "worker"):
        Heartbeat.objects.create(name=role, role=role, started_at=NOW, seen_at=NOW)


@pytest.fixture
def create() -> Iterator[MakeSchedule]:
    target = Group.objects.create(name="Target")

    def perform(run: RunContext) -> str:
        return ""

    kinds.register(kinds.JobKind(key="test", label="Test job", perform=perform, target_model="auth.Group"))

    def make(name: str, expression: str = "0 20 * * *", **changes: Any) -> Schedule:
        draft = ScheduleDraft(name=name, kind="test", target_id=target.pk, expression=expression, **changes)
        return services.create_schedule(None, draft)

    yield make
    kinds._registry.pop("test", None)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def ran(state: str, due_at: datetime = NOW, **values: Any) -> Run:
    defaults = {"kind": "test", "schedule_name": "Letter", "trigger": "manual", "finished_at": due_at}
    return Run.objects.create(state=state, due_at=due_at, **(defaults | values))


def test_all_is_well_and_what_comes_next_is_said_first(boss: Client, create: MakeSchedule) -> None:
    create("Evening letter")
    create("Morning letter", "0 7 * * *")
    page = boss.get("/admin/")
    assert page.context["verdict"].word == "All is well"
    assert page.context["next"].schedule.name == "Evening letter"
    html = page.content.decode()
    assert html.index("All is well") < html.index("Health") < html.index("Needs attention")
    assert '<time datetime="2026-11-20T20:00:00+00:00" data-countdown>in 2 hours 5 minutes</time>' in html


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        ("failed", "1 thing needs you"),
        ("desk pause", "Everything is paused"),
        ("clock", "Something is down"),
        ("queue pause", "All is well, with a pause"),
    ],
)
def test_the_verdict_names_the_worst(boss: Client, create: MakeSchedule, trouble: str, word: str) -> None:
    create("Evening letter")
    match trouble:
        case "failed":
            ran("failed", NOW - timedelta(days=2), error="The mail server did not answer.")
        case "desk pause":
            desk_pause.pause_everything(None, reason="Moving house")
        case "clock":
            Heartbeat.objects.filter(role="beat").update(seen_at=NOW - timedelta(hours=1))
        case "queue pause":
            QueuePause.objects.create(queue="newsletters", reason="Server moves", paused_at=NOW)
    page = boss.get("/admin/")
    assert page.context["verdict"].word == word
    html = page.content.decode()
    says = {"failed": "The mail server did not answer.", "desk pause": "Moving house", "clock": "Not working: clock"}
    assert says.get(trouble, "Server moves") in html


def test_the_same_trouble_again_and_again_is_one_line(boss: Client) -> None:
    for minute in range(8):
        ran("missed", NOW - timedelta(minutes=minute), schedule_id=1)
    ran("failed", NOW + timedelta(seconds=1), schedule_id=2, schedule_name="Other")
    page = boss.get("/admin/")
    assert [(str(run.schedule_name), further) for run, further in page.context["attention"]] == [
        ("Other", 0),
        ("Letter", 7),
    ]
    assert page.context["verdict"].word == "2 things need you" and "and 7 more" in page.content.decode()


def test_what_will_not_run_is_listed_with_its_reason_and_is_not_next(boss: Client, create: MakeSchedule) -> None:
    services.pause_schedule(None, create("Paused letter", "0 18 * * *").pk, reason="New logo")
    services.skip_next(None, create("Skipped letter", "0 19 * * *").pk)
    create("Evening letter")
    page = boss.get("/admin/")
    assert [(one.schedule.name, "" if one.why_not is None else one.why_not.word) for one in page.context["coming"]] == [
        ("Paused letter", "Paused"), ("Skipped letter", "Skipped"), ("Evening letter", ""),
    ]  # fmt: skip
    assert page.context["next"].schedule.name == "Evening letter"
    desk_pause.pause_everything(None, reason="Moving house")
    page = boss.get("/admin/")
    assert page.context["next"] is None and "Nothing runs until somebody resumes." in page.content.decode()


def test_running_jobs_say_how_long_they_still_take(boss: Client) -> None:
    run = ran(
        "running", finished_at=None, started_at=NOW - timedelta(minutes=10), progress_done=250, progress_total=1000,
        progress_unit="mails",
    )  # fmt: skip
    assert dashboard._left(run, NOW) == "about 30 min left"
    html = boss.get("/admin/overview/").content.decode()
    assert "250 of 1,000 mails" in html and "about 30 min left" in html and "<progress" in html
    for changes in (
        {"progress_done": 0},
        {"progress_total": None},
        {"started_at": NOW},
        {"progress_done": 1000},
        {"attempt": 2},
    ):
        for name, value in changes.items():
            setattr(run, name, value)
        assert dashboard._left(run, NOW) == ""
        run.refresh_from_db()


def test_an_empty_desk_offers_three_ways_to_begin(boss: Client) -> None:
    html = boss.get("/admin/").content.decode()
    for name in ("weekly-newsletter", "monthly-report", "nightly-cleanup"):
        assert f'href="/admin/schedules/schedule/add/?template={name}"' in html
    assert "Each day will be a bar here" in html


def test_todays_numbers_begin_at_the_readers_midnight(boss: Client) -> None:
    ran("succeeded", datetime(2026, 11, 19, 23, 30, tzinfo=UTC))  # 00:30 in Berlin
    ran("failed")
    figures = {figure.label: figure.value for figure in boss.get("/admin/").context["figures"]}
    assert (figures["Succeeded today"], figures["Failed today"]) == (0, 1)
    with timezone.override("Europe/Berlin"):
        figures = {figure.label: figure.value for figure in boss.get("/admin/").context["figures"]}
    assert figures["Succeeded today"] == 1


def test_the_chart_has_thirty_days_a_sentence_and_the_same_numbers_as_a_table(boss: Client) -> None:
    for state in ("succeeded", "succeeded", "failed", "missed", "skipped", "cancelled"):
        ran(state, datetime(2026, 11, 19, 23, 30, tzinfo=UTC))
    ran("succeeded", NOW - timedelta(days=40))
    with timezone.override("Europe/Berlin"):
        bars = overview_chart.chart().bars
    assert (len(bars), bars[0].day, bars[-1].day) == (30, date(2026, 10, 22), date(2026, 11, 20))
    assert (bars[-1].succeeded, bars[-1].failed, bars[-1].left_out) == (2, 1, 2)
    html = boss.get("/admin/").content.decode()
    assert 'aria-label="In 30 days 2 succeeded, 1 failed, 2 were missed or skipped."' in html
    assert "Show as table" in html and html.count("<rect") == 33 and "Thursday 19 November: 2 succeeded" in html


def test_one_failure_among_thousands_is_seen_and_no_bar_leaves_the_chart() -> None:
    bar = overview_chart.Bar(date(2026, 11, 20), 99_999, 1, 1, 0, "")
    overview_chart._stack(bar, 100_001)
    heights = {part.tone: part.height for part in bar.parts}
    assert heights["bad"] > 2 and sum(heights.values()) <= 100.1 and min(part.y for part in bar.parts) >= -0.1


def test_the_page_costs_the_same_however_much_there_is(boss: Client, create: MakeSchedule) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert boss.get(path).status_code == 200
        return len(seen)

    create("First")
    ran("failed")
    ran("running", finished_at=None)
    boss.get("/admin/")
    few = queries("/admin/"), queries("/admin/overview/")
    for number in range(20):
        create(f"S{number}")
        ran("failed", schedule_id=number)
        ran("running", finished_at=None, schedule_id=number)
    assert (queries("/admin/"), queries("/admin/overview/")) == few
    assert max(few) <= 25


def test_schedules_are_named_only_to_those_who_may_see_them(create: MakeSchedule) -> None:
    create("Secret letter")
    client = Client()
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_run"))
    client.force_login(user)
    html = client.get("/admin/").content.decode()
    assert "All is well" in html and "Secret letter" not in html and "See the calendar" not in html
