"""What Ctrl+K finds: names, numbers and pages, little of each, and only what the person may see."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cleanup.models import CleanupPolicy
from runs.models import Run
from schedules import services
from schedules.drafts import ScheduleDraft

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def found(client: Client, term: str) -> list[str]:
    answer = client.get("/admin/search/", {"s": term, "extended": "1"})
    assert answer.status_code == 200
    return [f"{result.title} → {result.link}" for result in answer.context["results"]]


def policy(name: str) -> CleanupPolicy:
    return CleanupPolicy.objects.create(name=name, targets=["sessions"], days=30)


def schedule(name: str, target: CleanupPolicy) -> int:
    draft = ScheduleDraft.for_kind("cleanup", name=name, target_id=target.pk, expression="30 3 * * *")
    return services.create_schedule(None, draft).pk


def test_everything_with_the_name_is_found(boss: Client) -> None:
    target = policy("Tidy sessions")
    pk = schedule("Tidy up, every night", target)
    assert found(boss, "tidy") == [
        f"Tidy up, every night → /admin/schedules/schedule/{pk}/",
        f"Tidy sessions → /admin/cleanup/cleanuppolicy/{target.pk}/detail/",
    ]
    answer = boss.get("/admin/search/?s=tidy&extended=1").content.decode()
    assert "Schedule, active: Every day at 03:30" in answer


def test_pages_are_found_by_their_title(boss: Client) -> None:
    assert "Calendar → /admin/calendar/" in found(boss, "calen")
    assert found(boss, "no such thing") == []


def test_a_run_is_found_by_its_number(boss: Client) -> None:
    from django.utils import timezone

    run = Run.objects.create(kind="cleanup", target_label="Old", due_at=timezone.now(), state="failed")
    for term in (str(run.pk), f"run {run.pk}", f"#{run.pk}"):
        assert found(boss, term)[0].endswith(f"/admin/runs/run/{run.pk}/change/")
    for term in ("9" * 40, "²", "run", "-1", "0x10", "'; --", "%"):
        found(boss, term)


def test_at_most_ten_of_each_and_as_many_queries_for_many_as_for_few(boss: Client) -> None:
    target = policy("Tidy")
    schedule("Tidy", target)
    with CaptureQueriesContext(connection) as few:
        found(boss, "tidy")
    for number in range(15):
        policy(f"Tidy {number}")
        schedule(f"Tidy {number}", target)
    with CaptureQueriesContext(connection) as many:
        assert len(found(boss, "tidy")) == 20
    assert len(many) == len(few)


def test_nobody_finds_what_they_may_not_see_and_a_lost_permission_counts_at_once() -> None:
    target = policy("Tidy sessions")
    schedule("Tidy up", target)
    anna = User.objects.create_user("anna", is_staff=True)
    anna.user_permissions.set(Permission.objects.filter(codename__in=["view_schedule"]))
    client = Client()
    client.force_login(anna)
    assert [line.split(" → ")[0] for line in found(client, "tidy")] == ["Tidy up"]
    assert found(client, "calendar") and not found(client, "mailbox") and not found(client, "1")
    anna.user_permissions.clear()
    assert found(client, "tidy") == [] and found(client, "calendar") == []
    assert Client().get("/admin/search/?s=tidy").status_code == 302


def test_what_is_added_is_found_at_once_in_either_form(boss: Client) -> None:
    assert found(boss, "fresh") == []
    policy("Fresh")
    assert len(found(boss, "fresh")) == 1
    assert "Fresh" in boss.get("/admin/search/?s=fresh").content.decode()
    assert boss.get("/admin/search/?s=%20&extended=1").content == b""


def test_names_are_text_not_markup(boss: Client) -> None:
    policy("<script>alert(1)</script>")
    answer: Any = boss.get("/admin/search/?s=script&extended=1")
    assert "<script>alert" not in answer.content.decode()
