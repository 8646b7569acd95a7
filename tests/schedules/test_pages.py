"""The schedule's pages by client: what is refused, what is kept, what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from runs.models import AuditEntry, Run
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

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
        ({"what": ""}, "This field is required"),
        ({"what": "test:999999"}, "Select a valid choice"),
        ({"mode": "once", "once_at": "2026-02-30T10:00"}, "date and time that exist"),
        ({"mode": "once", "once_at": "2020-02-03T10:00"}, "has passed"),
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
    key = boss.get(url).context["form_key"]
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
