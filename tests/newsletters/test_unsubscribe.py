"""Leaving: a page on GET, a change on POST, one click from mail programs (RFC 8058), and no way in with a forged link."""

from __future__ import annotations

import time

import pytest
from django.test import Client
from pytest_django import Settings

from newsletters import links, tokens
from newsletters.models import Delivery, Issue, List, Newsletter, ReaderEvent, Subscriber, Subscription
from runs.models import AuditEntry
from tests.newsletters.conftest import DUE, add_readers

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(city_news: List) -> Subscriber:
    return add_readers(city_news, 1)[0]


@pytest.fixture
def url(reader: Subscriber, letter: Newsletter, settings: Settings) -> str:
    return links.unsubscribe_url(reader.pk, letter.pk, 7).removeprefix(settings.PUBLIC_URL)


@pytest.fixture
def strict() -> Client:
    """A client without cookies for which the CSRF check is on, as in production."""
    return Client(enforce_csrf_checks=True)


def state(reader: Subscriber) -> str:
    return Subscription.objects.get(subscriber=reader, list__slug="city-news").state


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_at_the_page_changes_nothing(strict: Client, reader: Subscriber, url: str, method: str) -> None:
    response = getattr(strict, method)(url)
    assert response.status_code == 200
    assert state(reader) == "confirmed"
    assert "no-store" in response["Cache-Control"]
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_the_page_names_the_newsletter_and_the_list(strict: Client, url: str) -> None:
    page = strict.get(url).content.decode()
    assert "Leave Weekly letter?" in page
    assert "City news" in page
    assert '<form method="post">' in page


