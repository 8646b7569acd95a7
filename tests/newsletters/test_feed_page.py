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

from newsletters.models import Newsletter
from runs.models import AuditEntry
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


def settings_of(web: WebServer, **more: object) -> dict[str, object]:
    return {"source": "feed", "feed_url": f" {web.url}/feed ", "feed_items": 2, "feed_when_empty": "skip", **more}


def test_saving_shows_at_once_what_would_go_out(client: Client, letter: Newsletter, web: WebServer) -> None:
    shown = client.post(address(letter), settings_of(web), follow=True).content.decode()
    assert "2 new entries" in shown and "1 more is older" in shown and "Story 3" in shown
    assert "<script>alert" not in shown and "Two" in shown
    letter.refresh_from_db()
    assert (letter.source, letter.feed_url, letter.feed_items) == ("feed", f"{web.url}/feed", 2)
    assert AuditEntry.objects.filter(action="changed the feed of the newsletter").count() == 1


def test_the_feed_is_not_asked_before_somebody_looks(client: Client, letter: Newsletter, web: WebServer) -> None:
    client.post(address(letter), settings_of(web))
    client.get(address(letter))
    assert web.asked == []
    client.get(address(letter), {"look": "1"})
    assert [path for _, path in web.asked] == ["/feed"]


def test_a_bad_feed_is_said_on_the_page(client: Client, letter: Newsletter, web: WebServer) -> None:
    shown = client.post(address(letter), settings_of(web, feed_url="http://10.0.0.1/f"), follow=True).content.decode()
    assert "not a public address" in shown and "no issue goes out" in shown


def test_wrong_settings_are_said_and_kept_in_the_form(client: Client, letter: Newsletter, web: WebServer) -> None:
    shown = client.post(address(letter), settings_of(web, feed_url="ftp://x/", feed_items=99)).content.decode()
    assert "ftp://x/" in shown and "less than or equal to 50" in shown
    shown = client.post(address(letter), settings_of(web, feed_url="ftp://x/")).content.decode()
    assert "begins with https" in shown
    letter.refresh_from_db()
    assert letter.source == "text"


def test_only_a_new_start_forgets_what_went_out(client: Client, letter: Newsletter, web: WebServer) -> None:
    Newsletter.objects.filter(pk=letter.pk).update(source="feed", feed_url=f"{web.url}/feed", feed_seen=["a", "b"])
    client.post(address(letter), settings_of(web, feed_items=7))
    letter.refresh_from_db()
    assert letter.feed_seen == ["a", "b"]
    client.post(address(letter), {"anew": "1"})
    letter.refresh_from_db()
    assert letter.feed_seen == []
    Newsletter.objects.filter(pk=letter.pk).update(feed_seen=["a"])
    client.post(address(letter), settings_of(web, feed_url=f"{web.url}/other"))
    letter.refresh_from_db()
    assert (letter.feed_url, letter.feed_seen) == (f"{web.url}/other", ["a"])


def test_the_newsletters_page_leads_there_and_a_viewer_cannot_change_it(client: Client, letter: Newsletter) -> None:
    change = reverse("admin:newsletters_newsletter_change", args=[letter.pk])
    assert f'href="{address(letter)}"' in client.get(change).content.decode()
    assert client.get(f"{address(letter)[:-6]}999/feed/").status_code == 404
    other = Client(headers={"accept": "text/plain"})
    other.force_login(User.objects.create_user("viewer", is_staff=True))
    assert other.get(address(letter)).status_code == 403
    assert other.post(address(letter), {"anew": "1"}).status_code == 403
