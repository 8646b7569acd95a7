"""The page of a newsletter's feed: it says what the next issue would hold, and asks nobody before it is told to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from newsletters.models import List, Newsletter
from runs.models import AuditEntry
from tests.newsletters.test_admin import newsletter_form
from tests.newsletters.test_feeds import item, rss
from tests.newsletters.web_server import WebServer, page

pytestmark = pytest.mark.django_db


@pytest.fixture
def web(settings: Settings) -> Iterator[WebServer]:
    settings.FETCH_ALLOW = [ipaddress.ip_network("127.0.0.1/32")]
    cache.clear()
    server = WebServer()
    server.pages["/feed"] = page(rss(item(1), item(2, title="&lt;script&gt;alert(1)&lt;/script&gt;Two"), item(3)))
    yield server
    server.stop()


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def address(newsletter: Newsletter) -> str:
    return reverse("admin:newsletters_newsletter_feed", args=[newsletter.pk])


@pytest.fixture
def digest(letter: Newsletter, web: WebServer) -> Newsletter:
    letter.source, letter.feed_url, letter.feed_items = "feed", f"{web.url}/feed", 2
    letter.save()
    return letter


def anew(newsletter: Newsletter) -> str:
    return reverse("admin:newsletters_newsletter_feed_anew", args=[newsletter.pk])


def test_looking_shows_what_would_go_out(client: Client, digest: Newsletter) -> None:
    shown = client.get(address(digest), {"look": "1"}).content.decode()
    assert "2 new entries" in shown and "1 more is older" in shown and "Story 3" in shown
    assert "<script>alert" not in shown and "Two" in shown


def test_the_feed_is_not_asked_before_somebody_looks(client: Client, digest: Newsletter, web: WebServer) -> None:
    client.get(address(digest))
    assert web.asked == []
    client.get(address(digest), {"look": "1"})
    assert [path for _, path in web.asked] == ["/feed"]


def test_a_bad_feed_is_said_on_the_page(client: Client, digest: Newsletter) -> None:
    Newsletter.objects.update(feed_url="http://10.0.0.1/f")
    shown = client.get(address(digest), {"look": "1"}).content.decode()
    assert "not a public address" in shown and "no issue goes out" in shown


def test_the_settings_stand_in_the_newsletters_form_alone(
    client: Client, digest: Newsletter, city_news: List, web: WebServer
) -> None:
    shown = client.get(address(digest)).content.decode()
    assert 'name="feed_url"' not in shown and client.post(address(digest), {"feed_items": "7"}).status_code == 405
    change = reverse("admin:newsletters_newsletter_change", args=[digest.pk])
    typed = newsletter_form(city_news, source="feed", feed_url="ftp://x.example.org/", feed_items=7)
    shown = client.post(change, typed).content.decode()
    assert "ftp://x.example.org/" in shown and "begins with https" in shown
    Newsletter.objects.update(feed_seen=["a"])
    assert client.post(change, {**typed, "feed_url": f"{web.url}/other"}).status_code == 302
    digest.refresh_from_db()
    assert (digest.feed_items, digest.feed_url, digest.feed_seen) == (7, f"{web.url}/other", ["a"])


def test_only_a_new_start_forgets_what_went_out(client: Client, digest: Newsletter) -> None:
    Newsletter.objects.update(feed_seen=["a", "b"])
    shown = client.post(anew(digest), follow=True).content.decode()
    assert "2 entries count as new again" in shown
    digest.refresh_from_db()
    assert digest.feed_seen == []
    assert AuditEntry.objects.filter(action="let the feed start anew").count() == 1


def test_the_newsletters_page_leads_there_where_there_is_a_feed(client: Client, digest: Newsletter) -> None:
    change = reverse("admin:newsletters_newsletter_change", args=[digest.pk])
    assert f'href="{address(digest)}"' in client.get(change).content.decode()
    Newsletter.objects.update(source="text")
    assert f'href="{address(digest)}"' not in client.get(change).content.decode()
    assert "No feed is read" in client.get(address(digest), {"look": "1"}).content.decode()
    assert client.get(f"{address(digest)[:-6]}999/feed/").status_code == 404


def test_a_stranger_sees_and_changes_nothing(digest: Newsletter) -> None:
    other = Client(headers={"accept": "text/plain"})
    other.force_login(User.objects.create_user("viewer", is_staff=True))
    assert other.get(address(digest)).status_code == 403
    assert other.post(anew(digest)).status_code == 403
