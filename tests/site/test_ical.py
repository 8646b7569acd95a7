"""The private calendar feed: what it holds, who may read it, and that it is valid iCalendar (read back by a parser)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from icalendar import Calendar

from runs import clock
from runs.models import AuditEntry, Run, StaffSettings
from runs.tasks import RunContext
from scheduler_site import feed, ical
from schedules import kinds, services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 17, 55, tzinfo=UTC)
MakeSchedule = Callable[..., Schedule]


@pytest.fixture(autouse=True)
def friday_evening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def create(db: None) -> Iterator[MakeSchedule]:
    target = Group.objects.create(name="Target")

    def perform(run: RunContext) -> str:
        return ""

    kinds.register(kinds.JobKind(key="test", label="Test job", perform=perform, target_model="auth.Group"))

    def make(name: str, expression: str, **changes: Any) -> Schedule:
        draft = ScheduleDraft(name=name, kind="test", target_id=target.pk, expression=expression, **changes)
        return services.create_schedule(None, draft)

    yield make
    kinds._registry.pop("test", None)


@pytest.fixture
def anna() -> User:
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_schedule", "view_run"]))
    return user


def ran(schedule: Schedule, due_at: datetime, state: str = "succeeded", **values: Any) -> Run:
    defaults = {"kind": "test", "trigger": "schedule", "finished_at": due_at}
    return Run.objects.create(
        schedule_id=schedule.pk, schedule_name=schedule.name, due_at=due_at, state=state, **(defaults | values)
    )


def read(client: Client, token: str) -> list[Any]:
    answer = client.get(f"/calendar/{token}.ics")
    assert answer.status_code == 200
    return list(Calendar.from_ical(answer.content).walk("VEVENT"))


def test_the_feed_holds_a_week_back_and_sixty_days_ahead(client: Client, anna: User, create: MakeSchedule) -> None:
    schedule = create("City news; all, of it", "0 9 * * 1", time_zone="Europe/Berlin")
    monday = datetime(2026, 11, 16, 8, tzinfo=UTC)
    ran(schedule, monday, result="200 sent.")
    ran(schedule, monday - timedelta(days=7))
    events = read(client, feed.create_feed(anna))
    starts = [event["DTSTART"].dt for event in events]
    assert starts == [monday + timedelta(days=7 * week) for week in range(10)]
    assert str(events[0]["SUMMARY"]) == "City news; all, of it: succeeded"
    assert str(events[1]["SUMMARY"]) == "City news; all, of it"
    assert str(events[0]["DESCRIPTION"]) == "200 sent."
    assert str(events[1]["URL"]) == f"http://testserver/admin/schedules/schedule/{schedule.pk}/"
    assert len({str(event["UID"]) for event in events}) == len(events)


def test_lines_end_and_fold_as_the_standard_asks(client: Client, anna: User, create: MakeSchedule) -> None:
    create("Übermäßig langer Name, mit Komma; " * 5, "0 9 * * 1")
    answer = client.get(f"/calendar/{feed.create_feed(anna)}.ics")
    lines = answer.content.split(b"\r\n")
    assert b"\n" not in b"".join(lines) and max(map(len, lines)) <= 75
    assert lines[0] == b"BEGIN:VCALENDAR" and lines[-2] == b"END:VCALENDAR"
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    event = next(iter(Calendar.from_ical(answer.content).walk("VEVENT")))
    assert event["DTSTART"].to_ical() == b"20261123T090000Z"
    assert re.search(rb"\r\nDTSTAMP:\d{8}T\d{6}Z\r\n", answer.content)


def test_a_due_time_keeps_its_identity_when_it_has_run(client: Client, anna: User, create: MakeSchedule) -> None:
    schedule = create("Daily", "0 9 * * *")
    token = feed.create_feed(anna)
    before = read(client, token)[0]
    ran(schedule, before["DTSTART"].dt - timedelta(days=1), "failed")
    after = read(client, token)
    assert str(after[0]["UID"]).split("-")[-1] == "20261120T090000Z@testserver"
    assert str(after[1]["UID"]) == str(before["UID"])
    assert str(after[0]["SUMMARY"]) == "Daily: failed"


def test_what_runs_often_is_one_line_a_day(client: Client, anna: User, create: MakeSchedule) -> None:
    schedule = create("Pulse", "*/5 * * * *")
    for minute in range(10):
        ran(schedule, NOW - timedelta(days=1, minutes=minute), "failed" if minute == 3 else "succeeded")
    events = read(client, feed.create_feed(anna))
    assert len(events) == 61
    assert (events[0]["DTSTART"].dt, str(events[0]["SUMMARY"])) == (
        date(2026, 11, 19), "Pulse: 1 failed, 9 succeeded",
    )  # fmt: skip
    assert (events[2]["DTSTART"].dt, str(events[2]["SUMMARY"])) == (date(2026, 11, 21), "Pulse × 288")


def test_whole_days_are_the_owners_days(client: Client, anna: User, create: MakeSchedule) -> None:
    create("Night watch", "*/5 0-3 * * *")
    token = feed.create_feed(anna)
    StaffSettings.objects.filter(user=anna).update(time_zone="America/New_York")
    first, second, *_ = read(client, token)
    assert str(first["SUMMARY"]) == "Night watch × 48" and first["DTSTART"].dt == date(2026, 11, 20)
    assert second["DTSTART"].dt == date(2026, 11, 21)


def test_pauses_and_skips_are_named(client: Client, anna: User, create: MakeSchedule) -> None:
    paused, skipped = create("Paused", "0 9 23 11 *"), create("Skipped", "0 10 23 11 *")
    services.pause_schedule(None, paused.pk, reason="New logo")
    services.skip_next(None, skipped.pk)
    first, second = read(client, feed.create_feed(anna))
    assert str(first["SUMMARY"]) == "Paused: Paused" and "New logo" in str(first["DESCRIPTION"])
    assert str(second["SUMMARY"]) == "Skipped: Skipped"


def test_an_unchanged_feed_is_not_sent_again(client: Client, anna: User, create: MakeSchedule) -> None:
    schedule = create("Daily", "0 9 * * *")
    url = f"/calendar/{feed.create_feed(anna)}.ics"
    first = client.get(url)
    assert "private" in first["Cache-Control"] and "max-age=300" in first["Cache-Control"]
    again = client.get(url, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304 and not again.content
    services.skip_next(None, schedule.pk)
    assert client.get(url, headers={"If-None-Match": first["ETag"]}).status_code == 200
    assert client.head(url).status_code == 200 and client.post(url).status_code == 405


def test_too_much_is_cut_and_said(
    client: Client, anna: User, create: MakeSchedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ical, "SCHEDULES", 2)
    for number in range(3):
        create(f"S{number}", "0 9 23 11 *")
    events = read(client, feed.create_feed(anna))
    assert len(events) == 3 and "only the first 2 schedules" in str(events[0]["SUMMARY"])


@pytest.mark.parametrize("change", ["inactive", "no longer staff", "no permission", "removed", "replaced", "wrong"])
def test_an_address_that_does_not_work_is_simply_not_there(client: Client, anna: User, change: str) -> None:
    token = feed.create_feed(anna)
    url = f"/calendar/{token}.ics"
    assert client.get(url).status_code == 200
    match change:
        case "inactive":
            User.objects.update(is_active=False)
        case "no longer staff":
            User.objects.update(is_staff=False)
        case "no permission":
            anna.user_permissions.remove(Permission.objects.get(codename="view_schedule"))
        case "removed":
            assert feed.remove_feed(anna)
        case "replaced":
            assert client.get(f"/calendar/{feed.create_feed(anna)}.ics").status_code == 200
        case "wrong":
            url = f"/calendar/{token[:-1]}{'a' if token[-1] != 'a' else 'b'}.ics"
    assert client.get(url).status_code == 404


def test_runs_are_left_out_for_who_may_not_see_them(client: Client, anna: User, create: MakeSchedule) -> None:
    schedule = create("Daily", "0 9 20 11 *")
    ran(schedule, NOW - timedelta(hours=2))
    token = feed.create_feed(anna)
    assert len(read(client, token)) == 1
    anna.user_permissions.remove(Permission.objects.get(codename="view_run"))
    assert read(client, token) == []


def test_the_address_is_shown_once_and_only_a_hash_is_kept(client: Client, anna: User) -> None:
    client.force_login(anna)
    assert "Make my private address" in client.get("/admin/calendar/feed/").content.decode()
    address = client.post("/admin/calendar/feed/new/").context["address"]
    token = address.removeprefix("http://testserver/calendar/").removesuffix(".ics")
    assert len(token) == 43
    stored = StaffSettings.objects.get(user=anna).calendar_token_hash
    assert stored == feed.hash_of(token) and token not in str(stored)
    later = client.get("/admin/calendar/feed/").content.decode()
    assert token not in later and "Replace it with a new address" in later
    assert Client().get(f"/calendar/{token}.ics").status_code == 200
    client.post("/admin/calendar/feed/new/")
    client.post("/admin/calendar/feed/remove/")
    assert StaffSettings.objects.get(user=anna).calendar_token_hash is None
    entries = AuditEntry.objects.filter(actor=anna).order_by("id")
    assert [entry.action for entry in entries] == [
        "made a calendar address", "replaced the calendar address", "removed the calendar address",
    ]  # fmt: skip
    assert token not in "".join(f"{entry.before}{entry.after}" for entry in entries)


def test_making_an_address_takes_a_post_with_a_token_and_the_permission(anna: User) -> None:
    for verb in ("new", "remove"):
        url = f"/admin/calendar/feed/{verb}/"
        careful = Client(enforce_csrf_checks=True)
        careful.force_login(anna)
        assert careful.get(url).status_code == 405 and careful.post(url).status_code == 403
    nobody = Client()
    nobody.force_login(User.objects.create_user("nobody", is_staff=True))
    assert nobody.get("/admin/calendar/feed/").status_code == 403
    assert nobody.post("/admin/calendar/feed/new/").status_code == 403
    assert not StaffSettings.objects.exists()


def test_many_schedules_cost_the_same_number_of_queries(
    client: Client, anna: User, create: MakeSchedule, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    token = feed.create_feed(anna)
    ran(create("S", "0 9 * * 1"), NOW - timedelta(days=1))
    with django_assert_max_num_queries(40) as few:
        read(client, token)
    for number in range(10):
        ran(create(f"S{number}", "0 9 * * 1"), NOW - timedelta(days=1, minutes=number))
    with django_assert_num_queries(len(few)):
        read(client, token)
