"""The lists of newsletters, reports and policies say when each runs next, and why it will not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from newsletters.models import Newsletter
from runs import clock
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

pytestmark = pytest.mark.django_db
LISTS = {
    "newsletter": "newsletters_newsletter",
    "report": "reports_reportdefinition",
    "cleanup": "cleanup_cleanuppolicy",
}


@pytest.fixture(autouse=True)
def things(db: None) -> None:
    call_command("loaddata", "demo_newsletters", "demo_reports", "demo_cleanup", verbosity=0)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def put(name: str, target_id: int, days: int, kind: str = "newsletter") -> Schedule:
    once = clock.now() + timedelta(days=days)
    return services.create_schedule(
        None, ScheduleDraft.for_kind(kind, name=name, target_id=target_id, mode="once", once_at=once)
    )


def cells(client: Client, kind: str = "newsletter") -> list[str]:
    shown = client.get(reverse(f"admin:{LISTS[kind]}_changelist")).content.decode()
    return [cell.partition("</td>")[0] for cell in shown.split("field-next_run")[1:]]


@pytest.mark.parametrize("kind", LISTS)
def test_what_is_on_no_schedule_says_so(boss: Client, kind: str) -> None:
    shown = cells(boss, kind)
    assert shown and all("On no schedule" in cell and f"?what={kind}%3A" in cell for cell in shown)


def test_the_soonest_that_will_run_is_named(boss: Client) -> None:
    first = Newsletter.objects.order_by("name").first()
    assert first is not None
    paused = put("Soon", first.pk, 1)
    services.pause_schedule(None, paused.pk, reason="A wrong address")
    assert "Will not run" in cells(boss)[0] and "A wrong address" in cells(boss)[0]
    put("Last", first.pk, 9)
    later = put("Later", first.pk, 5)
    shown = cells(boss)
    assert f"/schedule/{later.pk}/" in shown[0] and "in 5 days" in shown[0] and "Will not run" not in shown[0]
    assert "On no schedule" in shown[1]


def test_it_costs_the_same_for_any_number_of_schedules(boss: Client) -> None:
    first = Newsletter.objects.order_by("name").first()
    assert first is not None
    put("One", first.pk, 1)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            cells(boss)
        return len(queries)

    count()  # what is looked up once
    before = count()
    for number, newsletter in enumerate(Newsletter.objects.all()):
        for more in range(5):
            put(f"More {number} {more}", newsletter.pk, 2 + more)
    assert count() == before


def test_who_may_not_see_schedules_sees_no_column(client: Client) -> None:
    anna = User.objects.create_user("anna", is_staff=True)
    client.force_login(anna)
    anna.user_permissions.set(Permission.objects.filter(codename="view_newsletter"))
    assert cells(client) == []
