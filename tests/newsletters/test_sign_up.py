"""Signing up: double opt-in, one mail a day, the same answer for everybody."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from newsletters import floods, services, subscriptions, tokens
from newsletters.models import List, ReaderEvent, Subscriber, Subscription, Suppression
from runs.models import Run
from schedules.tasks import run_job
from tests.newsletters.conftest import add_readers
from tests.newsletters.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody in these tests is too fast for a person, and no answer waits."""
    monkeypatch.setattr(floods, "LEAST_SECONDS", -1)
    monkeypatch.setattr(floods, "LEAST_ANSWER_SECONDS", 0)


@pytest.fixture
def sign_up(client: Client, city_news: List) -> Callable[..., str]:
    def post(email: str = "Zoe@Example.org", **changes: object) -> str:
        token = floods.form_token("subscribe")
        data = {"email": email, "name": "Zoë", "lists": ["city-news"], "website": "", "token": token, **changes}
        response = client.post("/subscribe/", data)
        return f"{response.status_code} {response.content.decode()}"

    return post


def confirmation_link(server: SmtpServer) -> str:
    (mail,) = server.received
    found = re.search(r"https://news\.example\.org(/confirm/\S+)", mail.mail.get_content())
    assert found is not None
    return found.group(1)


def test_from_the_form_to_the_list(
    client: Client, sign_up: Callable[..., str], smtp_server: SmtpServer, city_news: List
) -> None:
    assert "Look into your mailbox" in sign_up()
    subscription = Subscription.objects.get()
    assert (subscription.state, subscription.source) == ("pending", "web page")
    run = Run.objects.get()
    assert (run.kind, run.trigger) == ("confirmation_mail", "event")
    run_job(run.pk)
    link = confirmation_link(smtp_server)
    assert "Zoë" not in smtp_server.received[0].mail.get_content()  # nothing that a stranger typed
    assert client.get(link).status_code == 200
    assert client.head(link).status_code == 200
    assert Subscription.objects.get().state == "pending"
    assert "Welcome" in client.post(link).content.decode()
    assert Subscription.objects.get().state == "confirmed"
    assert client.post(link).status_code == 200


def test_the_answer_is_the_same_for_known_suppressed_and_new(sign_up: Callable[..., str], city_news: List) -> None:
    known = add_readers(city_news, 1)[0]
    services.suppress(None, "gone@example.org")
    answers = {sign_up(email).replace(email, "X") for email in (known.email, "gone@example.org", "new@example.org")}
    assert len(answers) == 1
    assert list(Run.objects.values_list("target_label", flat=True)) == ["Zoë <new@example.org>"]
    assert not Subscriber.objects.filter(email_norm="gone@example.org").exists()


def test_an_address_is_asked_once_a_day(sign_up: Callable[..., str]) -> None:
    for _ in range(20):
        sign_up()
    assert Run.objects.count() == 1
    Subscription.objects.update(mailed_at=F("mailed_at") - timedelta(hours=25))
    sign_up()
    assert Run.objects.count() == 2


def test_a_list_with_single_opt_in_needs_no_mail(sign_up: Callable[..., str], city_news: List) -> None:
    List.objects.update(opt_in="single")
    sign_up()
    assert Subscription.objects.get().state == "confirmed"
    assert not Run.objects.exists()


def test_who_left_comes_back_only_by_confirming(sign_up: Callable[..., str], city_news: List) -> None:
    List.objects.update(opt_in="single")
    reader = add_readers(city_news, 1, prefix="zoe", state="unsubscribed")[0]
    sign_up(reader.email)
    assert Subscription.objects.get().state == "unsubscribed"
    assert Run.objects.get().kind == "confirmation_mail"


def test_a_bot_gets_the_usual_answer_and_nothing_happens(sign_up: Callable[..., str]) -> None:
    assert "Look into your mailbox" in sign_up(website="https://spam.example")
    assert not Subscriber.objects.exists()
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"email": "nonsense"}, "“nonsense” is not an e-mail address"),
        ({"email": ""}, "Please write your e-mail address."),
        ({"lists": []}, "Please choose at least one."),
        ({"lists": ["nowhere"]}, "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    sign_up: Callable[..., str], changes: dict[str, object], words: str
) -> None:
    page = sign_up(**changes)
    assert page.startswith("422")
    assert words in page
    assert not Subscriber.objects.exists()


