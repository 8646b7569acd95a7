"""The reader's own page: what readers change themselves, the links that let them, and what a GET never does."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from newsletters import floods, links, services, subscribers, suppressions, tokens
from newsletters.models import (
    Delivery,
    FeedbackMessage,
    FormPost,
    Issue,
    List,
    Newsletter,
    ReaderEvent,
    Subscriber,
    SubscriberField,
    Subscription,
    Suppression,
)
from runs.models import AuditEntry, Run
from schedules.tasks import run_job
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.smtp_server import Received, SmtpServer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "LEAST_SECONDS", -1)
    monkeypatch.setattr(floods, "LEAST_ANSWER_SECONDS", 0)


@pytest.fixture
def client() -> Client:
    """Without cookies, and with the CSRF check on as in production."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def reader(city_news: List) -> Subscriber:
    made = add_readers(city_news, 1, prefix="zoe", name="Zoë")[0]
    made.attributes = {"district": "Hill", "secret": "kept"}
    made.save()
    return made


@pytest.fixture
def url(reader: Subscriber, settings: Settings) -> str:
    return links.preferences_url(reader.pk, reader.email_norm).removeprefix(settings.PUBLIC_URL)


def states(reader: Subscriber) -> dict[str, str]:
    return dict(Subscription.objects.filter(subscriber=reader).values_list("list__slug", "state"))


def work(server: SmtpServer) -> list[Received]:
    """Does what is planned and returns the mails of it."""
    before = len(server.received)
    for run in Run.objects.filter(state="planned"):
        run_job(run.pk)
    return server.received[before:]


def link_in(mail: Received) -> str:
    found = re.search(r"https://news\.example\.org(/\S+)", mail.mail.get_content())
    assert found is not None
    return found.group(1)


SAVED = {"do": "save", "lists": ["city-news"], "name": "Zoë", "language": ""}


def test_looking_changes_nothing_and_sets_no_cookie(client: Client, url: str, reader: Subscriber) -> None:
    for method in ("get", "head"):
        response = getattr(client, method)(url)
        assert response.status_code == 200
        assert not response.cookies
        assert "no-store" in response["Cache-Control"] and "default-src 'none'" in response["Content-Security-Policy"]
    assert states(reader) == {"city-news": "confirmed"}
    assert not AuditEntry.objects.exists()


def test_a_post_that_says_nothing_changes_nothing(client: Client, url: str, reader: Subscriber) -> None:
    for data in ({}, {"List-Unsubscribe": "One-Click"}, {"do": "nonsense"}):
        assert client.post(url, data).status_code == 200
    assert states(reader) == {"city-news": "confirmed"}


def test_lists_name_and_language_are_saved_once(client: Client, url: str, reader: Subscriber) -> None:
    sport = List.objects.create(name="Sport", slug="sport", public=True)
    data = {"do": "save", "lists": ["sport"], "name": "Zoë B.", "language": "fr"}
    assert "Saved." in client.post(url, data, REMOTE_ADDR="203.0.113.9").content.decode()
    assert states(reader) == {"city-news": "unsubscribed", "sport": "confirmed"}
    reader.refresh_from_db()
    assert (reader.name, reader.language) == ("Zoë B.", "fr")
    place = Subscription.objects.get(list=sport)
    assert (place.source, place.consent_ip) == ("own page", "203.0.113.9")
    assert "Nothing had changed." in client.post(url, data).content.decode()
    (event,) = ReaderEvent.objects.all()
    assert event.text == "off City news, on Sport, the name, the language"
    assert AuditEntry.objects.count() == 1


def test_a_list_that_is_not_public_can_be_left_but_not_joined(client: Client, url: str, reader: Subscriber) -> None:
    board = List.objects.create(name="Board", slug="board")
    assert "Board" not in client.get(url).content.decode()
    assert client.post(url, {**SAVED, "lists": ["city-news", "board"]}).status_code == 422
    Subscription.objects.create(subscriber=reader, list=board, state="confirmed")
    assert "Board" in client.get(url).content.decode()
    client.post(url, SAVED)
    assert states(reader) == {"city-news": "confirmed", "board": "unsubscribed"}


