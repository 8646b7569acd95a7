"""Every page of the sidebar opens for who may, and for nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from runs.models import AuditEntry, Notice
from scheduler_site.unfold import UNFOLD

pytestmark = pytest.mark.django_db


def links() -> list[str]:
    return [str(item["link"]) for group in UNFOLD["SIDEBAR"]["navigation"] for item in group["items"]]


@pytest.fixture
def boss(client: Client) -> User:
    user = User.objects.create_superuser("boss", password="boss")
    client.force_login(user)
    return user


@pytest.fixture
def nobody() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    return client


def test_every_link_opens_for_the_administrator(client: Client, boss: User) -> None:
    assert {link: client.get(link).status_code for link in links()} == dict.fromkeys(links(), 200)


def test_no_link_but_the_overview_opens_without_permission(nobody: Client) -> None:
    answers = {link: nobody.get(link).status_code for link in links()}
    assert answers.pop("/admin/") == 200
    assert set(answers.values()) == {403}


def test_nothing_opens_without_signing_in(client: Client) -> None:
    assert {client.get(link).status_code for link in links()} == {302}


def test_signing_in_leads_to_the_overview(client: Client) -> None:
    User.objects.create_superuser("boss", password="boss")
    answer = client.post("/admin/login/", {"username": "boss", "password": "boss"})
    assert answer.status_code == 302 and answer["Location"] == "/admin/"


def test_stock_pages_that_show_task_names_do_not_exist(client: Client, boss: User) -> None:
    assert client.get("/admin/django_celery_beat/periodictask/").status_code == 404


def test_what_is_not_there_is_said_in_our_own_face(client: Client) -> None:
    answer = client.get("/no/such/page/")
    assert answer.status_code == 404 and "There is nothing at this address" in answer.content.decode()


def test_policies_are_strict_for_readers_and_as_strict_as_can_be_for_staff(client: Client, boss: User) -> None:
    admin = client.get("/admin/")["Content-Security-Policy"]
    public = client.get("/feedback/")["Content-Security-Policy"]
    assert "default-src 'none'" in public and "script-src" not in public and "unsafe" not in public
    assert "script-src 'self' 'unsafe-eval'" in admin and "frame-ancestors 'none'" in admin


def test_the_overview_has_a_part_that_refreshes_itself(client: Client, boss: User, nobody: Client) -> None:
    assert "Next 24 hours" in client.get("/admin/overview/").content.decode()
    assert nobody.get("/admin/overview/").status_code == 403


def test_only_ones_own_notices_are_read_and_only_by_post(client: Client, boss: User) -> None:
    other = User.objects.create_user("other")
    for user in (boss, other):
        Notice.objects.create(user=user, text=f"For {user}")
    assert "For boss" in client.get("/admin/").content.decode()
    assert client.get("/admin/notices/read/").status_code == 405
    assert client.post("/admin/notices/read/").status_code == 302
    assert [notice.user for notice in Notice.objects.filter(read_at=None)] == [other]


VERBS = [
    ("/admin/schedules/schedule/{schedule}/pause/", {"reason": "x"}, 405),
    ("/admin/schedules/schedule/{schedule}/resume/", {}, 405),
    ("/admin/schedules/schedule/{schedule}/run-now/", {"form_key": "0" * 32}, 405),
    ("/admin/schedules/schedule/{schedule}/skip-next/", {}, 405),
    ("/admin/runs/run/{run}/cancel/", {}, 405),
    ("/admin/runs/run/{run}/retry/", {}, 405),
    ("/admin/runs/run/{run}/acknowledge/", {}, 405),
    ("/admin/cleanup/cleanuppolicy/{policy}/preview/", {}, 405),
    ("/admin/cleanup/cleanuppolicy/{policy}/enable/", {}, 405),
    ("/admin/cleanup/cleanuppolicy/{policy}/disable/", {}, 405),
]


@pytest.mark.parametrize(("address", "data", "on_get"), VERBS)
def test_verbs_take_post_with_a_token_and_a_permission_and_leave_an_entry(
    client: Client, boss: User, nobody: Client, address: str, data: dict[str, Any], on_get: int
) -> None:
    from cleanup.models import CleanupPolicy
    from runs import ledger
    from runs.states import Trigger
    from schedules import services
    from schedules.drafts import ScheduleDraft

    policy = CleanupPolicy.objects.create(name="Old", targets=["sessions"], days=30, is_enabled=True)
    draft = ScheduleDraft.for_kind("cleanup", name="Nightly", target_id=policy.pk, expression="30 3 * * *")
    schedule = services.create_schedule(None, draft)
    run = ledger.plan(ledger.NewRun(kind="cleanup", target_id=policy.pk, target_label="Old", trigger=Trigger.MANUAL))
    if "retry" in address or "acknowledge" in address:
        ledger.request_cancel(run)
    if "enable" in address:
        from cleanup.services import preview_policy

        preview_policy(None, policy.pk)
    url = address.format(schedule=schedule.pk, run=run.pk, policy=policy.pk)
    assert client.get(url).status_code == on_get
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(boss)
    assert careful.post(url, data).status_code == 403
    before = AuditEntry.objects.count()
    assert nobody.post(url, data).status_code == 403
    assert not AuditEntry.objects.filter(actor__username="nobody", was_refused=False).exists()
    assert client.post(url, data).status_code == 302
    assert AuditEntry.objects.filter(actor=boss, was_refused=False).count() >= (0 if "resume" in address else 1)
    assert AuditEntry.objects.count() >= before
