"""The schedule's pages by client: what is refused, what is kept, what is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from runs.models import AuditEntry, Run
from schedules import cron, planner, services
from schedules.drafts import ScheduleDraft
from schedules.models import HolidayCalendar, Schedule

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def form(target: Group, **changes: Any) -> dict[str, Any]:
    values = {
        "what": f"test:{target.pk}", "name": "Weekly", "mode": "cron", "expression": "0 9 * * 1", "time_zone": "Europe/Berlin",
        "missed": "latest", "overlap": "skip", "time_limit_minutes": 60, "retries": 0, "every_unit": "hours", "_save": "Save",
    }  # fmt: skip
    return values | changes


def test_saving_leads_to_the_schedules_own_page(boss: Client, target: Group) -> None:
    answer = boss.post("/admin/schedules/schedule/add/", form(target))
    schedule = Schedule.objects.get()
    assert answer["Location"] == f"/admin/schedules/schedule/{schedule.pk}/"
    page = boss.get(answer["Location"]).content.decode()
    assert "Every Monday at 09:00" in page and "Europe/Berlin" in page
    assert "schedules.run_job" not in page  # no task name on any screen
    assert AuditEntry.objects.get().actor_name == "boss"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expression": "0 25 * * *"}, "25 is not between 0 and 23"),
        ({"time_zone": "Mars/Base"}, "is not a time zone"),
        ({"what": ""}, "Choose what to run."),
        ({"what": "test:999999"}, "no longer exists"),
        ({"mode": "once", "once_at": "2026-02-30T10:00"}, "date and time that exist"),
        ({"mode": "once", "once_at": "2020-02-03T10:00"}, "has passed"),
        ({"mode": "once", "once_at": "9999-12-31T23:59"}, "Write a year from 1970 to 2199"),
        ({"ends_at": "0001-01-01T00:00"}, "Write a year from 1970 to 2199"),
        ({"jitter_minutes": "99999"}, "at most 24 hours"),
        ({"jitter_minutes": "nan"}, "Write a number of minutes"),
        ({"time_limit_minutes": "inf"}, "Write a number of minutes"),
        ({"pause_after": "0"}, "greater than or equal to 1"),
        ({"mode": "interval", "every_amount": ""}, "Write how often"),
        ({"retries": 99}, "less than or equal to 10"),
    ],
)
def test_a_wrong_value_is_said_at_its_field_and_nothing_is_lost(
    boss: Client, target: Group, changes: dict[str, Any], says: str
) -> None:
    answer = boss.post("/admin/schedules/schedule/add/", form(target, name="Kept as typed", **changes))
    page = answer.content.decode()
    assert answer.status_code == 200 and says in page and "Kept as typed" in page
    assert not Schedule.objects.exists()


def test_the_second_editor_is_told_keeps_the_text_and_may_insist(
    boss: Client, target: Group, create: MakeSchedule
) -> None:
    schedule = create(name="Original")
    url = f"/admin/schedules/schedule/{schedule.pk}/change/"
    seen = schedule.changed_at.isoformat()
    services.edit_schedule(
        None, schedule.pk, ScheduleDraft.for_kind("test", name="Theirs", target_id=target.pk, expression="0 8 * * *")
    )
    answer = boss.post(url, form(target, name="Mine", seen_version=seen))
    page = answer.content.decode()
    assert answer.status_code == 200 and "Somebody else changed this schedule" in page and 'value="Mine"' in page
    schedule = Schedule.objects.get()
    assert schedule.name == "Theirs"
    fresh = schedule.changed_at.isoformat()
    assert f'value="{fresh}"' in page.replace("&#x2B;", "+")
    assert boss.post(url, form(target, name="Mine", seen_version=fresh)).status_code == 302
    assert Schedule.objects.get().name == "Mine"


def test_run_now_posted_twice_runs_once(boss: Client, create: MakeSchedule) -> None:
    url = f"/admin/schedules/schedule/{create().pk}/run-now/"
    key = boss.post(url).context["form_key"]
    first, second = boss.post(url, {"form_key": key}), boss.post(url, {"form_key": key})
    assert first["Location"] == second["Location"] and Run.objects.count() == 1


def test_only_kinds_that_one_may_start_are_offered(client: Client, target: Group) -> None:
    from cleanup.models import CleanupPolicy

    CleanupPolicy.objects.create(name="Old rows", targets=["sessions"], days=30)
    anna = User.objects.create_user("anna", is_staff=True)
    anna.user_permissions.set(Permission.objects.filter(codename__in=["add_schedule", "view_schedule"]))
    client.force_login(anna)
    page = client.get("/admin/schedules/schedule/add/").content.decode()
    assert "Target" in page and "Old rows" not in page


def test_the_lists_cost_the_same_number_of_queries_however_long(
    boss: Client, create: MakeSchedule, django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        services.run_now(None, create(name=f"S{number:02d}").pk)
    boss.get("/admin/schedules/schedule/")
    with django_assert_max_num_queries(16):
        boss.get("/admin/schedules/schedule/")
    with django_assert_max_num_queries(12):
        boss.get("/admin/runs/run/")
    with django_assert_max_num_queries(25):
        boss.get("/admin/")


def test_every_rule_of_the_form_is_kept_and_shown_again(boss: Client, target: Group) -> None:
    calendar = HolidayCalendar.objects.create(name="Bavaria", country="DE", subdivision="BY")
    given = {
        "missed": "all", "missed_cap": 5, "start_deadline_minutes": "1.5", "jitter_minutes": "0.5", "calendar": calendar.pk,
        "calendar_rule": "move", "time_limit_minutes": "2.5", "retries": 3, "retry_delay_minutes": "0.25", "notify_after": 2,
        "pause_after": 4,
    }  # fmt: skip
    boss.post("/admin/schedules/schedule/add/", form(target, **given))
    schedule = Schedule.objects.get()
    seconds = (
        schedule.start_deadline_seconds, schedule.jitter_seconds, schedule.time_limit_seconds, schedule.retry_delay_seconds,
    )  # fmt: skip
    assert seconds == (90, 30, 150, 15)
    assert (schedule.missed_cap, schedule.notify_after, schedule.pause_after) == (5, 2, 4)
    assert (schedule.calendar, schedule.calendar_rule) == (calendar, "move")
    shown = boss.get(f"/admin/schedules/schedule/{schedule.pk}/change/").context["adminform"].form
    kept = {name: shown[name].value() for name in ("start_deadline_minutes", "time_limit_minutes", "calendar")}
    assert kept == {"start_deadline_minutes": "1.5", "time_limit_minutes": "2.5", "calendar": calendar.pk}
    page = boss.get(f"/admin/schedules/schedule/{schedule.pk}/").content.decode()
    for words in (
        "Holidays of Bavaria",
        "After 4 failures in a row",
        "Start is spread over",
        "at most 5",
        "30 seconds",
    ):
        assert words in page, words


@pytest.mark.parametrize(
    ("wall", "utc"), [("2027-03-28T02:30", "2027-03-28T01:00"), ("2026-10-25T02:30", "2026-10-25T00:30")]
)
def test_a_time_inside_a_clock_change_is_read_as_everywhere(
    boss: Client, target: Group, fake_clock: Callable[[str], Any], wall: str, utc: str
) -> None:
    """Berlin: 02:30 does not exist in spring and comes twice in autumn; cron and words say 03:00 and the first one."""
    fake_clock("2026-10-01T00:00:00")
    boss.post("/admin/schedules/schedule/add/", form(target, mode="once", once_at=wall))
    once_at = Schedule.objects.get().once_at
    assert once_at is not None and f"{once_at:%Y-%m-%dT%H:%M}" == utc
    day = wall.split("T")[0]
    same = cron.parse(f"30 2 {int(day[8:])} {int(day[5:7])} *", "Europe/Berlin").upcoming(
        datetime(int(day[:4]), 1, 1, tzinfo=UTC), 1
    )
    assert same == [once_at]


def test_many_are_paused_with_one_reason_and_resumed(boss: Client, create: MakeSchedule) -> None:
    ids = [create(name=f"S{number}").pk for number in range(3)]
    url = "/admin/schedules/schedule/"
    asked = boss.post(url, {"action": "pause_selected", "_selected_action": ids})
    assert "Pause 3 schedules" in asked.content.decode() and not Schedule.objects.exclude(paused_at=None).exists()
    chosen = {"action": "pause_selected", "_selected_action": ids, "confirmed": "1"}
    refused = boss.post(url, {**chosen, "reason": " "})
    assert "Say why" in refused.content.decode() or "required" in refused.content.decode()
    assert not Schedule.objects.exclude(paused_at=None).exists()
    boss.post(url, {**chosen, "reason": "Christmas"})
    assert Schedule.objects.filter(pause_reason="Christmas").count() == 3
    assert AuditEntry.objects.filter(action="paused the schedule", actor_name="boss").count() == 3
    boss.post(url, {"action": "resume_selected", "_selected_action": ids})
    assert not Schedule.objects.exclude(paused_at=None).exists()


def test_the_list_actions_are_refused_to_viewers(client: Client, create: MakeSchedule) -> None:
    anna = User.objects.create_user("anna", is_staff=True)
    anna.user_permissions.add(Permission.objects.get(codename="view_schedule"))
    client.force_login(anna)
    schedule = create()
    chosen = {"action": "pause_selected", "_selected_action": [schedule.pk], "confirmed": "1", "reason": "x"}
    client.post("/admin/schedules/schedule/", chosen)
    schedule.refresh_from_db()
    assert not schedule.is_paused


def test_resume_asks_what_becomes_of_what_was_left_out(
    boss: Client, create: MakeSchedule, fake_clock: Callable[[str], Any]
) -> None:
    clock = fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="0 9 * * *", time_zone="Europe/Berlin")
    services.pause_schedule(None, schedule.pk, reason="New logo")
    clock.value = datetime(2026, 11, 23, 12, tzinfo=UTC)
    planner.plan_due()
    page = boss.post(f"/admin/schedules/schedule/{schedule.pk}/resume/").content.decode()
    assert "3 runs" in page and "Sat 21 Nov 2026, 09:00 CET" in page and "Run the latest one once" in page
    boss.post(f"/admin/schedules/schedule/{schedule.pk}/resume/", {"run": "nonsense"})
    schedule.refresh_from_db()
    assert schedule.is_paused
    answer = boss.post(f"/admin/schedules/schedule/{schedule.pk}/resume/", {"run": "latest"}, follow=True)
    assert "The latest run is being made up for." in answer.content.decode()
    assert Run.objects.filter(trigger="backfill").count() == 1


def test_past_times_are_listed_before_they_run_and_a_double_click_runs_once(
    boss: Client, create: MakeSchedule, fake_clock: Callable[[str], Any]
) -> None:
    fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="0 9 * * *", time_zone="Europe/Berlin")
    url = f"/admin/schedules/schedule/{schedule.pk}/backfill/"
    assert boss.get(url).status_code == 200
    stretch = {"start": "2026-11-18T00:00", "end": "2026-11-20T12:00"}
    listed = boss.get(url, stretch)
    page = listed.content.decode()
    assert "3 runs" in page and "Wed 18 Nov 2026, 09:00 CET" in page and not Run.objects.exists()
    post = {**stretch, "form_key": listed.context["form_key"]}
    for _ in range(2):
        boss.post(url, post)
    assert Run.objects.filter(trigger="backfill").count() == 3
    for odd in ("0001-01-01T00:00", "9999-12-31T23:59", "now", ""):
        assert boss.get(url, {**stretch, "start": odd}).status_code == 200
        assert boss.post(url, {**post, "end": odd}).status_code == 200
    future = boss.get(url, {**stretch, "end": "2027-01-01T00:00"}).content.decode()
    assert "Only the past can be made up for" in future


def calendar_form(**changes: Any) -> dict[str, Any]:
    return {"name": "Bavaria", "country": "DE", "subdivision": "Bayern", "own_days": "12-24 Christmas Eve"} | changes


def test_a_calendar_is_written_and_its_schedules_follow(
    boss: Client, create: MakeSchedule, fake_clock: Callable[[str], Any]
) -> None:
    fake_clock("2026-12-23T12:00:00")
    boss.post("/admin/schedules/holidaycalendar/add/", calendar_form())
    calendar = HolidayCalendar.objects.get()
    assert calendar.subdivision == "BY" and AuditEntry.objects.get().action == "added the calendar"
    schedule = create(expression="0 9 24 12 *", calendar_id=calendar.pk, calendar_rule="move")
    preview = boss.get(f"/admin/schedules/schedule/{schedule.pk}/?tab=upcoming").content.decode()
    assert "Christmas Eve; moved to Monday 28 December, 09:00" in preview
    version = Schedule.objects.get().settled_timing
    boss.post(f"/admin/schedules/holidaycalendar/{calendar.pk}/change/", calendar_form(own_days=""))
    assert Schedule.objects.get().settled_timing == version
    page = boss.get(f"/admin/schedules/schedule/{schedule.pk}/").content.decode()
    assert "moved to" not in page
    assert "Christmas Day" in boss.get(f"/admin/schedules/holidaycalendar/{calendar.pk}/change/").content.decode()
    boss.post(f"/admin/schedules/holidaycalendar/{calendar.pk}/delete/", {"post": "yes"})
    assert HolidayCalendar.objects.exists(), "a calendar that is followed stays"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": " "}, "required"),
        ({"country": "", "subdivision": "", "own_days": ""}, "Choose a country, or write days of your own"),
        ({"subdivision": "Texas"}, "no region of Germany"),
        ({"country": ""}, "Choose the country first"),
        ({"own_days": "tomorrow"}, "Line 1"),
        ({"country": "ZZ"}, "Select a valid choice"),
    ],
)
def test_a_calendar_that_cannot_be_read_is_refused_at_its_field(
    boss: Client, changes: dict[str, Any], says: str
) -> None:
    answer = boss.post("/admin/schedules/holidaycalendar/add/", calendar_form(**changes))
    assert answer.status_code == 200 and says in answer.content.decode()
    assert not HolidayCalendar.objects.exists()
