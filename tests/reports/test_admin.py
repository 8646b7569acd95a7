from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import call_command
from django.test import Client

from reports import running, services
from reports.drafts import ReportDraft
from reports.models import Artefact, ReportDefinition
from runs.models import AuditEntry
from runs.tasks import RunContext
from schedules import kinds

FORM = {
    "name": "Weekly numbers",
    "data_set": "deliveries_per_day",
    "period": "last_week",
    "time_zone": "Europe/Berlin",
    "retention_days": "30",
}


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def test_staff_create_and_change_a_report(boss: Client) -> None:
    user = User.objects.get(username="boss")
    response = boss.post("/admin/reports/reportdefinition/add/", {**FORM, "notify": [str(user.pk)]})
    assert response.status_code == 302, response.context["errors"]
    definition = ReportDefinition.objects.get()
    assert (definition.name, definition.retention_days, definition.owner) == ("Weekly numbers", 30, user)
    assert list(definition.notify.all()) == [user]
    response = boss.post(f"/admin/reports/reportdefinition/{definition.pk}/change/", {**FORM, "row_cap": "5"})
    assert response.status_code == 302
    definition.refresh_from_db()
    assert definition.row_cap == 5 and not definition.notify.exists()
    entry = AuditEntry.objects.get(action="changed the report")
    assert (entry.before["row_cap"], entry.after["row_cap"]) == (None, 5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time_zone": "Europe/Atlantis"}, "is not a time zone"), ({"name": "Numbers"}, "already called"), ({"data_set": ""}, "This field is required"),
        ({"period": "last_n_days"}, "Write how many days"), ({"row_cap": "0"}, "greater than or equal to 1"), ({"retention_days": "99999"}, "how many days files are kept"),
    ],
)  # fmt: skip
def test_the_form_says_what_is_wrong(
    boss: Client, definition: ReportDefinition, changes: dict[str, str], words: str
) -> None:
    response = boss.post("/admin/reports/reportdefinition/add/", {**FORM, **changes})
    assert response.status_code == 200 and words in response.content.decode()
    assert ReportDefinition.objects.count() == 1


def test_the_page_of_a_report_shows_what_it_would_hold(boss: Client, definition: ReportDefinition) -> None:
    page = boss.get(f"/admin/reports/reportdefinition/{definition.pk}/change/").content.decode()
    url = f"/admin/reports/reportdefinition/preview/?report={definition.pk}"
    assert url in page
    shown = boss.post(url, FORM).content.decode()
    assert "A report made now covers these days" in shown and "New subscribers" in shown
    ReportDefinition.objects.update(data_set="gone")
    page = boss.get(f"/admin/reports/reportdefinition/{definition.pk}/change/").content.decode()
    assert "No longer available" in page


def test_the_pages_open(boss: Client, definition: ReportDefinition, claim: Callable[..., RunContext]) -> None:
    running.perform(claim(definition))
    artefact = Artefact.objects.get()
    assert "Deliveries and subscribers per day" in boss.get("/admin/reports/reportdefinition/").content.decode()
    assert boss.get("/admin/reports/reportdefinition/add/").status_code == 200
    for path in ("/admin/reports/artefact/", f"/admin/reports/artefact/{artefact.pk}/change/"):
        page = boss.get(path, follow=True).content.decode()
        assert running.download_url(artefact) in page and "9 to 15 November 2026" in page
    assert boss.get("/admin/reports/artefact/?name=numb").status_code == 200


def test_nobody_edits_the_library(boss: Client, definition: ReportDefinition, claim: Callable[..., RunContext]) -> None:
    running.perform(claim(definition))
    assert boss.post(f"/admin/reports/artefact/{Artefact.objects.get().pk}/change/", {}).status_code == 405
    assert boss.get("/admin/reports/artefact/add/").status_code == 403


def test_those_who_may_only_look_see_the_report(
    definition: ReportDefinition, staff: Callable[..., User], sign_in: Any
) -> None:
    client = sign_in(staff("viewer", "reports.view_reportdefinition"))
    page = client.get(f"/admin/reports/reportdefinition/{definition.pk}/change/")
    assert page.status_code == 200 and "Numbers" in page.content.decode()
    assert client.post(f"/admin/reports/reportdefinition/{definition.pk}/change/", FORM).status_code == 403


def test_deleting_a_report_keeps_its_files(
    boss: Client, definition: ReportDefinition, claim: Callable[..., RunContext]
) -> None:
    running.perform(claim(definition))
    assert boss.post(f"/admin/reports/reportdefinition/{definition.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not ReportDefinition.objects.exists()
    assert str(Artefact.objects.get().report_run) == "Numbers"
    assert AuditEntry.objects.filter(action="deleted the report").count() == 1


def test_the_services_check_the_permission_themselves(definition: ReportDefinition, staff: Callable[..., User]) -> None:
    nobody, draft = staff("nobody"), ReportDraft(name="X", data_set="deliveries_per_day")
    for attempt in (
        lambda: services.create_definition(nobody, draft),
        lambda: services.edit_definition(nobody, definition.pk, draft),
        lambda: services.delete_definition(nobody, definition.pk),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    assert AuditEntry.objects.filter(was_refused=True, actor_name="nobody").count() == 3


def test_the_services_validate(db: None) -> None:
    with pytest.raises(ValidationError) as raised:
        services.create_definition(
            None, ReportDraft(name=" ", data_set="x", period="y", time_zone="z", retention_days=0, row_cap=0)
        )
    assert set(raised.value.message_dict) == {"name", "data_set", "period", "time_zone", "retention_days", "row_cap"}


def test_the_kind_says_what_running_it_would_do(definition: ReportDefinition) -> None:
    words = kinds.get("report").describe_impact(definition)
    assert words.startswith("Lists “Deliveries and subscribers per day” for ")
    assert words.endswith(", as CSV, kept for 90 days")
    definition.formats = ["xlsx", "pdf"]
    assert "as Excel (XLSX), PDF, kept" in kinds.get("report").describe_impact(definition)
    definition.data_set = "gone"
    assert kinds.get("report").describe_impact(definition).startswith("Cannot be made")


@pytest.mark.django_db
def test_the_demo_loads_twice() -> None:
    for _ in range(2):
        call_command("loaddata", "demo_reports", verbosity=0)
    assert ReportDefinition.objects.count() == 3
    for definition in ReportDefinition.objects.all():
        services.edit_definition(None, definition.pk, ReportDraft.of(definition))
