"""Guards of policies: refused at the field, in words; enabling needs a fresh preview of the same rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client

from cleanup import services
from cleanup.models import CleanupPolicy, CleanupPreview, Hold
from runs import clock
from runs.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("rule", "field", "says"),
    [
        ({"targets": []}, "targets", "at least one thing"),
        ({"targets": ["auth.User"]}, "targets", "cannot be cleaned"),
        ({"days": 0}, "days", "at least 1 day"),
        ({"targets": ["sessions", "unconfirmed_subscriptions"], "days": 6}, "days", "at least 7 days"),
        ({"days": None}, "days", "at least"),
        ({"days": 99999}, "days", "at most"),
        ({"max_rows": 0}, "max_rows", "at least 1"),
    ],
)
def test_it_refuses_at_the_field(rule: dict[str, Any], field: str, says: str) -> None:
    values: dict[str, Any] = {"targets": ["sessions"], "days": 30, "max_rows": None, **rule}
    with pytest.raises(ValidationError) as refusal:
        services.check_rule(**{"keys": values["targets"], "days": values["days"], "max_rows": values["max_rows"]})
    assert says in refusal.value.message_dict[field][0]


def test_enabling_needs_a_fresh_preview_of_the_same_rule(policy: CleanupPolicy) -> None:
    services.disable_policy(None, policy.pk)
    with pytest.raises(ValidationError, match="Preview it first"):
        services.enable_policy(None, policy.pk)
    services.preview_policy(None, policy.pk)
    CleanupPreview.objects.update(created_at=clock.now() - timedelta(hours=25))
    with pytest.raises(ValidationError, match="Preview it first"):
        services.enable_policy(None, policy.pk)
    services.preview_policy(None, policy.pk)
    policy.refresh_from_db()
    policy.days = 10
    services.save_policy(None, policy)
    with pytest.raises(ValidationError, match="Preview it first"):
        services.enable_policy(None, policy.pk)
    services.preview_policy(None, policy.pk)
    assert services.enable_policy(None, policy.pk).is_enabled


def test_a_changed_rule_switches_it_off_and_a_changed_name_does_not(policy: CleanupPolicy) -> None:
    policy.name = "Renamed"
    assert services.save_policy(None, policy).is_enabled
    policy.days = 31
    assert not services.save_policy(None, policy).is_enabled


def test_every_change_needs_its_permission_and_refusals_are_recorded(policy: CleanupPolicy) -> None:
    anna = User.objects.create_user("anna")
    hold = services.add_hold(None, target="sessions", object_id="1", reason="x")
    attempts: list[Callable[[], object]] = [
        lambda: services.save_policy(anna, policy),
        lambda: services.preview_policy(anna, policy.pk),
        lambda: services.enable_policy(anna, policy.pk),
        lambda: services.disable_policy(anna, policy.pk),
        lambda: services.delete_policy(anna, policy.pk),
        lambda: services.add_hold(anna, target="sessions", object_id="", reason="x"),
        lambda: services.release_hold(anna, hold.pk),
    ]
    for attempt in attempts:
        with pytest.raises(PermissionDenied):
            attempt()
    assert AuditEntry.objects.filter(actor_name="anna", was_refused=True).count() == len(attempts)


@pytest.mark.parametrize(
    "values", [{"target": "x", "object_id": "", "reason": "y"}, {"target": "sessions", "object_id": "", "reason": " "}]
)
def test_a_hold_needs_a_target_and_a_reason(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        services.add_hold(None, **values)
    assert not Hold.objects.exists()


def test_the_pages_from_a_new_policy_to_an_enabled_one(client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    wrong = client.post("/admin/cleanup/cleanuppolicy/add/", {"name": "New", "targets": [], "days": 0})
    assert wrong.status_code == 200 and "at least one thing" in wrong.content.decode()
    answer = client.post("/admin/cleanup/cleanuppolicy/add/", {"name": "New", "targets": ["sessions"], "days": 30})
    policy = CleanupPolicy.objects.get(name="New")
    assert answer["Location"] == f"/admin/cleanup/cleanuppolicy/{policy.pk}/detail/" and not policy.is_enabled
    page = f"/admin/cleanup/cleanuppolicy/{policy.pk}"
    client.post(f"{page}/enable/")
    assert "Preview it first" in client.get(f"{page}/detail/").content.decode()
    client.post(f"{page}/preview/")
    assert "0 rows" in client.get(f"{page}/detail/").content.decode()
    client.post(f"{page}/enable/")
    policy.refresh_from_db()
    assert policy.is_enabled
