"""The public archive, its feeds and an issue in the browser: what was sent, harmless, and nobody's own links in it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from newsletters import content, links
from newsletters.models import Delivery, Issue, Link, List, Newsletter
from tests.newsletters.conftest import add_readers

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"
OUT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def public(letter: Newsletter, settings: Settings) -> Newsletter:
    settings.PUBLIC_URL = "https://news.example.org"
    letter.is_archived = True
    letter.save()
    return letter


def make(newsletter: Newsletter, body: str = "# Hello {{ name|dear reader }}\n\nText.", **values: Any) -> Issue:
    source = content.Source(
        subject=str(values.pop("subject", "News for {{ name|you }}")), body=body, title=newsletter.name,
        list_names=["City news"], format=str(values.pop("format", "markdown")),
    )  # fmt: skip
    frozen = content.freeze(source)
    at = values.pop("at", OUT)
    defaults = {"state": "sent", "started_at": at, "finished_at": at + timedelta(minutes=5), "scheduled_for": at}
    return Issue.objects.create(
        newsletter=newsletter, subject=frozen.subject, html=frozen.html, text=frozen.text, **{**defaults, **values}
    )


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, url
    return response.content.decode()


def test_an_issue_is_shown_with_fallbacks_and_without_personal_links(client: Client, public: Newsletter) -> None:
    issue = make(public, "# Hello {{ name|dear reader }}\n\n[out]({{ unsubscribe_url }}) {{ email }}")
    page = text_of(client, f"/archive/{issue.public_id}/")
    assert "Hello dear reader" in page and "News for you" in page
    assert "/unsubscribe/" not in page and "{{" not in page
    assert "2 March 2026" in page


def test_staff_html_cannot_run_or_cover_anything(client: Client, public: Newsletter) -> None:
    issue = make(public)
    Issue.objects.update(  # as if the check of the editor had been got round
        html="<body><p onclick='x()' style='position:fixed;color:red'>Text</p><script>alert(1)</script>"
        "<iframe src='https://x'></iframe><form action='https://evil.example'><input name='a'></form>"
        "<a href='javascript:alert(1)'>x</a></body>"
    )
    response = client.get(f"/archive/{issue.public_id}/")
    letter = response.content.decode().partition("<article")[2].partition("</article>")[0]
    for bad in ("<script", "onclick", "<iframe", "<form", "<input", "javascript:", "position"):
        assert bad not in letter, bad
    assert "color:red" in letter.replace(" ", "")
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "form-action 'none'" in policy and "script" not in policy


@pytest.mark.parametrize("state", ["draft", "approval", "scheduled", "preparing", "running", "paused", "cancelled"])
def test_only_what_was_sent_is_public(client: Client, public: Newsletter, state: str) -> None:
    issue = make(public, state=state)
    assert client.get(f"/archive/{issue.public_id}/").status_code == 404
    assert "Nothing has come out yet" in text_of(client, f"/archive/{public.pk}/")
    assert str(issue.public_id) not in text_of(client, "/archive/atom.xml")


def test_a_newsletter_without_archive_shows_nothing(client: Client, letter: Newsletter) -> None:
    issue = make(letter)
    for url in (f"/archive/{issue.public_id}/", f"/archive/{letter.pk}/", f"/archive/{letter.pk}/rss.xml",
                f"/archive/{uuid.uuid4()}/"):  # fmt: skip
        response = client.get(url)
        assert response.status_code == 404, url
        assert "This is not in the archive" in response.content.decode()
    assert letter.name not in text_of(client, "/archive/")


def test_the_feeds_have_the_dates_and_addresses_of_the_issues(client: Client, public: Newsletter) -> None:
    older, newer = make(public, at=OUT - timedelta(days=7)), make(public, preheader="Trams and {{ name|more }}")
    response = client.get(f"/archive/{public.pk}/atom.xml")
    assert response["Content-Type"].startswith("application/atom+xml")
    root = ElementTree.fromstring(response.content)
    entries = root.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}id") for entry in entries] == [f"urn:uuid:{row.public_id}" for row in (newer, older)]
    assert entries[0].findtext(f"{ATOM}published") == "2026-03-02T09:00:00+00:00"
    assert entries[0].findtext(f"{ATOM}updated") == "2026-03-02T09:05:00+00:00"
    assert entries[0].findtext(f"{ATOM}title") == "News for you"
    assert entries[0].findtext(f"{ATOM}summary") == "Trams and more"
    link = entries[0].find(f"{ATOM}link")
    assert link is not None and link.get("href") == f"https://news.example.org/archive/{newer.public_id}/"
    rss = ElementTree.fromstring(client.get("/archive/rss.xml").content)
    item = rss.findall("./channel/item")[0]
    assert item.findtext("pubDate") == "Mon, 02 Mar 2026 09:00:00 +0000"
    assert item.findtext("guid") == f"urn:uuid:{newer.public_id}"
    assert item.findtext("category") == "Weekly letter"


def test_caches_may_keep_pages_and_ask_whether_they_changed(client: Client, public: Newsletter) -> None:
    issue = make(public)
    for url in (
        f"/archive/{issue.public_id}/",
        f"/archive/{public.pk}/",
        "/archive/",
        f"/archive/{public.pk}/atom.xml",
    ):
        first = client.get(url)
        assert first["Cache-Control"] == "public, max-age=300", url
        assert not first.cookies and "Cookie" not in first.get("Vary", ""), url
        again = client.get(url, headers={"if-none-match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b""), url
        assert client.head(url).status_code == 200
    feed = client.get(f"/archive/{public.pk}/atom.xml")
    later = client.get(f"/archive/{public.pk}/atom.xml", headers={"if-modified-since": feed["Last-Modified"]})
    assert later.status_code == 304
    make(public, at=datetime.now(UTC) + timedelta(hours=1))
    assert client.get(f"/archive/{public.pk}/atom.xml", headers={"if-none-match": feed["ETag"]}).status_code == 200


def test_the_list_of_issues_is_paged_and_asks_the_same_however_many_there_are(
    client: Client, public: Newsletter
) -> None:
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            text_of(client, url)
        return len(captured)

    urls = ("/archive/", f"/archive/{public.pk}/", "/archive/atom.xml")
    make(public)
    before = [queries(url) for url in urls]
    for number in range(1, 30):
        make(public, at=OUT - timedelta(days=number), subject=f"Number {number}")
    assert [queries(url) for url in urls] == before
    page = text_of(client, f"/archive/{public.pk}/")
    assert "Number 24<" in page and "Number 25<" not in page and "Page 1 of 2" in page
    assert "Number 25<" in text_of(client, f"/archive/{public.pk}/?page=2")


def test_what_is_read_in_the_archive_is_not_counted(client: Client, public: Newsletter) -> None:
    issue = make(public)
    counted = links.click_url(issue.public_id, 1)
    Issue.objects.update(html=f'<body><a href="{counted}">Read on</a></body>')
    Link.objects.create(issue=issue, number=1, url="https://example.org/?a=1&b=2")
    page = text_of(client, f"/archive/{issue.public_id}/")
    assert 'href="https://example.org/?a=1&amp;b=2"' in page
    assert "/go/" not in page


class TestInTheBrowser:
    """The link at the foot of a mail."""

    @pytest.fixture
    def delivery(self, letter: Newsletter, city_news: List) -> Delivery:
        reader = add_readers(city_news, 1, name="Zoë")[0]
        issue = make(letter, "# Hello {{ name|there }}\n\n[out]({{ unsubscribe_url }}) [mine]({{ preferences_url }})")
        return Delivery.objects.create(
            issue=issue, subscriber=reader, email=reader.email, email_norm=reader.email_norm, name="Zoë"
        )

    def url(self, delivery: Delivery, settings: Settings, *, number: int | None = None) -> str:
        chosen = delivery.pk if number is None else number
        return links.view_url(delivery.issue_id, chosen).removeprefix(settings.PUBLIC_URL)

    def test_it_has_the_readers_values_and_not_their_links(
        self, client: Client, delivery: Delivery, settings: Settings
    ) -> None:
        response = client.get(self.url(delivery, settings))
        page = response.content.decode()
        assert "Hello Zoë" in page and "News for Zoë" in page
        assert "/unsubscribe/" not in page and "/preferences/1" not in page
        assert "no-store" in response["Cache-Control"] and response["X-Robots-Tag"] == "noindex"

    def test_an_erased_reader_or_a_cleaned_up_delivery_leaves_the_plain_issue(
        self, client: Client, delivery: Delivery, settings: Settings
    ) -> None:
        url = self.url(delivery, settings)
        Delivery.objects.update(subscriber=None)
        assert "Hello there" in text_of(client, url)
        Delivery.objects.all().delete()
        assert "Hello there" in text_of(client, url)
        assert "Hello there" in text_of(client, self.url(delivery, settings, number=0))

    def test_a_delivery_of_another_issue_is_nobodys(
        self, client: Client, delivery: Delivery, letter: Newsletter, settings: Settings
    ) -> None:
        other = make(letter, "Dear {{ name|there }}", at=OUT + timedelta(days=7))
        page = text_of(client, links.view_url(other.pk, delivery.pk).removeprefix(settings.PUBLIC_URL))
        assert "Dear there" in page

    def test_an_issue_that_is_gone_is_said_so(self, client: Client, delivery: Delivery, settings: Settings) -> None:
        url = self.url(delivery, settings)
        Issue.objects.update(html="")
        response = client.get(url)
        assert response.status_code == 404 and "We do not keep this letter any more" in response.content.decode()

    def test_a_changed_link_opens_nothing(self, client: Client, delivery: Delivery, settings: Settings) -> None:
        url = self.url(delivery, settings)
        for wrong in (url.replace(f".{delivery.pk}.", ".999."), url[:-2] + "/", "/view/x/"):
            assert client.get(wrong).status_code == 404
