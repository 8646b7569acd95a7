"""The digest of a feed: what is new, once; and every way in which a feed can be bad, in words."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from xml.sax.saxutils import escape

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from pytest_django import Settings

from newsletters import feed_entries, feeds
from newsletters.models import Newsletter
from tests.newsletters.web_server import WebServer, page

pytestmark = pytest.mark.django_db


@pytest.fixture
def web(settings: Settings) -> Iterator[WebServer]:
    settings.FETCH_ALLOW = [ipaddress.ip_network("127.0.0.1/32")]
    cache.clear()
    server = WebServer()
    yield server
    server.stop()


@pytest.fixture
def digest_letter(letter: Newsletter, web: WebServer) -> Newsletter:
    letter.source, letter.feed_url, letter.feed_items = "feed", f"{web.url}/feed", 3
    letter.body = "Dear reader,\n\n{{ feed }}\n\nYours"
    letter.save()
    return letter


def item(number: int, **more: str) -> str:
    fields = {"title": f"Story {number}", "link": f"https://example.org/{number}", "guid": f"id-{number}",
              "pubDate": f"Mon, {number:02} Jun 2026 08:00:00 GMT", "description": f"About {number}", **more}  # fmt: skip
    return "<item>" + "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value) + "</item>"


def rss(*items: str) -> bytes:
    head = '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>City</title>'
    return f"{head}{''.join(items)}</channel></rss>".encode()


def serve(web: WebServer, *items: str) -> None:
    web.pages["/feed"] = page(rss(*items), Content_Type="application/rss+xml")


def test_new_entries_newest_first_at_most_so_many(web: WebServer, digest_letter: Newsletter) -> None:
    serve(web, *(item(number) for number in (2, 5, 1, 4, 3)))
    made = feeds.digest(digest_letter)
    assert [entry.title for entry in made.entries] == ["Story 5", "Story 4", "Story 3"]
    assert (made.number, made.left_out, made.title) == (3, 2, "City")
    assert made.body.startswith("Dear reader,\n\n\n\n### [Story 5](<https://example.org/5>)\n\n*Fri 5 Jun 2026*")
    assert made.body.rstrip().endswith("Yours") and "{{" not in made.body


def test_what_went_out_does_not_come_again(web: WebServer, digest_letter: Newsletter) -> None:
    serve(web, *(item(number) for number in range(1, 6)))
    with transaction.atomic():
        feeds.mark_seen(digest_letter, feeds.digest(digest_letter))
    digest_letter.refresh_from_db()
    assert feeds.digest(digest_letter).number == 0, "not even the older ones that were left out"
    serve(web, item(6), item(5, title="Story 5, corrected"))
    assert [entry.title for entry in feeds.digest(digest_letter).entries] == ["Story 6"]


def test_an_issue_that_is_not_made_marks_nothing(web: WebServer, digest_letter: Newsletter) -> None:
    serve(web, item(1))
    made = feeds.digest(digest_letter)
    with pytest.raises(RuntimeError), transaction.atomic():
        feeds.mark_seen(digest_letter, made)
        raise RuntimeError
    digest_letter.refresh_from_db()
    assert feeds.digest(digest_letter).number == 1


def test_entries_that_leave_the_feed_are_remembered_within_bounds(
    web: WebServer, digest_letter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MOST_REMEMBERED", 5)
    for start in (1, 8, 15):
        serve(web, *(item(number) for number in range(start, start + 7)))
        feeds.mark_seen(digest_letter, feeds.digest(digest_letter))
    assert len(digest_letter.feed_seen) == 7 + 5
    serve(web, item(14))
    assert feeds.digest(digest_letter).number == 0


def test_atom_with_html_relative_links_and_no_dates(web: WebServer, digest_letter: Newsletter) -> None:
    web.pages["/feed"] = page(
        b'<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title>'
        b'<entry><id>a</id><title type="html">Fish &amp;amp; chips</title><link href="/a"/>'
        b'<content type="html">&lt;p&gt;One &lt;b&gt;two&lt;/b&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;/p&gt;</content></entry>'
        b"<entry><id>urn:b</id><title>B</title></entry></feed>"
    )
    first, second = feeds.digest(digest_letter).entries
    assert (first.title, first.url, first.summary) == ("Fish & chips", f"{web.url}/a", "One two")
    assert (second.title, second.url, second.published_at) == ("B", "", None)


@pytest.mark.parametrize("text_format", ["markdown", "html"])
def test_what_a_stranger_wrote_stays_text(web: WebServer, digest_letter: Newsletter, text_format: str) -> None:
    hostile = escape("{{ unsubscribe_url }} [x](javascript:alert(1)) <b onclick=x>*bold*</b> `code` # no")
    serve(web, item(1, title=hostile, description=hostile, link="javascript:alert(1)"))
    digest_letter.format = text_format
    made = feeds.digest(digest_letter)
    assert made.entries[0].url == "" and "{{" not in made.body and "<b" not in made.body
    if text_format == "markdown":
        assert r"\[x\]\(javascript:alert\(1\)\) \*bold\* \`code\` \# no" in made.body


def test_a_link_cannot_break_out_of_its_place(web: WebServer, digest_letter: Newsletter) -> None:
    serve(web, item(1, link=escape('https://example.org/a>)"<script>{{ name }}')))
    url = feeds.digest(digest_letter).entries[0].url
    assert not set(url) & set('<>"{}() ')


def test_a_text_without_a_place_gets_the_entries_at_its_end() -> None:
    entry = feed_entries.Entry("k", "Title", "https://example.org/", datetime(2026, 1, 2, tzinfo=timezone.utc), "Sum")
    assert feed_entries.put_in("Hello", [entry], "markdown").startswith("Hello\n\n### [Title](<https://example.org/>)")
    assert feed_entries.put_in("<body><p>Hi</p></body>", [entry], "html").endswith("<p>Sum</p></body>")
    assert feed_entries.put_in("Hello\n\n{{ feed }}", [], "markdown").strip() == "Hello"


def test_long_texts_are_cut_at_a_word(web: WebServer, digest_letter: Newsletter) -> None:
    serve(web, item(1, description="word " * 500))
    summary = feeds.digest(digest_letter).entries[0].summary
    assert len(summary) <= feed_entries.SUMMARY_CHARACTERS + 1 and summary.endswith("word…")


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b']><rss version="2.0"><channel><title>x</title><item><title>&j;</title><guid>1</guid></item></channel></rss>'
)


def test_an_entity_bomb_stays_small(web: WebServer, digest_letter: Newsletter) -> None:
    web.pages["/feed"] = page(BOMB)
    started = time.monotonic()
    assert all(len(entry.title) <= 250 for entry in feeds.digest(digest_letter).entries)
    assert time.monotonic() - started < 10


def test_a_file_that_an_entity_names_is_not_read(web: WebServer, digest_letter: Newsletter) -> None:
    web.pages["/feed"] = page(
        b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + rss(item(1, title="T &a;")).partition(b"?>")[2]
    )
    assert "root" not in feeds.digest(digest_letter).body


@pytest.mark.parametrize(
    "body", [b"/etc/passwd", b"", b"\0" * 5000, b'{"version": "https://jsonfeed.org"}', b"%PDF-1.7"]
)
def test_what_is_no_feed_is_said(web: WebServer, digest_letter: Newsletter, body: bytes) -> None:
    web.pages["/feed"] = page(body)
    with pytest.raises(feeds.FeedProblem, match="not an RSS or Atom feed"):
        feeds.digest(digest_letter)


def test_a_page_that_names_its_feed_is_a_hint(web: WebServer, digest_letter: Newsletter) -> None:
    web.pages["/feed"] = page(
        b'<!doctype html><html><head><link rel="alternate" type="application/rss+xml" href="/news.xml"></head></html>'
    )
    with pytest.raises(feeds.FeedProblem, match=f"its feed is at {web.url}/news.xml"):
        feeds.digest(digest_letter)


def test_a_feed_that_is_down_too_large_too_slow_or_inside_is_said(
    web: WebServer, digest_letter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "SECONDS", 0.3)
    with pytest.raises(feeds.FeedProblem, match="answered 404"):
        feeds.digest(digest_letter)
    web.pages["/feed"] = page(b"x" * 50_000_000)
    with pytest.raises(feeds.FeedProblem, match="more than 5 MB"):
        feeds.digest(digest_letter)
    web.pages["/feed"] = lambda handler: time.sleep(2)
    with pytest.raises(feeds.FeedProblem, match="No complete answer"):
        feeds.digest(digest_letter)
    digest_letter.feed_url = "http://169.254.169.254/latest"
    with pytest.raises(feeds.FeedProblem, match="not a public address"):
        feeds.digest(digest_letter)


def test_a_broken_feed_is_read_as_far_as_it_goes(web: WebServer, digest_letter: Newsletter) -> None:
    web.pages["/feed"] = page(rss(item(1), item(2))[:-60])
    assert feeds.digest(digest_letter).entries[0].title == "Story 2" or feeds.digest(digest_letter).number >= 1


def test_the_preview_asks_the_feed_once_a_minute(web: WebServer, digest_letter: Newsletter) -> None:
    serve(web, item(1))
    assert [feeds.preview(digest_letter).number for _ in range(3)] == [1, 1, 1]
    digest_letter.feed_url = f"{web.url}/gone"
    for _ in range(3):
        with pytest.raises(feeds.FeedProblem):
            feeds.preview(digest_letter)
    assert [path for _, path in web.asked] == ["/feed", "/gone"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"feed_url": ""}, "feed_url"),
        ({"feed_url": "ftp://example.org/feed"}, "feed_url"),
        ({"text_format": "mjml", "body": "<mjml></mjml>"}, "body"),
        ({"source": "text"}, "body"),
    ],
)
def test_the_fields_of_the_form_are_checked(values: dict[str, str], field: str) -> None:
    good = {"source": "feed", "feed_url": "https://example.org/f", "body": "{{ feed }}", "text_format": "markdown"}
    feeds.check_fields(**good)
    with pytest.raises(ValidationError) as caught:
        feeds.check_fields(**{**good, **values})
    assert list(caught.value.message_dict) == [field]
