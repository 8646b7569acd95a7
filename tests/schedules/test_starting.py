"""A newsletter, a report or a policy is started by hand although it is on no schedule."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from cleanup.models import CleanupPolicy
from newsletters.models import Newsletter
from reports.models import ReportDefinition, ReportRun
from runs import ledger
from runs.models import AuditEntry, Run
from runs.tasks import RunContext
from schedules import kinds, services, starting
from schedules.drafts import ScheduleDraft

pytestmark = pytest.mark.django_db
KEY = "c" * 32


@pytest.fixture(autouse=True)
def things(db: None) -> None:
    call_command("loaddata", "demo_newsletters", "demo_reports", "demo_cleanup", verbosity=0)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def first(model: type) -> int:
    return int(model.objects.order_by("pk").values_list("pk", flat=True)[0])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "model", "page"),
    [
        ("newsletter", Newsletter, "newsletters_newsletter_change"),
        ("report", ReportDefinition, "reports_reportdefinition_change"),
        ("cleanup", CleanupPolicy, "cleanup_cleanuppolicy_detail"),
    ],
)
def test_its_page_offers_it_and_asks_first(boss: Client, kind: str, model: type, page: str) -> None:
    number = first(model)
    url = reverse("admin:schedules_schedule_run_once", args=[f"{kind}:{number}"])
    here = reverse(f"admin:{page}", args=[number])
    assert f'formaction="{url}"' in boss.get(here).content.decode()
    asked = boss.post(url, {"next": here})
    assert "It needs no schedule for that." in asked.content.decode() and not Run.objects.exists()
    key = asked.context["form_key"]
    answers = [boss.post(url, {"form_key": key, "next": here}) for _ in range(2)]
    (run,) = Run.objects.all()  # a double click starts it once
    assert {answer["Location"] for answer in answers} == {reverse("admin:runs_run_change", args=[run.pk])}
    assert (run.kind, run.target_id, run.trigger, run.schedule_id) == (kind, number, "manual", None)
    assert run.requested_by_name == "boss" and run.queue == kinds.get(kind).queue
    (entry,) = AuditEntry.objects.filter(action=f"started the {kinds.get(kind).label.lower()} now")
    assert entry.after == {"run": run.pk}


def test_what_has_a_schedule_is_started_there(boss: Client) -> None:
    number = first(Newsletter)
    services.create_schedule(
        None, ScheduleDraft.for_kind("newsletter", name="Letter", target_id=number, expression="0 9 * * 1")
    )
    shown = boss.get(reverse("admin:newsletters_newsletter_change", args=[number])).content.decode()
    assert "/run-once/" not in shown and "/run-now/" in shown


def test_a_report_is_really_made() -> None:
    definition = ReportDefinition.objects.get(name__startswith="Runs by schedule")
    definition.owner = User.objects.create_superuser("boss")
    definition.save()
    run = starting.run_once(definition.owner, "report", definition.pk)
    claimed = ledger.claim(run.pk, "test")
    assert claimed is not None
    ledger.finish(claimed, kinds.get("report").perform(RunContext(claimed)))
    assert ReportRun.objects.get().state in ("succeeded", "empty") and Run.objects.get(pk=run.pk).state == "succeeded"


def test_who_may_not_or_what_is_gone(client: Client) -> None:
    anna = User.objects.create_user("anna", is_staff=True)
    client.force_login(anna)
    number = first(CleanupPolicy)
    url = reverse("admin:schedules_schedule_run_once", args=[f"cleanup:{number}"])
    assert client.post(url, {"form_key": KEY}).status_code == 403
    anna.user_permissions.set(Permission.objects.filter(codename="run_schedule"))
    assert client.post(url, {"form_key": KEY}).status_code == 403  # the kind has a permission of its own
    with pytest.raises(PermissionDenied):
        starting.run_once(User.objects.get(pk=anna.pk), "cleanup", number)
    for what in ("cleanup:999999", "cleanup:x", "nothing:1", "task:1"):
        assert client.post(reverse("admin:schedules_schedule_run_once", args=[what])).status_code == 404
    with pytest.raises(ValidationError, match="no longer exists"):
        starting.run_once(None, "cleanup", 999_999)
    assert not Run.objects.exists()
