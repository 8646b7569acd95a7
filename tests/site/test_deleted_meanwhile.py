"""A form whose row somebody else deleted keeps what was typed, says who and when, and saves only when asked to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from cleanup import services as cleanup
from cleanup.models import CleanupPolicy
from newsletters import services as newsletters
from newsletters.models import List, Newsletter
from reports import services as reports
from reports.drafts import ReportDraft
from runs.models import AuditEntry
from schedules import calendars, services
from schedules.drafts import ScheduleDraft
from schedules.models import HolidayCalendar, Schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> User:
    return User.objects.create_superuser("anna")


@pytest.fixture
def berta() -> User:
    return User.objects.create_superuser("berta")


def a_policy() -> CleanupPolicy:
    return CleanupPolicy.objects.create(name="Old", targets=["sessions"], days=30)


def a_schedule() -> Schedule:
    draft = ScheduleDraft.for_kind("cleanup", name="Nightly", target_id=a_policy().pk, expression="30 3 * * *")
    return services.create_schedule(None, draft)


def a_newsletter() -> Newsletter:
    letter = Newsletter.objects.create(name="Letter", subject="News", body="Hello")
    letter.lists.add(List.objects.create(name="Readers", slug="readers"))
    return letter


Case = tuple[Callable[[], Any], Callable[[User, Any], object]]
CASES: dict[str, Case] = {
    "schedules_schedule": (a_schedule, lambda who, row: services.delete_schedule(who, row.pk)),
    "newsletters_newsletter": (a_newsletter, newsletters.delete_newsletter),
    "reports_reportdefinition": (
        lambda: reports.create_definition(None, ReportDraft(name="Numbers", data_set="deliveries_per_day")),
        lambda who, row: reports.delete_definition(who, row.pk),
    ),
    "cleanup_cleanuppolicy": (a_policy, lambda who, row: cleanup.delete_policy(who, row.pk)),
    "schedules_holidaycalendar": (
        lambda: calendars.save_calendar(None, HolidayCalendar(), name="Home", country="DE"),
        calendars.delete_calendar,
    ),
}


def shown_values(page: Any) -> dict[str, Any]:
    """What the browser would send of this form."""
    form = page.context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {
        name: [getattr(one, "pk", one) for one in value] if isinstance(value, list) else value
        for name, value in values.items()
        if value not in (None, "", False)
    }


@pytest.mark.parametrize("model", CASES)
def test_what_was_typed_becomes_a_new_row_only_by_a_second_save(
    client: Client, anna: User, berta: User, model: str
) -> None:
    make, delete = CASES[model]
    row: Model = make()
    rows = type(row)._default_manager
    url, add = reverse(f"admin:{model}_change", args=[row.pk]), reverse(f"admin:{model}_add")
    client.force_login(anna)
    typed = shown_values(client.get(url)) | {"name": "Typed for an hour"}
    old_name = str(row)
    delete(berta, row)

    answer = client.post(url, typed)
    text = answer.content.decode()
    assert answer.status_code == 200 and rows.count() == 0
    assert f"“{old_name}” was deleted by berta (" in text
    assert "What you typed is kept below" in text and f'action="{add}"' in text
    assert "runs/form_action.js" in text, "with scripts, Unfold would send it to the page's own address"
    form = answer.context["adminform"].form
    assert form["name"].value() == "Typed for an hour"
    assert not form.errors and "correct the error" not in text, "nothing is wrong with it"
    assert not AuditEntry.objects.filter(actor=anna).exists()

    client.post(add, typed)
    assert [str(one) for one in rows.all()] == ["Typed for an hour"]
    assert AuditEntry.objects.get(actor=anna).object_label == "Typed for an hour"


def test_what_was_wrong_with_it_is_said_at_the_fields_too(client: Client, anna: User, berta: User) -> None:
    policy = a_policy()
    client.force_login(anna)
    cleanup.delete_policy(berta, policy.pk)
    url = reverse("admin:cleanup_cleanuppolicy_change", args=[policy.pk])
    form = client.post(url, {"name": "", "targets": ["sessions"], "days": "soon"}).context["adminform"].form
    assert set(form.errors) == {"name", "days"} and form["days"].value() == "soon"


def test_who_may_not_add_one_is_told_that_it_could_not_be_saved(client: Client, berta: User) -> None:
    carl = User.objects.create_user("carl", is_staff=True)
    names = ("change_cleanuppolicy", "view_cleanuppolicy")
    carl.user_permissions.set(Permission.objects.filter(codename__in=names))
    policy = a_policy()
    cleanup.delete_policy(berta, policy.pk)
    client.force_login(carl)
    url = reverse("admin:cleanup_cleanuppolicy_change", args=[policy.pk])
    answer = client.post(url, {"name": "Mine", "targets": ["sessions"], "days": "60"}, follow=True)
    assert answer.redirect_chain == [(reverse("admin:cleanup_cleanuppolicy_changelist"), 302)]
    assert "What you typed could not be saved" in answer.content.decode()
    assert not CleanupPolicy.objects.exists()


def test_opening_or_deleting_it_once_more_says_who_deleted_it(client: Client, anna: User, berta: User) -> None:
    policy = a_policy()
    cleanup.delete_policy(berta, policy.pk)
    client.force_login(anna)
    for verb, send in (("change", client.get), ("delete", client.get), ("delete", client.post)):
        url = reverse(f"admin:cleanup_cleanuppolicy_{verb}", args=[policy.pk])
        text = send(url, {"post": "yes"}, follow=True).content.decode()
        assert "“Old” was deleted by berta" in text, verb
        assert "What you typed" not in text
    text = client.get(reverse("admin:cleanup_cleanuppolicy_change", args=[99]), follow=True).content.decode()
    assert "does not exist; perhaps it was deleted." in text


def test_a_deletion_between_the_look_and_the_write_keeps_the_typing_too(
    client: Client, anna: User, berta: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = a_schedule()
    client.force_login(anna)
    url = reverse("admin:schedules_schedule_change", args=[schedule.pk])
    typed = shown_values(client.get(url)) | {"name": "Typed"}
    pages, looks = admin.site._registry[Schedule], [Schedule.objects.select_related("periodic_task").get()]
    services.delete_schedule(berta, schedule.pk)
    look = pages.get_object
    monkeypatch.setattr(pages, "get_object", lambda *args: looks.pop() if looks else look(*args))
    answer = client.post(url, typed)
    assert not looks and "was deleted by berta" in answer.content.decode()
    assert answer.context["adminform"].form["name"].value() == "Typed"
