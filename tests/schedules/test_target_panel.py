"""The panel on the page of a newsletter, a report or a policy: when it runs, and how to change that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cleanup.models import CleanupPolicy
from newsletters.models import Newsletter
from reports.models import ReportDefinition
from runs import clock
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

pytestmark = pytest.mark.django_db
MODELS: dict[str, tuple[type[models.Model], str]] = {
    "newsletter": (Newsletter, "newsletters_newsletter_change"),
    "report": (ReportDefinition, "reports_reportdefinition_change"),
    "cleanup": (CleanupPolicy, "cleanup_cleanuppolicy_change"),
}
Put = Callable[..., Schedule]


@pytest.fixture(autouse=True)
def things(db: None) -> None:
    call_command("loaddata", "demo_newsletters", "demo_reports", "demo_cleanup", verbosity=0)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def thing(kind: str) -> models.Model:
    found = MODELS[kind][0]._default_manager.order_by("pk").first()
    assert found is not None
    return found


def put(kind: str, name: str, **values: Any) -> Schedule:
    draft = ScheduleDraft.for_kind(kind, name=name, target_id=thing(kind).pk, **{"expression": "0 9 * * 1", **values})
    return services.create_schedule(None, draft)


def page(client: Client, kind: str) -> str:
    answer = client.get(reverse(f"admin:{MODELS[kind][1]}", args=[thing(kind).pk]))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def panel(html: str) -> str:
    return html.partition('id="when-it-runs"')[2].partition("</section>")[0]


@pytest.mark.parametrize(
    ("kind", "title"), [("newsletter", "When it goes out"), ("report", "When it is made"), ("cleanup", "When it runs")]
)
def test_the_page_says_when_it_runs_and_leads_to_the_schedule(boss: Client, kind: str, title: str) -> None:
    schedule = put(kind, "Monday one", time_zone="Europe/Berlin")
    shown = panel(page(boss, kind))
    for words in (title, "Active", "Monday one", "Every Monday at 09:00", "Europe/Berlin", "09:00 CE"):
        assert words in shown, words
    assert f'href="/admin/schedules/schedule/{schedule.pk}/"' in shown or f"/schedule/{schedule.pk}/detail/" in shown
    assert f'formaction="/admin/schedules/schedule/{schedule.pk}/pause/"' in shown


@pytest.mark.parametrize("kind", MODELS)
def test_without_a_schedule_it_offers_one_filled_in(boss: Client, kind: str) -> None:
    target = thing(kind)
    shown = panel(page(boss, kind))
    assert "It is on no schedule, so it never runs by itself." in shown
    url = shown.partition("al-button-primary")[2].partition('href="')[2].partition('"')[0].replace("&amp;", "&")
    form = boss.get(url).context["adminform"].form
    assert form["what"].value() == f"{kind}:{target.pk}" and form["name"].value() == str(target)


def test_a_policys_own_page_says_it_too(boss: Client) -> None:
    put("cleanup", "Nightly")
    html = boss.get(reverse("admin:cleanup_cleanuppolicy_detail", args=[thing("cleanup").pk])).content.decode()
    assert "Nightly" in panel(html)


def test_a_paused_one_says_why_and_that_its_next_run_is_left_out(boss: Client) -> None:
    schedule = put("newsletter", "Letter")
    services.pause_schedule(None, schedule.pk, reason="The address is wrong")
    shown = panel(page(boss, "newsletter"))
    assert "Paused" in shown and "The address is wrong" in shown and "Will not run" in shown
    assert "Resume" in shown


def test_the_one_due_next_comes_first_and_the_ended_last(boss: Client) -> None:
    put("newsletter", "Later", mode="once", once_at=clock.now() + timedelta(days=90))
    ended = put("newsletter", "Ended", mode="once", once_at=clock.now() + timedelta(days=1))
    Schedule.objects.filter(pk=ended.pk).update(next_due_at=None)
    put("newsletter", "Soon", mode="once", once_at=clock.now() + timedelta(days=2))
    shown = panel(page(boss, "newsletter"))
    assert shown.index("Soon") < shown.index("Later") < shown.index("Ended")


def test_pausing_from_the_newsletters_page_leads_back_to_it(boss: Client) -> None:
    schedule = put("newsletter", "Letter")
    here = reverse("admin:newsletters_newsletter_change", args=[thing("newsletter").pk])
    pause = reverse("admin:schedules_schedule_pause", args=[schedule.pk])
    answer = boss.post(pause, {"reason": "The address is wrong", "next": here})
    assert answer["Location"] == here
    elsewhere = reverse("admin:newsletters_newsletter_change", args=[thing("newsletter").pk + 1])
    assert boss.post(pause, {"next": elsewhere})["Location"] != elsewhere


def test_the_schedules_page_leads_to_what_it_runs(boss: Client) -> None:
    schedule = put("newsletter", "Letter")
    html = boss.get(reverse("admin:schedules_schedule_detail", args=[schedule.pk])).content.decode()
    assert f'href="{reverse("admin:newsletters_newsletter_change", args=[schedule.target_id])}"' in html


def test_it_shows_each_person_what_they_may_see_and_do(client: Client) -> None:
    put("newsletter", "Letter")
    anna = User.objects.create_user("anna", is_staff=True)
    client.force_login(anna)

    def may(*names: str) -> str:
        anna.user_permissions.set(
            Permission.objects.filter(codename__in=["change_newsletter", "view_newsletter", *names])
        )
        return page(client, "newsletter")

    assert "When it goes out" not in may()
    seen = panel(may("view_schedule"))
    assert "Letter" in seen and "Add a schedule" not in seen and "Pause" not in seen
    assert "Add a schedule" not in panel(may("view_schedule", "add_schedule"))
    seen = panel(may("view_schedule", "add_schedule", "send_newsletter", "pause_schedule"))
    assert "Add a schedule" in seen and "Pause" in seen and "Run now" not in seen


def test_ten_schedules_cost_as_many_queries_as_one(boss: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            page(boss, "newsletter")
        return len(seen)

    put("newsletter", "Letter 0")
    page(boss, "newsletter")  # what is looked up once is in the caches now
    before = queries()
    for number in range(1, 12):
        put("newsletter", f"Letter {number}")
    assert queries() == before
    assert panel(page(boss, "newsletter")).count("<tr>") == 11
    assert "the ten that are due next" in page(boss, "newsletter")