class TestFields:
    """The facts that readers may see and change."""

    @pytest.fixture(autouse=True)
    def fields(self) -> None:
        for key, label, kind in (("district", "District", "choice"), ("born", "Born", "date"), ("age", "Age", "number"),
                                 ("member", "Member", "yes_no"), ("street", "Street", "text")):  # fmt: skip
            SubscriberField.objects.create(key=key, label=label, kind=kind, is_public=True, choices=["Hill", "North"])
        SubscriberField.objects.create(key="secret", label="Our note", kind="text")

    def test_they_are_typed_and_those_of_staff_are_neither_shown_nor_touched(
        self, client: Client, url: str, reader: Subscriber
    ) -> None:
        page = client.get(url).content.decode()
        assert "District" in page and "Our note" not in page and "kept" not in page
        own = {"own_district": "North", "own_born": "2000-02-29", "own_age": "24", "own_member": "no", "own_street": ""}
        client.post(url, {**SAVED, **own})
        reader.refresh_from_db()
        expected = {"secret": "kept", "district": "North", "born": "2000-02-29", "age": 24, "member": False}
        assert reader.attributes == expected
        assert "Nothing had changed." in client.post(url, {**SAVED, **own}).content.decode()
        client.post(url, {**SAVED, "own_age": "1.5", "own_secret": "x"})
        reader.refresh_from_db()
        assert reader.attributes == {"secret": "kept", "age": 1.5}

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"own_born": "31.2.2000"}, "is not a date. Write Born as"),
            ({"own_age": "old"}, "is not a number. Write Age as"),
            ({"own_district": "Moon"}, "is not one of the choices of District: Hill, North"),
        ],
    )
    def test_what_is_wrong_is_said_at_the_field_and_nothing_typed_is_lost(
        self, client: Client, url: str, reader: Subscriber, wrong: dict[str, str], words: str
    ) -> None:
        response = client.post(url, {**SAVED, "name": "Typed", **wrong})
        page = response.content.decode()
        assert response.status_code == 422
        assert words in page and 'value="Typed"' in page
        reader.refresh_from_db()
        assert reader.name == "Zoë"

    def test_a_value_that_is_no_choice_any_more_is_kept(self, client: Client, url: str, reader: Subscriber) -> None:
        SubscriberField.objects.filter(key="district").update(choices=["North"])
        client.post(url, {**SAVED, "own_district": "Hill"})
        reader.refresh_from_db()
        assert reader.attributes["district"] == "Hill"


def test_leaving_everything_is_at_once_and_any_number_of_times(client: Client, url: str, reader: Subscriber) -> None:
    Subscription.objects.create(subscriber=reader, list=List.objects.create(name="Board", slug="board"))
    for _ in range(2):
        assert "You are off every list" in client.post(url, {"do": "leave"}).content.decode()
    assert set(states(reader).values()) == {"unsubscribed"}
    row = Suppression.objects.get()
    assert (row.reason, row.email_norm) == ("unsubscribed", reader.email_norm)
    assert ReaderEvent.objects.count() == 1
    assert "You have left everything" in client.get(url).content.decode()


def test_who_left_everything_can_come_back_on_the_same_page(client: Client, url: str, reader: Subscriber) -> None:
    client.post(url, {"do": "leave"})
    client.post(url, SAVED)
    assert states(reader) == {"city-news": "confirmed"}
    assert not Suppression.objects.exists()


def test_a_bounce_or_a_complaint_is_not_lifted_by_the_page(client: Client, url: str, reader: Subscriber) -> None:
    services.suppress(None, reader.email, reason="complaint")
    assert "We do not write to this address at the moment: the reader complained" in client.get(url).content.decode()
    client.post(url, {**SAVED, "lists": []})
    client.post(url, SAVED)
    assert Suppression.objects.get().reason == "complaint"


def test_a_forged_link_or_one_for_another_purpose_opens_nothing(
    client: Client, url: str, reader: Subscriber, city_news: List
) -> None:
    other = add_readers(city_news, 1, prefix="other")[0]
    token = url.strip("/").rpartition("/")[2]
    _, mark, signature = token.split(".")
    forged = [
        token[:-1], token + "x", f"{other.pk}.{mark}.{signature}", f"{reader.pk}.{mark}.", "x",
        tokens.request_token(tokens.DATA, reader), tokens.unsubscribe_token(tokens.Unsubscribe(reader.pk, 1)),
    ]  # fmt: skip
    for wrong in forged:
        assert client.get(f"/preferences/{wrong}/").status_code == 404, wrong
        assert client.post(f"/preferences/{wrong}/", {"do": "leave"}).status_code == 404
    assert states(reader) == {"city-news": "confirmed"}