def test_a_list_that_is_not_public_cannot_be_chosen(sign_up: Callable[..., str]) -> None:
    hidden = List.objects.create(name="Board", slug="board")
    assert sign_up(lists=[hidden.slug]).startswith("422")


def test_a_confirmation_link_grows_old(
    client: Client, city_news: List, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = add_readers(city_news, 1, state="pending")[0]
    token = tokens.confirmation_token(tokens.Confirmation(reader.pk, (city_news.pk,)))
    monkeypatch.setattr(tokens, "CONFIRMATION_SECONDS", -1)
    response = client.post(f"/confirm/{token}/")
    assert response.status_code == 404
    assert "does not work any more" in response.content.decode()
    assert Subscription.objects.get().state == "pending"


def test_the_sign_up_form_needs_its_token(city_news: List) -> None:
    data = {"email": "a@example.org", "lists": ["city-news"]}
    for token in ("", "x", floods.form_token("feedback"), floods.form_token("subscribe")[:-1]):
        response = Client(enforce_csrf_checks=True).post("/subscribe/", {**data, "token": token})
        assert response.status_code == 403
        assert 'value="a@example.org"' in response.content.decode(), "nothing that was typed is lost"
    assert not Subscriber.objects.exists()


def test_a_mail_server_that_is_away_is_tried_again(sign_up: Callable[..., str], smtp_server: SmtpServer) -> None:
    smtp_server.stop()
    sign_up()
    run = Run.objects.get()
    run_job(run.pk)
    run.refresh_from_db()
    assert run.state == "planned"
    assert "could not be handed to the mail server" in run.error


def test_staff_cannot_put_back_who_left(city_news: List) -> None:
    reader = add_readers(city_news, 1, state="unsubscribed")[0]
    assert subscriptions.revivals(reader, [city_news]) == ["City news"]


def test_the_proof_of_consent_is_kept(client: Client, sign_up: Callable[..., str], city_news: List) -> None:
    sign_up()
    place = Subscription.objects.get()
    assert place.consent_text == subscriptions.CONSENT and place.consent_ip is None
    token = tokens.confirmation_token(tokens.Confirmation(place.subscriber_id, (city_news.pk,)))
    client.post(f"/confirm/{token}/", REMOTE_ADDR="2001:db8::7")
    confirmed = Subscription.objects.get()
    assert (confirmed.state, confirmed.consent_ip) == ("confirmed", "2001:db8::7")
    assert confirmed.confirmed_at is not None
    assert ReaderEvent.objects.get().kind == "confirmed"


def test_an_old_confirmation_link_does_not_bring_back_who_left_since(client: Client, city_news: List) -> None:
    reader = add_readers(city_news, 1, state="unsubscribed")[0]
    now = timezone.now()
    token = tokens.confirmation_token(tokens.Confirmation(reader.pk, (city_news.pk,)))
    Subscription.objects.update(mailed_at=now - timedelta(days=2), unsubscribed_at=now - timedelta(days=1))
    assert client.post(f"/confirm/{token}/").status_code == 404
    assert Subscription.objects.get().state == "unsubscribed"
    Subscription.objects.update(mailed_at=now)  # asked again after leaving
    assert client.post(f"/confirm/{token}/").status_code == 200
    assert Subscription.objects.get().state == "confirmed"


@pytest.mark.parametrize(
    ("reason", "comes_back"), [("unsubscribed", True), ("erased", True), ("hard_bounce", False), ("complaint", False)]
)
def test_what_readers_decided_only_they_undo(
    client: Client, sign_up: Callable[..., str], city_news: List, smtp_server: SmtpServer, reason: str, comes_back: bool
) -> None:
    List.objects.update(opt_in="single")
    services.suppress(None, "zoe@example.org", reason=reason)
    sign_up("zoe@example.org")
    assert Run.objects.exists() == comes_back, "also a list with single opt-in asks first"
    assert Suppression.objects.exists()
    if comes_back:
        run_job(Run.objects.get().pk)
        assert client.post(confirmation_link(smtp_server)).status_code == 200
        assert Subscription.objects.get().state == "confirmed"
    assert Suppression.objects.exists() != comes_back


def test_a_list_can_be_chosen_by_the_address_of_the_page(client: Client, city_news: List) -> None:
    List.objects.create(name="Sport", slug="sport", public=True)
    page = client.get("/subscribe/?list=sport&list=nowhere").content.decode()
    assert 'value="sport" id="id_lists_1" checked' in page.replace("\n", " ")
    assert 'value="city-news" id="id_lists_0" checked' not in page
