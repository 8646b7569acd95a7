"""The page where a segment is put together: every button works by a plain form, and nothing typed is lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from newsletters import rule_forms, segments
from newsletters.models import List, Newsletter, Segment, SubscriberField
from newsletters.segment_leaves import Known
from runs.models import AuditEntry
from tests.newsletters.conftest import add_readers

pytestmark = pytest.mark.django_db
ADMIN = "/admin/newsletters/segment"
HARBOUR = {"about": "attribute:district", "op": "in", "value": ["Harbour"]}
FORM = {
    "name": "Harbour people", "description": "", "r.match": "all", "r.0.about": "attribute:district", "r.0.op": "in",
    "r.0.value": ["Harbour"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def district(db: None) -> SubscriberField:
    return SubscriberField.objects.create(key="district", label="District", kind="choice", choices=["Harbour", "Hill"])


@pytest.fixture
def boss(client: Client) -> User:
    user = User.objects.create_superuser("ada")
    client.force_login(user)
    return user


def test_a_segment_is_saved_with_its_rules_and_opened_again(client: Client, boss: User) -> None:
    response = client.post(f"{ADMIN}/add/", FORM)
    segment = Segment.objects.get()
    assert response["Location"] == f"{ADMIN}/{segment.pk}/change/"
    assert segment.rule == {"all": [HARBOUR]}
    assert AuditEntry.objects.get().after["in words"] == "Subscribers whose District is “Harbour”."
    page = client.get(f"{ADMIN}/{segment.pk}/change/").content.decode()
    assert '<option value="attribute:district" selected>' in page
    assert 'value="Harbour" checked' in page


def test_the_buttons_work_without_scripts_and_keep_what_was_typed(client: Client, boss: User) -> None:
    typed = {**FORM, "name": "", "r.1.about": "subscribed", "r.1.op": "last", "r.1.value": "many"}
    page = client.post(f"{ADMIN}/add/", {**typed, "do": "group:r"}).content.decode()
    assert 'name="r.2.match"' in page
    assert 'name="r.2.0.about"' in page
    assert 'value="many"' in page
    assert 'value="Harbour" checked' in page
    assert "Give" not in page
    assert 'role="alert"' not in page, "a button of the rules is no attempt to save"
    page = client.post(f"{ADMIN}/add/", {**typed, "do": "remove:r.0"}).content.decode()
    assert 'name="r.1.about"' not in page
    assert 'value="many"' in page
    assert not Segment.objects.exists()


def test_what_is_wrong_is_said_at_its_rule(client: Client, boss: User) -> None:
    wrong = {**FORM, "r.1.about": "subscribed", "r.1.op": "last", "r.1.value": "many"}
    page = client.post(f"{ADMIN}/add/", wrong).content.decode()
    assert 'id="r.1.error">Write a number of days' in page
    assert 'value="many"' in page
    assert "It is not saved yet." in page
    assert not Segment.objects.exists()
    Segment.objects.create(name="Harbour people", rule={"all": [HARBOUR]})
    assert "has this name already" in client.post(f"{ADMIN}/add/", FORM).content.decode()


def test_the_live_part_counts_and_shows_ten_readers(client: Client, boss: User, city_news: List) -> None:
    add_readers(city_news, 12, prefix="in", attributes={"district": "Harbour"})
    add_readers(city_news, 5, prefix="out", attributes={"district": "Hill"})
    live = client.post(f"{ADMIN}/preview/", FORM).content.decode()
    assert "12 subscribers" in live
    assert "Subscribers whose District is “Harbour”." in live
    assert live.count("<li>") == 10
    assert "out0@example.org" not in live
    live = client.post(f"{ADMIN}/preview/", {**FORM, "r.0.value": []}).content.decode()
    assert "Rule 1: Tick at least one." in live
    segment = Segment.objects.create(name="Stored", rule={"all": [HARBOUR]})
    client.post(f"{ADMIN}/preview/", {**FORM, "segment": segment.pk, "r.0.value": ["Hill"]})
    assert Segment.objects.values_list("count").get() == (None,), "another rule than the stored one was counted"
    client.post(f"{ADMIN}/preview/", {**FORM, "segment": segment.pk})
    segment.refresh_from_db()
    assert segment.count == 12
    assert client.get(f"{ADMIN}/preview/").status_code == 405


def test_whoever_may_only_look_sees_it_without_buttons_and_without_readers(client: Client, city_news: List) -> None:
    add_readers(city_news, 1, prefix="in", attributes={"district": "Harbour"})
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_segment"))
    client.force_login(viewer)
    segment = Segment.objects.create(name="Stored", rule={"all": [HARBOUR]})
    page = client.get(f"{ADMIN}/{segment.pk}/change/").content.decode()
    assert '<fieldset class="nl-locked" disabled>' in page
    assert 'al-button-primary">Save' not in page
    assert client.post(f"{ADMIN}/{segment.pk}/change/", FORM).status_code == 403
    assert client.get(f"{ADMIN}/add/").status_code == 403
    live = client.post(f"{ADMIN}/preview/", FORM).content.decode()
    assert "1 subscriber" in live
    assert "in0@example.org" not in live


def test_one_in_use_says_by_whom_and_cannot_be_deleted(client: Client, boss: User, letter: Newsletter) -> None:
    segment = Segment.objects.create(name="Stored", rule={"all": [HARBOUR]})
    letter.segment = segment
    letter.save()
    page = client.get(f"{ADMIN}/{segment.pk}/change/").content.decode()
    assert "Weekly letter" in page
    assert f"{ADMIN}/{segment.pk}/delete/" not in page
    assert client.post(f"{ADMIN}/{segment.pk}/delete/", {"post": "yes"}).status_code == 403
    letter.segment = None
    letter.save()
    assert client.post(f"{ADMIN}/{segment.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Segment.objects.exists()


def test_the_list_costs_the_same_however_long_it_is(client: Client, boss: User, letter: Newsletter) -> None:
    def add(start: int, number: int) -> None:
        for index in range(start, start + number):
            town = List.objects.create(name=f"List {index}", slug=f"l{index}")
            rule = {"all": [HARBOUR, {"about": "list", "op": "on", "which": town.pk}]}
            Segment.objects.create(name=f"Segment {index}", rule=rule)

    add(0, 2)
    client.get(f"{ADMIN}/")
    with CaptureQueriesContext(connection) as few:
        assert "who are on “List 1”" in client.get(f"{ADMIN}/").content.decode()
    add(2, 5)
    with CaptureQueriesContext(connection) as many:
        client.get(f"{ADMIN}/")
    assert len(many) == len(few)


@pytest.mark.parametrize(
    "sent",
    [
        "r.match=all&r.0.0.0.0.0.0.0.0.about=x",
        "r.0.match=any&r.0.1.about=list&r.0.1.which=99999999999999999999",
        "r.match=nonsense&r.999.about=subscribed&r.999.op=drop",
        "r.match=all&do=remove:r.5.5&r.0.about=attribute:none",
        "r.match=all&" + "&".join(f"r.{index}.about=list" for index in range(900)),
        "r.about=list&r.0.about=list",
    ],
)
def test_a_form_that_was_tampered_with_is_only_incomplete(client: Client, boss: User, sent: str) -> None:
    for page in ("rules", "preview"):
        response = client.post(f"{ADMIN}/{page}/", sent, content_type="application/x-www-form-urlencoded")
        assert response.status_code == 200
    assert (
        client.post(f"{ADMIN}/add/", f"name=x&{sent}", content_type="application/x-www-form-urlencoded").status_code
        == 200
    )
    assert not Segment.objects.exists()


RULES: list[Any] = [
    {"all": [HARBOUR, {"any": [{"about": "subscribed", "op": "last", "value": 30}, {"none": [{"about": "bounced", "op": "ever"}]}]}]},
    {"none": [{"about": "subscribed", "op": "before", "value": "2026-03-01"}, {"about": "language", "op": "is", "value": "de"}]},
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_survives_its_form(rule: Any) -> None:
    sent = QueryDict(mutable=True)

    def write(node: rule_forms.Draft, name: str) -> None:
        if node.match:
            sent[f"{name}.match"] = node.match
            for place, child in enumerate(node.children):
                write(child, f"{name}.{place}")
            return
        sent[f"{name}.about"], sent[f"{name}.op"], sent[f"{name}.which"] = node.about, node.op, node.which
        sent.setlist(f"{name}.value", node.values)

    write(rule_forms.of_rule(rule), "r")
    known = Known.by(rule)
    assert rule_forms.to_rule(rule_forms.read(sent), known) == rule
    assert segments.check(rule, known) == {}