def test_a_link_made_with_a_former_key_still_opens(
    client: Client, url: str, reader: Subscriber, settings: Settings
) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-another-key-another-key-another"
    assert client.get(url).status_code == 200


class TestMailedLinks:
    """What the page does by mail, because a mail with its link may have been passed on."""

    def test_the_link_to_the_page_is_mailed_to_those_who_lost_it(
        self, client: Client, reader: Subscriber, url: str, smtp_server: SmtpServer
    ) -> None:
        services.suppress(None, "gone@example.org")
        answers = set()
        for email in (reader.email, "gone@example.org", "new@example.org"):
            data = {"email": email, "token": floods.form_token("ask_for_page")}
            answers.add(client.post("/preferences/", data).content.decode().replace(email, "X"))
        assert len(answers) == 1
        (mail,) = work(smtp_server)
        assert mail.recipient == reader.email
        assert link_in(mail) == url

    def test_one_address_gets_few_of_them(self, client: Client, reader: Subscriber) -> None:
        for number in range(12):
            data = {"email": reader.email, "token": floods.form_token("ask_for_page")}
            client.post("/preferences/", data, REMOTE_ADDR=f"198.51.100.{number}")
        assert Run.objects.count() == 1
        for _ in range(4):
            FormPost.objects.update(at=F("at") - timedelta(hours=2))
            client.post("/preferences/", {"email": reader.email, "token": floods.form_token("ask_for_page")})
        assert Run.objects.count() == 3

    def test_a_copy_of_the_data(
        self, client: Client, reader: Subscriber, letter: Newsletter, url: str, smtp_server: SmtpServer
    ) -> None:
        issue = Issue.objects.create(newsletter=letter, scheduled_for=DUE, subject="News", state="sent")
        Delivery.objects.create(issue=issue, subscriber=reader, email=reader.email, email_norm=reader.email_norm)
        FeedbackMessage.objects.create(name="Zoë", email=reader.email, text="Lovely")
        assert "We have mailed you a link" in client.post(url, {"do": "data"}).content.decode()
        (mail,) = work(smtp_server)
        link = link_in(mail)
        assert reader.email not in client.get(link).content.decode(), "a program that opens links gets nothing"
        response = client.post(link)
        assert response["Content-Disposition"] == 'attachment; filename="my-data.json"'
        data = json.loads(response.content)
        assert data["subscriber"]["attributes"] == {"district": "Hill", "secret": "kept"}
        assert data["lists"][0]["list"] == "City news"
        assert data["mails"][0]["subject"] == "News"
        assert data["messages"][0]["text"] == "Lovely"
        assert "changes" not in data, "what staff noted is not the reader's"

    def test_the_links_grow_old(self, client: Client, reader: Subscriber, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tokens, "REQUEST_SECONDS", -1)
        for path in (links.data_url(reader), links.erase_url(reader), links.new_address_url(reader, "n@example.org")):
            found = "/" + path.split("/", 3)[3]
            assert client.get(found).status_code == 404
            assert client.post(found).status_code == 404
        assert Subscriber.objects.filter(email=reader.email).exists()

    def test_being_erased(
        self, client: Client, reader: Subscriber, letter: Newsletter, url: str, smtp_server: SmtpServer
    ) -> None:
        issue = Issue.objects.create(newsletter=letter, scheduled_for=DUE, subject="News", state="running", planned=2)
        for state, name in ((3, "Zoë"), (0, "Zoë")):
            Delivery.objects.create(
                issue=issue, subscriber=reader, email=reader.email, email_norm=f"{state}{reader.email_norm}", name=name,
                merge={"district": "Hill"}, state=state, text="550 <zoe0@example.org>",
            )  # fmt: skip
        client.post(url, {**SAVED, "name": "Zoë B."})
        reader.refresh_from_db()
        reader.name = "Zoë C."
        subscribers.save_subscriber(None, reader)
        assert AuditEntry.objects.filter(after__name="Zoë C.").exists()
        FeedbackMessage.objects.create(name="Zoë", email="ZOE0@example.org", text="Lovely")
        client.post(url, {"do": "erase"})
        (mail,) = work(smtp_server)
        link = link_in(mail)
        assert client.get(link).status_code == 200
        assert Subscriber.objects.filter(pk=reader.pk).exists(), "only a press of the button erases"
        for _ in range(2):
            assert "You are being erased" in client.post(link).content.decode()
        assert suppressions.of(reader.email_norm).exists(), "nothing is sent from now on"
        assert work(smtp_server) == []
        assert Run.objects.filter(kind="reader_erasure").count() == 1
        assert not Subscriber.objects.filter(pk=reader.pk).exists()
        kept = [*Delivery.objects.values(), *ReaderEvent.objects.values(), *AuditEntry.objects.values(), *Run.objects.values(),
                *FeedbackMessage.objects.values(), *Suppression.objects.values()]  # fmt: skip
        assert not re.search("zoe|Zo\\\\xeb|Zoë|Hill", repr(kept), re.IGNORECASE), kept
        assert not Delivery.objects.exclude(subscriber=None).exists(), "what waits is left out when it is claimed"
        assert Suppression.objects.get().reason == "erased"
        assert suppressions.of(reader.email_norm).exists(), "a re-import stays suppressed"
        for path in (link, url):
            assert client.get(path).status_code == 404
            assert client.post(path, {"do": "leave"}).status_code == 404

    def test_another_address_must_say_yes_first(
        self, client: Client, reader: Subscriber, url: str, smtp_server: SmtpServer
    ) -> None:
        asked = client.post(url, {"do": "address", "email": "Zoe.New@Example.org"}).content.decode()
        assert "We have mailed a link to the new address" in asked
        (mail,) = work(smtp_server)
        assert mail.recipient.lower() == "zoe.new@example.org"
        link = link_in(mail)
        client.get(link)
        reader.refresh_from_db()
        assert reader.email == "zoe0@example.org"
        for _ in range(2):
            assert "from now on" in client.post(link).content.decode()
        reader.refresh_from_db()
        assert (reader.email, reader.email_norm) == ("Zoe.New@Example.org", "zoe.new@example.org")
        (told,) = work(smtp_server)
        assert told.recipient == "zoe0@example.org"
        assert client.get(url).status_code == 404, "old mails open the page no more"
        assert states(reader) == {"city-news": "confirmed"}

    def test_an_address_that_somebody_has_is_answered_the_same_and_only_its_owner_learns_why(
        self, client: Client, reader: Subscriber, city_news: List, url: str, smtp_server: SmtpServer
    ) -> None:
        other = add_readers(city_news, 1, prefix="other")[0]
        taken = client.post(url, {"do": "address", "email": other.email}).content.decode()
        assert "We have mailed a link to the new address" in taken
        (mail,) = work(smtp_server)
        assert mail.recipient == other.email
        assert "gets newsletters of its own already" in mail.mail.get_content()
        reader.refresh_from_db()
        assert reader.email == "zoe0@example.org"

    def test_an_address_that_was_taken_meanwhile_stays_with_who_has_it(
        self, client: Client, reader: Subscriber, city_news: List, settings: Settings
    ) -> None:
        link = links.new_address_url(reader, "other0@example.org").removeprefix(settings.PUBLIC_URL)
        add_readers(city_news, 1, prefix="other")
        assert client.post(link).status_code == 404
        reader.refresh_from_db()
        assert reader.email == "zoe0@example.org"

    @pytest.mark.parametrize("email", ["nonsense", "", "a@example.org\r\nBcc: b@example.org"])
    def test_what_is_no_address_is_said(self, client: Client, url: str, email: str) -> None:
        response = client.post(url, {"do": "address", "email": email})
        assert response.status_code == 422
        assert not Run.objects.exists()

    def test_nobody_can_flood_others_from_their_page(self, client: Client, url: str) -> None:
        for number in range(9):
            client.post(url, {"do": "address", "email": f"victim{number}@example.org"})
        for _ in range(3):
            client.post(url, {"do": "address", "email": "victim0@example.org"})
        assert Run.objects.count() == 5

    def test_the_mails_hold_nothing_that_was_typed(
        self, client: Client, reader: Subscriber, url: str, smtp_server: SmtpServer
    ) -> None:
        Subscriber.objects.update(name="Buy now https://spam.example")
        for data in ({"do": "data"}, {"do": "erase"}, {"do": "address", "email": "new@example.org"}):
            client.post(url, data)
        mails: list[Any] = work(smtp_server)
        assert len(mails) == 3
        assert not any(b"spam" in mail.raw or b"new@example.org" in mail.raw.split(b"\r\n\r\n", 1)[1] for mail in mails)
