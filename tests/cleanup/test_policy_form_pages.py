"""The form of a policy: every wrong value is refused in words at its field, nothing is lost, and the preview follows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.test import Client

from cleanup import services, targets
from cleanup.models import CleanupPolicy, CleanupPreview
from newsletters.models import Newsletter
from runs.models import AuditEntry

pytestmark = pytest.mark.django_db

ADD = "/admin/cleanup/cleanuppolicy/add/"
LIVE = "/admin/cleanup/cleanuppolicy/live/"
GOOD = {"name": "Old sessions", "targets": ["sessions"], "days": "30", "archive": "none", "max_rows": "500"}
Add = Callable[..., None]


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def errors(response: Any) -> dict[str, str]:
    """What the form says at each field."""
    found = response.context["adminform"].form.errors
    return {name: " ".join(str(one) for one in messages) for name, messages in found.items()}


@pytest.mark.parametrize(
    ("typed", "field", "says"),
    [
        ({"targets": []}, "targets", "Choose at least one thing"),
        ({"targets": ["auth.User"]}, "targets", "“auth.User” cannot be cleaned here"),
        ({"days": ""}, "days", "Write how many days old"),
        ({"days": "0"}, "days", "what was made a moment ago"),
        ({"days": "-3"}, "days", "lies in the future"),
        ({"days": "ninety"}, "days", "no whole number"),
        ({"targets": ["sessions", "unconfirmed_subscriptions"], "days": "6"}, "days", "kept for at least 7 days"),
        ({"targets": ["activity_log"], "days": "364"}, "days", "kept for at least 365 days"),
        ({"days": "99999"}, "days", "at most 3,650 days"),
        ({"name": " "}, "name", "Give it a name"),
        ({"name": "taken"}, "name", "Another policy is called"),
        ({"max_rows": "0"}, "max_rows", "from 1 to"),
        ({"max_minutes": "9999"}, "max_minutes", "from 1 to 1,440"),
        ({"batch_size": "0"}, "batch_size", "from 1 to 20,000"),
        ({"keep_last": "0"}, "keep_last", "leave it empty"),
        ({"keep_last": "5"}, "keep_last", "does not come in groups"),
        ({"archive": "zip"}, "archive", "zip"),
        ({"archive": "jsonl", "archive_days": "0"}, "archive_days", "from 1 to"),
        ({"archive": "jsonl", "targets": ["report_files"]}, "archive", "No copy of this may be kept"),
        ({"approve_above_percent": "101"}, "approve_above_percent", "from 1 to 100"),
        ({"approve_above_rows": "0"}, "approve_above_rows", "leave it empty to ask nobody"),
        ({"approve_above_times": "1"}, "approve_above_times", "from 2 to"),
    ],
)
def test_it_refuses_at_the_field_and_keeps_what_was_typed(
    boss: Client, typed: dict[str, Any], field: str, says: str
) -> None:
    CleanupPolicy.objects.create(name="Taken", targets=["sessions"], days=30)
    sent = {**GOOD, **typed}
    answer = boss.post(ADD, sent)
    assert answer.status_code == 200 and says in errors(answer)[field], errors(answer)
    assert CleanupPolicy.objects.count() == 1, "nothing is stored"
    page = answer.content.decode()
    assert says in page, "the page itself says it"
    for name in ("name", "days", "max_rows"):
        if name in sent and sent[name].strip():
            assert f'value="{sent[name]}"' in page, f"{name} is lost"
    # What is wrong in the folded part unfolds it.
    folded = re.search(r'<fieldset class="[^"]*collapse[^"]*"[^>]*>\s*<details>', page)
    assert bool(folded) == (
        field not in ("keep_last", "max_rows", "max_minutes", "batch_size") and "approve" not in field
    )


def test_a_filter_that_is_gone_is_refused_and_an_empty_one_means_all(boss: Client) -> None:
    letter = Newsletter.objects.create(name="City news", subject="News", body="Hello")
    target = targets.get("deliveries")
    name = next(one.name for one in target.filters)
    typed = {**GOOD, "targets": ["deliveries"], "days": "60", f"filter.deliveries.{name}": str(letter.pk)}
    letter.delete()
    answer = boss.post(ADD, typed)
    assert "no longer there" in errors(answer)["targets"] and not CleanupPolicy.objects.exists()
    assert boss.post(ADD, {**typed, f"filter.deliveries.{name}": ""}).status_code == 302
    assert CleanupPolicy.objects.get().filters == {}
    with pytest.raises(ValidationError, match="or all of them"):
        services.save_policy(
            None, CleanupPolicy(name="x", targets=["deliveries"], days=60, filters={"deliveries": {name: ""}})
        )


def test_a_new_policy_is_off_and_a_changed_rule_switches_it_off(boss: Client) -> None:
    answer = boss.post(ADD, GOOD)
    policy = CleanupPolicy.objects.get()
    assert answer["Location"] == f"/admin/cleanup/cleanuppolicy/{policy.pk}/detail/"
    assert not policy.is_enabled and policy.owner and policy.owner.username == "boss" and policy.version == 1
    services.preview_policy(None, policy.pk)
    services.enable_policy(None, policy.pk)
    change = f"/admin/cleanup/cleanuppolicy/{policy.pk}/change/"
    boss.post(change, {**GOOD, "name": "Renamed", "rest_ms": "500"})
    renamed = CleanupPolicy.objects.get()
    assert renamed.is_enabled and renamed.version == 1 and renamed.rest_ms == 500
    boss.post(change, {**GOOD, "days": "31"})
    changed = CleanupPolicy.objects.get()
    assert not changed.is_enabled and changed.version == 2
    entry = AuditEntry.objects.filter(action="changed the policy").latest("id")
    assert (entry.before["days"], entry.after["days"]) == (30, 31)


def test_the_live_preview_counts_what_is_typed_and_stores_nothing(boss: Client, sessions: Add) -> None:
    sessions(30, 40)
    sessions(5, 10, prefix="young")
    said = boss.post(LIVE, GOOD).content.decode()
    assert "It would delete 30 rows now" in said and "looking deletes nothing" in said
    assert "Each of them" not in said and "The 20 oldest of them" in said
    assert said.count("<li>") == 20, "so many sample rows"
    assert "35 rows" in boss.post(LIVE, {**GOOD, "days": "5"}).content.decode()
    assert Session.objects.count() == 36 and not CleanupPreview.objects.exists() and not CleanupPolicy.objects.exists()


def test_the_live_preview_says_what_is_wrong_and_who_must_be_asked(boss: Client, sessions: Add) -> None:
    sessions(30, 40)
    assert "Tick what to clean" in boss.post(LIVE, {"name": ""}).content.decode()
    assert "lies in the future" in boss.post(LIVE, {**GOOD, "days": "-1"}).content.decode()
    assert "Needs a second person" in boss.post(LIVE, {**GOOD, "approve_above_rows": "10"}).content.decode()
    # A wrong limit does not hide what it would delete.
    assert "It would delete 30 rows" in boss.post(LIVE, {**GOOD, "max_minutes": "x"}).content.decode()


def test_without_scripts_a_button_counts_and_complains_of_nothing(boss: Client, sessions: Add) -> None:
    sessions(3, 40)
    page = boss.post(ADD, {**GOOD, "name": "", "do": "show"}).content.decode()
    assert "It would delete 3 rows now" in page and "Give it a name" not in page
    assert not CleanupPolicy.objects.exists()


def test_only_those_who_may_write_policies_look_at_what_is_typed(client: Client) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_cleanuppolicy"))
    client.force_login(viewer)
    assert client.post(LIVE, GOOD).status_code == 403
    assert client.get(LIVE).status_code == 405
    policy = CleanupPolicy.objects.create(name="x", targets=["sessions"], days=30)
    answer = client.get(f"/admin/cleanup/cleanuppolicy/{policy.pk}/change/")
    assert answer["Location"] == f"/admin/cleanup/cleanuppolicy/{policy.pk}/detail/", "who may only look, looks there"