@pytest.mark.parametrize("how", ["urlencoded", "multipart", "page"])
def test_one_click_leaves_at_once_and_any_number_of_times(
    strict: Client, reader: Subscriber, url: str, how: str
) -> None:
    for _ in range(2):
        if how == "urlencoded":
            response = strict.post(url, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
        else:
            response = strict.post(url, {"List-Unsubscribe": "One-Click"} if how == "multipart" else {})
        assert response.status_code == 200
        assert "Location" not in response
        assert "You are unsubscribed" in response.content.decode()
    assert state(reader) == "unsubscribed"
    entry = AuditEntry.objects.get()
    assert entry.after == {"lists": ["City news"], "issue": 7}


def test_a_mail_program_needs_no_cookie_and_gets_none(strict: Client, url: str) -> None:
    headers = {"origin": "https://mail.example", "sec-fetch-site": "cross-site", "cookie": ""}
    response = strict.post(url, {"List-Unsubscribe": "One-Click"}, headers=headers)
    assert response.status_code == 200
    assert not response.cookies and "Location" not in response


def test_a_prefetch_of_the_page_changes_nothing(strict: Client, reader: Subscriber, url: str) -> None:
    for headers in ({"purpose": "prefetch"}, {"sec-purpose": "prefetch;prerender"}, {"x-moz": "prefetch"}):
        assert strict.get(url, headers=headers).status_code == 200
    assert state(reader) == "confirmed"
    assert not ReaderEvent.objects.exists()


def test_the_issue_counts_each_reader_once(
    strict: Client, reader: Subscriber, letter: Newsletter, settings: Settings
) -> None:
    issue = Issue.objects.create(newsletter=letter, scheduled_for=DUE, subject="News", state="sent")
    Delivery.objects.create(issue=issue, subscriber=reader, email=reader.email, email_norm=reader.email_norm)
    url = links.unsubscribe_url(reader.pk, letter.pk, issue.pk).removeprefix(settings.PUBLIC_URL)
    for _ in range(3):
        strict.post(url)
        Subscription.objects.update(state="confirmed")  # came back, and leaves again by the same mail
    issue.refresh_from_db()
    assert issue.unsubscribed == 1
    event = ReaderEvent.objects.get()
    assert (event.kind, event.subscriber, event.issue) == ("left", reader, issue)


def test_two_clicks_at_the_same_moment_count_once(
    strict: Client, reader: Subscriber, letter: Newsletter, settings: Settings
) -> None:
    issue = Issue.objects.create(newsletter=letter, scheduled_for=DUE, subject="News", state="sent")
    delivery = Delivery.objects.create(issue=issue, subscriber=reader, email=reader.email, email_norm=reader.email_norm)
    ReaderEvent.objects.create(kind="left", delivery=delivery, subscriber=reader, issue=issue)  # the other one
    strict.post(links.unsubscribe_url(reader.pk, letter.pk, issue.pk).removeprefix(settings.PUBLIC_URL))
    issue.refresh_from_db()
    assert issue.unsubscribed == 0


@pytest.mark.parametrize("list_ids", [True, False])
def test_it_works_after_the_newsletter_was_deleted(
    strict: Client, reader: Subscriber, letter: Newsletter, city_news: List, settings: Settings, list_ids: bool
) -> None:
    chosen = (city_news.pk,) if list_ids else ()
    url = links.unsubscribe_url(reader.pk, letter.pk, 7, chosen).removeprefix(settings.PUBLIC_URL)
    letter.delete()
    assert "Unsubscribe" in strict.get(url).content.decode()
    assert strict.post(url).status_code == 200
    assert state(reader) == "unsubscribed"


def test_it_leaves_the_lists_that_the_mail_went_to_although_the_newsletter_goes_elsewhere_now(
    strict: Client, reader: Subscriber, letter: Newsletter, city_news: List, settings: Settings
) -> None:
    url = links.unsubscribe_url(reader.pk, letter.pk, 7, (city_news.pk,)).removeprefix(settings.PUBLIC_URL)
    letter.lists.set([List.objects.create(name="Sport", slug="sport")])
    strict.post(url)
    assert state(reader) == "unsubscribed"


def test_a_link_of_years_ago_still_works(
    strict: Client, reader: Subscriber, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time() + 5 * 365 * 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    assert strict.post(url).status_code == 200
    assert state(reader) == "unsubscribed"


def test_it_leaves_only_the_lists_of_this_newsletter(strict: Client, reader: Subscriber, url: str) -> None:
    sport = List.objects.create(name="Sport", slug="sport")
    Subscription.objects.create(subscriber=reader, list=sport, state="confirmed")
    strict.post(url)
    assert Subscription.objects.get(subscriber=reader, list=sport).state == "confirmed"


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_other_methods_are_refused(strict: Client, reader: Subscriber, url: str, method: str) -> None:
    assert getattr(strict, method)(url).status_code == 405
    assert state(reader) == "confirmed"


def test_a_forged_or_damaged_link_is_not_found_and_changes_nothing(
    strict: Client, reader: Subscriber, letter: Newsletter, url: str
) -> None:
    token = url.rstrip("/").rpartition("/")[2]
    other = add_readers(List.objects.get(), 1, prefix="other")[0]
    signature = token.rpartition(".")[2]
    forged = [
        token[:-1],
        token + "x",
        f"{other.pk}.{letter.pk}.7.{signature}",
        f"{reader.pk}.{letter.pk}.8.{signature}",
        f"{reader.pk}.{letter.pk}.7.",
        "x",
        tokens.confirmation_token(tokens.Confirmation(reader.pk, (1,))),
    ]
    for wrong in forged:
        assert strict.post(f"/unsubscribe/{wrong}/").status_code == 404
        response = strict.get(f"/unsubscribe/{wrong}/")
        assert response.status_code == 404
        assert "This link is not complete" in response.content.decode()
    assert set(Subscription.objects.values_list("state", flat=True)) == {"confirmed"}


def test_a_link_made_with_a_former_key_still_works(
    strict: Client, reader: Subscriber, url: str, settings: Settings
) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-another-key-another-key-another"
    assert strict.post(url).status_code == 200
    assert state(reader) == "unsubscribed"


def test_the_link_of_an_erased_reader_answers_kindly(strict: Client, reader: Subscriber, url: str) -> None:
    reader.delete()
    assert strict.get(url).status_code == 200
    assert strict.post(url).status_code == 200
