"""Holds in the admin: added and released in words, refused at the field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from cleanup.models import Hold
from newsletters.models import Newsletter
from runs.models import AuditEntry

pytestmark = pytest.mark.django_db

ADD = "/admin/cleanup/hold/add/"
GOOD = {"what": "sessions:row", "object_id": "s1", "reason": "Audit of 2026"}


@pytest.fixture
def boss(client: Client, sessions: Callable[..., None]) -> Client:
    sessions(3, 40)
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.mark.parametrize(
    ("typed", "field", "says"),
    [
        ({"what": ""}, "what", "Choose what to keep"),
        ({"what": "auth.User:all"}, "what", "Select a valid choice"),
        ({"object_id": " "}, "object_id", "Write the number"),
        ({"object_id": "nothing-like-it"}, "object_id", "no such row"),
        ({"what": "orphan_files:row", "object_id": ""}, "object_id", "name of the file"),
        ({"what": "orphan_files:row", "object_id": "nothing-like-it"}, "object_id", "no such file"),
        ({"what": "orphan_files:row", "object_id": "imports/../../../etc/passwd"}, "object_id", "no such file"),
        ({"what": "notices:row"}, "what", "Select a valid choice"),
        ({"what": "deliveries:newsletter"}, "which__newsletter", "Choose which"),
        ({"what": "*:person", "value": "ann"}, "value", "address"),
        ({"reason": " "}, "reason", "Say why"),
        ({"until": "2020-01-01"}, "until", "That day has passed"),
        ({"until": "soon"}, "until", "no day"),
        ({"until": "9999-12-31"}, "until", "a hundred years"),
    ],
)
def test_it_refuses_at_the_field_and_keeps_what_was_typed(
    boss: Client, typed: dict[str, Any], field: str, says: str
) -> None:
    answer = boss.post(ADD, {**GOOD, **typed})
    assert answer.status_code == 200 and not Hold.objects.exists()
    found = answer.context["adminform"].form.errors
    assert says in " ".join(found[field]), found
    if "reason" not in typed:
        assert 'value="Audit of 2026"' in answer.content.decode()


def test_a_hold_is_set_listed_in_words_and_released(boss: Client) -> None:
    day = timezone.localdate() + timedelta(days=30)
    boss.post(ADD, {**GOOD, "until": day.isoformat()})
    hold = Hold.objects.get()
    assert hold.created_by and hold.until and timezone.localtime(hold.until).date() == day + timedelta(days=1), (
        "its last day counts"
    )
    listed = boss.get("/admin/cleanup/hold/").content.decode()
    assert "number s1: Audit of 2026" in listed and "Release…" in listed
    assert "Audit of 2026" in boss.get(f"/admin/cleanup/hold/{hold.pk}/change/").content.decode()
    question = boss.get(f"/admin/cleanup/hold/{hold.pk}/delete/").content.decode()
    assert "Release this hold?" in question and "number s1" in question
    said = boss.post(f"/admin/cleanup/hold/{hold.pk}/delete/", {"post": "yes"}, follow=True).content.decode()
    assert "The hold is released" in said and not Hold.objects.exists()
    actions = AuditEntry.objects.filter(object_type="cleanup.hold").values_list("action", flat=True)
    assert set(actions) == {"added a hold", "released the hold"}
    assert AuditEntry.objects.get(action="added a hold").after["until"], "the log says how long it was meant to keep"


def test_all_that_belong_to_something_are_held_together(boss: Client) -> None:
    letter = Newsletter.objects.create(name="City news", subject="News", body="Hello")
    shown = boss.get(ADD).content.decode()
    assert "City news" in shown and "Wherever they are" in shown
    boss.post(ADD, {"what": "deliveries:newsletter", "which__newsletter": str(letter.pk), "reason": "A court asks"})
    boss.post(ADD, {"what": "*:person", "value": "Ann@Example.org", "reason": "A court asks"})
    assert set(Hold.objects.values_list("target", "scope", "value")) == {
        ("deliveries", "newsletter", str(letter.pk)), ("*", "person", "ann@example.org")
    }  # fmt: skip
    assert "City news" in boss.get("/admin/cleanup/hold/").content.decode()
