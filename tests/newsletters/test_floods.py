"""Floods of the readers' forms: slowed down per network, per address and overall, and answered the same for everybody."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from newsletters import floods, services
from newsletters.floods import Freshness, Limit
from newsletters.models import FeedbackMessage, FormPost, List, Subscriber, Subscription
from runs.models import Run
from tests.newsletters.conftest import add_readers

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "LEAST_SECONDS", -1)
    monkeypatch.setattr(floods, "LEAST_ANSWER_SECONDS", 0)


@pytest.fixture
def post(client: Client, city_news: List) -> Callable[..., HttpResponse]:
    def send(email: str = "zoe@example.org", *, ip: str = "203.0.113.7", form: str = "subscribe", **more: Any) -> Any:
        data = {"email": email, "lists": ["city-news"], "text": "Hello", "token": floods.form_token(form), **more}
        return client.post(f"/{form}/", data, REMOTE_ADDR=ip)

    return send


def test_a_thousand_posts_from_one_place_get_through_to_the_limit_only(
    post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert floods.PER_NETWORK[0].posts <= 50
    limit = 8
    monkeypatch.setattr(floods, "PER_NETWORK", (Limit(limit, timedelta(minutes=10)),))
    answers = [post(f"r{number}@example.org").status_code for number in range(limit)]
    assert set(answers) == {200}
    refused = [post(f"more{number}@example.org").status_code for number in range(60)]
    assert set(refused) == {429}
    with CaptureQueriesContext(connection) as captured:
        post("last@example.org")
    assert len(captured) <= 8, "a thousand refusals a minute must leave room for others"
    assert not [query for query in captured if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert Subscriber.objects.count() == Run.objects.count() == limit
    assert FormPost.objects.filter(form="subscribe").count() == limit, "what is refused fills no table"


def test_who_is_refused_is_told_when_to_come_back_and_keeps_what_was_typed(
    post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floods, "PER_NETWORK", (Limit(1, timedelta(minutes=10)),))
    post()
    response = post("other@example.org", name="Zoë")
    page = response.content.decode()
    assert response.status_code == 429
    assert 590 <= int(response["Retry-After"]) <= 600
    assert "try again in 10 minutes" in page
    assert 'value="other@example.org"' in page and 'value="Zoë"' in page
    FormPost.objects.update(at=F("at") - timedelta(minutes=11))
    assert post("other@example.org").status_code == 200


def test_fifty_posts_for_one_address_from_fifty_places_are_one_mail(post: Callable[..., Any]) -> None:
    answers = {post(ip=f"198.51.100.{number}").content.decode().replace("=", "") for number in range(50)}
    assert len(answers) == 1
    assert Run.objects.filter(kind="confirmation_mail").count() == 1


def test_other_places_are_not_held_up(post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "PER_NETWORK", (Limit(1, timedelta(minutes=10)),))
    assert [post().status_code for _ in range(3)] == [200, 429, 429]
    assert post("other@example.org", ip="203.0.113.8").status_code == 200
    assert post(form="feedback").status_code == 200, "each form counts for itself"


def test_all_places_together_have_a_limit(post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "OVERALL", Limit(5, timedelta(hours=1)))
    answers = [post(f"r{number}@example.org", ip=f"198.51.100.{number}").status_code for number in range(7)]
    assert answers == [200] * 5 + [429] * 2


def test_feedback_is_limited_too(post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "PER_NETWORK", (Limit(2, timedelta(minutes=10)),))
    assert [post(form="feedback").status_code for _ in range(4)] == [200, 200, 429, 429]
    assert FeedbackMessage.objects.count() == 2


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        (None, None),
    ],
)
def test_one_household_counts_as_one(ip: str | None, network: str | None) -> None:
    assert floods.network_of(ip) == network


def test_behind_a_proxy_readers_are_told_apart_and_cannot_pretend(
    post: Callable[..., Any], client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TRUSTED_PROXIES = 1
    monkeypatch.setattr(floods, "PER_NETWORK", (Limit(1, timedelta(minutes=10)),))

    def send(email: str, forwarded: str) -> int:
        data = {"email": email, "lists": ["city-news"], "token": floods.form_token("subscribe")}
        return client.post("/subscribe/", data, REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded).status_code

    assert send("a@example.org", "203.0.113.7") == 200
    assert send("b@example.org", "203.0.113.8") == 200
    assert send("c@example.org", "1.2.3.4, 203.0.113.7") == 429


def test_what_was_counted_is_forgotten_after_a_day(post: Callable[..., Any]) -> None:
    post()
    FormPost.objects.update(at=F("at") - timedelta(hours=25))
    post("other@example.org", ip="203.0.113.8")
    assert list(FormPost.objects.values_list("ip", flat=True)) == ["203.0.113.8"]


def test_known_suppressed_and_new_addresses_are_answered_in_the_same_time(
    post: Callable[..., Any], city_news: List, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floods, "LEAST_ANSWER_SECONDS", 0.3)
    known = add_readers(city_news, 1)[0].email
    services.suppress(None, "gone@example.org")

    def seconds(emails: list[str]) -> float:
        taken = []
        for email in emails:
            started = time.perf_counter()
            assert post(email).status_code == 200
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)

    times = [
        seconds([known] * 3),
        seconds(["gone@example.org"] * 3),
        seconds([f"new{n}@example.org" for n in range(3)]),
    ]
    assert max(times) - min(times) < 0.1, times


def test_a_form_that_comes_too_fast_or_too_late_is_shown_again_and_nothing_is_lost(
    post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = floods.form_token("subscribe")
    monkeypatch.setattr(floods, "LEAST_SECONDS", 60)
    response = post(token=token)
    page = response.content.decode()
    assert response.status_code == 422 and "very quick" in page
    assert 'value="zoe@example.org"' in page
    assert f'name="token" value="{token}"' in page, "the same token grows old; a new one never would"
    monkeypatch.setattr(floods, "LEAST_SECONDS", -1)
    monkeypatch.setattr(floods, "MOST_SECONDS", -1)
    assert "open for a long time" in post(token=token).content.decode()
    assert not Subscriber.objects.exists()
    monkeypatch.setattr(floods, "MOST_SECONDS", 60)
    assert "Look into your mailbox" in post(token=token).content.decode()


def test_a_token_is_good_for_its_own_form_only() -> None:
    assert floods.freshness("feedback", floods.form_token("feedback")) is Freshness.GOOD
    assert floods.freshness("feedback", floods.form_token("subscribe")) is Freshness.FOREIGN
    assert floods.freshness("feedback", floods.form_token("feedback")[:-2]) is Freshness.FOREIGN


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://testserver"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_a_form_of_somebody_elses_page_is_not_taken(
    client: Client, city_news: List, headers: dict[str, str], status: int
) -> None:
    data = {"email": "zoe@example.org", "lists": ["city-news"], "token": floods.form_token("subscribe")}
    assert client.post("/subscribe/", data, headers=headers).status_code == status
    assert Subscriber.objects.exists() == (status == 200)


def test_the_small_form_of_other_websites_works_without_cookies_and_asks_by_mail_only(city_news: List) -> None:
    List.objects.update(opt_in="single")
    stranger = Client(enforce_csrf_checks=True)
    headers = {"origin": "https://club.example", "sec-fetch-site": "cross-site"}
    data = {"email": "zoe@example.org", "lists": "city-news", "website": ""}
    response = stranger.post("/subscribe/embedded/", data, headers=headers)
    assert response.status_code == 200 and "Look into your mailbox" in response.content.decode()
    assert not response.cookies
    place = Subscription.objects.get()
    assert (place.state, place.source) == ("pending", "form on a website")
    assert place.consent_text.startswith("I would like to get these newsletters")
    assert Run.objects.get().kind == "confirmation_mail"


def test_the_small_form_is_guarded_as_the_large_one(city_news: List, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "PER_NETWORK", (Limit(1, timedelta(minutes=10)),))
    client, url = Client(), "/subscribe/embedded/"
    wrong = client.post(url, {"email": "nonsense", "lists": "city-news"})
    assert wrong.status_code == 422 and "is not an e-mail address" in wrong.content.decode()
    bot = client.post(url, {"email": "bot@example.org", "lists": "city-news", "website": "x"})
    assert bot.status_code == 200
    assert not Subscriber.objects.exists()
    assert client.post(url, {"email": "zoe@example.org", "lists": "city-news"}).status_code == 429


def test_checking_a_post_costs_the_same_however_many_there_were(post: Callable[..., Any]) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            floods.admit("subscribe", "203.0.113.99")
        return len(captured)

    before = queries()
    FormPost.objects.bulk_create([FormPost(form="subscribe", ip=f"198.51.100.{n % 200}") for n in range(1000)])
    assert queries() == before


def test_mails_to_one_address_are_counted_without_keeping_it(city_news: List) -> None:
    hour = timedelta(hours=1)
    assert floods.may_mail("page", "zoe@example.org", hour)
    assert not floods.may_mail("page", "zoe@example.org", hour)
    assert floods.may_mail("data", "zoe@example.org", hour)
    assert floods.may_mail("page", "ada@example.org", hour)
    FormPost.objects.update(at=F("at") - timedelta(hours=2))
    assert floods.may_mail("page", "zoe@example.org", hour)
    assert not any("zoe" in row.form for row in FormPost.objects.all())
