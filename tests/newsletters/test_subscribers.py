"""A subscriber's page, its verbs, suppressions, and everything we hold of one person."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from newsletters import services, subscriber_history, subscribers, suppressions
from newsletters.models import (
    Delivery,
    Issue,
    List,
    Newsletter,
    ReaderEvent,
    Subscriber,
    Subscription,
    Suppression,
)
from runs.models import AuditEntry
from tests.newsletters.conftest import DUE, add_readers

pytestmark = pytest.mark.django_db
ADMIN = "/admin/newsletters"


@pytest.fixture
def boss(client: Client) -> User:
    user = User.objects.create_superuser("ada")
    client.force_login(user)
    return user


@pytest.fixture
def reader(city_news: List) -> Subscriber:
    return add_readers(city_news, 1, attributes={"shoe": 42})[0]


def receive(reader: Subscriber, letter: Newsletter, number: int) -> None:
    for index in range(number):
        issue = Issue.objects.create(
            newsletter=letter, scheduled_for=DUE - timedelta(days=index), subject="S", state=Issue.State.SENT
        )
        delivery = Delivery.objects.create(
            issue=issue, subscriber=reader, email=reader.email, email_norm=reader.email_norm, state=Delivery.State.SENT,
            sent_at=DUE - timedelta(days=index), code=250, text="queued",
        )  # fmt: skip
        ReaderEvent.objects.create(kind="soft", subscriber=reader, issue=issue, delivery=delivery, text="mailbox full")


def test_the_page_says_what_they_get_and_what_happened(
    client: Client, boss: User, reader: Subscriber, letter: Newsletter
) -> None:
    receive(reader, letter, 2)
    page = client.get(f"{ADMIN}/subscriber/{reader.pk}/").content.decode()
    for words in ("Gets newsletters", "reader0@example.org", "City news", "Confirmed", "shoe", "42", "mailbox full", "Signed up for City news", "250 queued"):  # fmt: skip
        assert words in page
    services.suppress(None, reader.email, note="asked by phone")
    page = client.get(f"{ADMIN}/subscriber/{reader.pk}/").content.decode()
    assert "Gets no newsletter." in page
    assert "asked by phone" in page


def test_the_history_is_in_order_and_its_pages_cost_the_same(
    client: Client, boss: User, reader: Subscriber, letter: Newsletter
) -> None:
    receive(reader, letter, 3)
    with CaptureQueriesContext(connection) as few:
        client.get(f"{ADMIN}/subscriber/{reader.pk}/")
    letter.pk, letter.name = None, "Another"
    letter.save()
    receive(reader, letter, 40)
    with CaptureQueriesContext(connection) as many:
        client.get(f"{ADMIN}/subscriber/{reader.pk}/")
    assert len(many) == len(few)
    seen, number = [], 1
    while True:
        page = subscriber_history.page_of(reader, number)
        seen += page.entries
        if not page.has_older:
            break
        number += 1
    assert len(seen) == 1 + 2 * 43  # the sign-up; a mail and an answer each
    assert [entry.at for entry in seen] == sorted((entry.at for entry in seen), reverse=True)


def test_staff_take_somebody_off_one_list_and_cannot_put_them_back(
    client: Client, boss: User, reader: Subscriber, city_news: List
) -> None:
    row = reader.subscriptions.get()
    address = f"{ADMIN}/subscriber/subscriptions/{row.pk}/leave/"
    assert client.get(address).status_code == 405
    assert "Only they can come back" in client.post(address).content.decode()
    row.refresh_from_db()
    assert row.state == Subscription.State.CONFIRMED, "it only asked"
    assert client.post(address, {"reason": "by phone"}).status_code == 302
    row.refresh_from_db()
    assert row.state == Subscription.State.UNSUBSCRIBED
    assert row.unsubscribed_at is not None
    assert "not on City news any more" in client.post(address, {"reason": ""}, follow=True).content.decode()
    with pytest.raises(ValidationError, match="This person left City news"):
        subscribers.save_subscriber(None, reader, [city_news])
    assert client.post(f"{ADMIN}/subscriber/subscriptions/999/leave/").status_code == 404


def test_a_suppression_asks_why_and_lifting_one_asks_more(client: Client, boss: User, reader: Subscriber) -> None:
    address = f"{ADMIN}/subscriber/{reader.pk}/suppress/"
    assert "Why?" in client.post(address).content.decode()
    assert not Suppression.objects.exists()
    client.post(address, {"note": "asked by phone"})
    row = Suppression.objects.get()
    assert (row.reason, row.note) == ("manual", "asked by phone")
    lift = f"{ADMIN}/suppression/{row.pk}/lift/"
    assert "Suppressed since" in client.post(lift).content.decode()
    assert "Say why" in client.post(lift, {"reason": " "}).content.decode()
    Suppression.objects.update(reason=Suppression.Reason.COMPLAINT)
    page = client.post(lift, {"reason": "they called"}).content.decode()
    assert "marked our mail as spam" in page
    assert "Tick this only if the person asked for it." in page
    assert 'value="they called"' in page, "nothing typed is lost"
    assert client.post(lift, {"reason": "they called", "is_confirmed": "on"}).status_code == 302
    assert not Suppression.objects.exists()
    entry = AuditEntry.objects.filter(action="lifted a suppression").get()
    assert (entry.reason, entry.before["reason"]) == ("they called", "complaint")


def test_only_those_who_may_lift_a_suppression(client: Client, reader: Subscriber) -> None:
    editor = User.objects.create_user("ed", is_staff=True)
    editor.user_permissions.add(*Permission.objects.filter(codename__in=["view_suppression", "view_subscriber"]))
    row = services.suppress(None, reader.email)
    client.force_login(editor)
    assert "Lift" not in client.get(f"{ADMIN}/suppression/").content.decode()
    assert client.post(f"{ADMIN}/suppression/{row.pk}/lift/", {"reason": "x"}).status_code == 403
    with pytest.raises(PermissionDenied):
        suppressions.lift(editor, row.pk, "x")


def test_a_suppression_is_found_by_the_beginning_or_by_the_whole_address(client: Client, boss: User) -> None:
    services.suppress(None, "gone@example.org")
    erased = services.suppress(None, "erased@example.org", reason=Suppression.Reason.ERASED)
    Suppression.objects.filter(pk=erased.pk).update(email_norm="")

    def found(typed: str) -> list[str]:
        return [row.reason for row in suppressions.search(Suppression.objects.all(), typed)]

    assert found("GONE@") == ["manual"]
    assert found("erased@example.org") == ["erased"]
    assert found("erased@") == []
    assert "an erased address" in client.get(f"{ADMIN}/suppression/?q=Erased@example.org").content.decode()


def test_the_persons_data_holds_everything_and_is_on_record(
    client: Client, boss: User, reader: Subscriber, letter: Newsletter
) -> None:
    receive(reader, letter, 1)
    response = client.post(f"{ADMIN}/subscriber/{reader.pk}/personal-data/")
    assert response["Content-Disposition"].startswith("attachment")
    data = json.loads(response.content)
    assert data["subscriber"]["email"] == "reader0@example.org"
    assert data["subscriber"]["attributes"] == {"shoe": 42}
    assert [row["list"] for row in data["lists"]] == ["City news"]
    assert [(row["subject"], row["text"]) for row in data["mails"]] == [("S", "queued")]
    assert [row["text"] for row in data["events"]] == ["mailbox full"]
    assert AuditEntry.objects.get().action == "exported a person's data"
    assert client.get(f"{ADMIN}/subscriber/{reader.pk}/personal-data/").status_code == 405


def test_a_list_says_who_is_on_it_and_who_uses_it(
    client: Client, boss: User, reader: Subscriber, city_news: List, letter: Newsletter
) -> None:
    page = client.get(f"{ADMIN}/list/{city_news.pk}/change/").content.decode()
    assert f"/admin/newsletters/subscriber/?list={city_news.pk}" in page
    assert "http://testserver/subscribe/" in page
    assert "Weekly letter" in page
    add_readers(List.objects.create(name="Other", slug="other"), 1, prefix="other")
    on_it = client.get(f"{ADMIN}/subscriber/?list={city_news.pk}").content.decode()
    assert "reader0@example.org" in on_it
    assert "other0@example.org" not in on_it
    data = {
        "name": "City news",
        "slug": "city-news",
        "opt_in": "double",
        "welcome_subject": "Hi",
        "welcome_body": "Text",
    }
    assert client.post(f"{ADMIN}/list/{city_news.pk}/change/", data).status_code == 302
    assert AuditEntry.objects.get().after["welcome_subject"] == "Hi"
