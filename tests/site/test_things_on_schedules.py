"""Newsletters, reports and policies that a schedule runs cannot be deleted, at any door; what is gone is told truly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.test import Client, RequestFactory
from django.utils import timezone

from cleanup import services as cleanup_services
from cleanup.models import CleanupPolicy
from newsletters import services as newsletter_services
from newsletters.models import Newsletter
from reports import services as report_services
from reports.models import ReportDefinition
from runs import clock
from runs.models import AuditEntry, Heartbeat
from scheduler_site import calendar_agenda, calendar_coming, calendar_days, health, ical
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 17, 55, tzinfo=UTC)
MakeThing = Callable[[str], Model]

THINGS: dict[str, MakeThing] = {
    "newsletter": lambda name: Newsletter.objects.create(name=name, subject="News"),
    "report": lambda name: ReportDefinition.objects.create(name=name, data_set="deliveries_per_day"),
    "cleanup": lambda name: CleanupPolicy.objects.create(name=name, targets=["sessions"], days=30),
}
DELETE: dict[str, Callable[[Any], None]] = {
    "newsletter": lambda thing: newsletter_services.delete_newsletter(None, thing),
    "report": lambda thing: report_services.delete_definition(None, thing.pk),
    "cleanup": lambda thing: cleanup_services.delete_policy(None, thing.pk),
}


@pytest.fixture(autouse=True)
def friday_evening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def put_on_schedule(kind: str, thing: Model, *names: str, expression: str = "0 9 * * *") -> list[Schedule]:
    drafts = [ScheduleDraft(name=name, kind=kind, target_id=thing.pk, expression=expression) for name in names]
    return [services.create_schedule(None, draft) for draft in drafts]


def delete_page(thing: Model) -> str:
    return f"/admin/{thing._meta.app_label}/{thing._meta.model_name}/{thing.pk}/delete/"


@pytest.mark.parametrize("kind", THINGS)
def test_the_service_refuses_names_the_schedules_and_notes_nothing(kind: str) -> None:
    thing = THINGS[kind]("Thing")
    put_on_schedule(kind, thing, "Monday letter")
    AuditEntry.objects.all().delete()
    with pytest.raises(ValidationError, match="The schedule “Monday letter” still runs it"):
        DELETE[kind](thing)
    assert type(thing)._default_manager.filter(pk=thing.pk).exists() and not AuditEntry.objects.exists()


@pytest.mark.parametrize("kind", THINGS)
def test_the_page_says_it_before_with_links_and_offers_no_button(boss: Client, kind: str) -> None:
    thing = THINGS[kind]("Thing")
    first, *_ = put_on_schedule(kind, thing, "A", "B", "C", "D")
    page = unescape(boss.get(delete_page(thing)).content.decode())
    assert "cannot be deleted yet" in page and "“A”, “B”, “C” and 1 more still run it" in page
    assert f'href="/admin/schedules/schedule/{first.pk}/">Open “A”</a>' in page and ">Delete</button>" not in page


@pytest.mark.parametrize("kind", THINGS)
def test_the_answer_to_an_old_page_is_the_same_refusal(boss: Client, kind: str) -> None:
    thing = THINGS[kind]("Thing")
    put_on_schedule(kind, thing, "Monday letter")
    page = boss.post(delete_page(thing), {"post": "yes"}).content.decode()
    assert "“Monday letter” still runs it" in unescape(page)
    assert type(thing)._default_manager.filter(pk=thing.pk).exists()


@pytest.mark.parametrize("kind", THINGS)
def test_without_a_schedule_it_is_asked_and_deleted(boss: Client, kind: str) -> None:
    thing = THINGS[kind]("Thing")
    assert "No schedule runs it." in boss.get(delete_page(thing)).content.decode()
    assert boss.post(delete_page(thing), {"post": "yes"}).status_code == 302
    assert not type(thing)._default_manager.filter(pk=thing.pk).exists()
    assert AuditEntry.objects.filter(action__startswith="deleted the").count() == 1


def test_what_is_put_on_a_schedule_after_the_last_look_is_refused_by_the_service(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing = THINGS["report"]("Thing")
    shown = admin.site._registry[ReportDefinition]
    monkeypatch.setattr(type(shown), "get_deleted_objects", lambda *given: ([], {}, set(), []))
    put_on_schedule("report", thing, "Monday letter")
    page = boss.post(delete_page(thing), {"post": "yes"}, follow=True).content.decode()
    assert "“Monday letter” still runs it" in unescape(page) and ReportDefinition.objects.exists()


@pytest.mark.parametrize("kind", THINGS)
def test_several_at_once_are_all_kept_when_one_is_used(kind: str) -> None:
    used, free = THINGS[kind]("Used"), THINGS[kind]("Free")
    put_on_schedule(kind, used, "Monday letter")
    request = RequestFactory().post("/")
    request.user = User.objects.create_superuser("boss")
    page = admin.site._registry[type(used)]
    rows = type(used)._default_manager.order_by("-pk")
    *_, protected = page.get_deleted_objects(rows, request)
    assert protected == ["The schedule “Monday letter” still runs it. Delete or change that schedule first."]
    with pytest.raises(ValidationError):
        page.delete_queryset(request, rows)
    assert rows.filter(pk__in=[used.pk, free.pk]).count() == 2


def test_who_may_not_see_schedules_gets_their_names_without_links(client: Client) -> None:
    user = User.objects.create_user("ed", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=("view_reportdefinition", "delete_reportdefinition"))
    )
    client.force_login(user)
    thing = THINGS["report"]("Thing")
    put_on_schedule("report", thing, "Monday letter")
    page = client.get(delete_page(thing)).content.decode()
    assert "<li>Monday letter</li>" in page and "/admin/schedules/" not in page


# Gone all the same


@pytest.fixture
def orphan() -> Schedule:
    """The only sign that it is broken is that its newsletter is not there."""
    thing = THINGS["newsletter"]("Thing")
    (schedule,) = put_on_schedule("newsletter", thing, "Orphan", expression="0 9 * * *")
    put_on_schedule("newsletter", THINGS["newsletter"]("Kept"), "Sound", expression="0 9 * * *")
    Newsletter.objects.filter(pk=thing.pk).delete()
    return schedule


def test_the_calendar_expects_nothing_of_it(boss: Client, orphan: Schedule) -> None:
    edges = calendar_days.day_edges(calendar_days.month_days(NOW.date().replace(day=1)), ZoneInfo("UTC"))
    load = calendar_coming.per_cell(edges, NOW).loads[22]
    assert (load.expected, load.left_out) == (1, 1)
    lines = {line.name: (line.word, line.tone) for line in calendar_agenda.coming(edges[22], edges[23], NOW).lines}
    assert lines == {"Orphan": ("Broken", "bad"), "Sound": ("Expected", "quiet")}
    page = boss.get("/admin/calendar/2026/11/23/").content.decode()
    assert "what it should run no longer exists" in page


def test_one_that_is_due_very_often_is_broken_in_one_line(orphan: Schedule) -> None:
    services.edit_schedule(
        None,
        orphan.pk,
        ScheduleDraft(
            name="Orphan", kind="newsletter", target_id=Newsletter.objects.get().pk, expression="*/5 * * * *"
        ),
    )
    Schedule.objects.filter(pk=orphan.pk).update(target_id=orphan.target_id)
    edges = calendar_days.day_edges([NOW.date() + timedelta(days=1)], ZoneInfo("UTC"))
    found = [line for line in calendar_agenda.coming(edges[0], edges[1], NOW).lines if line.name == "Orphan"]
    assert [(line.word, line.count) for line in found] == [("Broken", 288)]


def test_the_overview_names_it_and_says_that_somebody_is_needed(
    boss: Client, orphan: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_broker", lambda: (True, "Answers."))
    for role in ("beat", "worker"):
        Heartbeat.objects.create(name=role, role=role, started_at=NOW, seen_at=NOW)
    page = boss.get("/admin/")
    assert page.context["verdict"].word == "1 thing needs you"
    assert {one.schedule.name: str(one.why_not or "") for one in page.context["coming"]} == {
        "Orphan": "Broken: what it should run no longer exists", "Sound": "",
    }  # fmt: skip
    assert page.context["next"].schedule.name == "Sound"
    assert "What it should run no longer exists." in page.content.decode()


def test_the_feed_says_so_too(orphan: Schedule) -> None:
    boss = User.objects.create_superuser("boss")
    feed = ical.build(boss, NOW).to_ical().decode().replace("\r\n ", "")
    assert "SUMMARY:Broken: Orphan" in feed and "SUMMARY:Orphan" not in feed and "SUMMARY:Sound" in feed


def test_the_search_calls_it_broken(boss: Client, orphan: Schedule) -> None:
    page = boss.get("/admin/search/", {"s": "orphan"}, headers={"hx-request": "true"}).content.decode()
    assert "Schedule, broken" in page
