"""A newsletter with a feed: what is new is in its previews, checks, test mails and in the issues that staff write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from html import unescape
from http.server import BaseHTTPRequestHandler

import pytest
from django.contrib.auth.models import User
from django.test import Client

from newsletters import approval, checklist, drafts, feeds, issues, preparing, releasing
from newsletters.issues import Text, When
from newsletters.models import Issue, List, Newsletter
from runs.models import Run
from runs.states import State
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.people import SENDS, next_due, staff, weekly
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_admin import newsletter_form
from tests.newsletters.test_feeds import digest_letter, item, rss, serve, web  # noqa: F401
from tests.newsletters.web_server import WebServer, page

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db
ADMIN = "/admin/newsletters/newsletter"


@pytest.fixture
def admin(client: Client) -> User:
    user = User.objects.create_superuser("ada", "ada@example.org", "pw")
    client.force_login(user)
    return user


def typed(letter: Newsletter, city_news: List, **more: object) -> dict[str, object]:
    return newsletter_form(
        city_news, draft_newsletter=letter.pk, source="feed", feed_url=letter.feed_url, feed_items=3,
        feed_when_empty="skip", **{"body": "Before {{ feed }} after", **more},
    )  # fmt: skip


def sentences(letter: Newsletter) -> dict[str, str]:
    return {one.sentence: one.state for one in checklist.check(drafts.of_newsletter(letter))}


def test_preview_and_test_mail_hold_what_is_new(
    client: Client, admin: User, smtp_server: SmtpServer, web: WebServer, digest_letter: Newsletter, city_news: List  # noqa: F811
) -> None:  # fmt: skip
    add_readers(city_news, 1)
    serve(web, item(1), item(2))
    form = typed(digest_letter, city_news, test_to="ada@example.org")
    shown = unescape(unescape(client.post(f"{ADMIN}/preview/", form).content.decode()))
    assert "Story 2" in shown and "{{ feed }}" not in shown
    assert "On its way" in client.post(f"{ADMIN}/test/", form).content.decode()
    assert "Story 1" in smtp_server.received[0].body("plain")
    digest_letter.refresh_from_db()
    assert digest_letter.feed_seen == [], "looking marks nothing"
    form["feed_url"] = f"{web.url}/half-typ"
    shown = unescape(unescape(client.post(f"{ADMIN}/preview/", form).content.decode()))
    assert "What is new in the feed stands here" in shown


def test_a_feed_that_is_down_is_said_in_the_preview_the_checks_and_the_test(
    client: Client, admin: User, smtp_server: SmtpServer, web: WebServer, digest_letter: Newsletter, city_news: List  # noqa: F811
) -> None:  # fmt: skip
    add_readers(city_news, 1)
    form = typed(digest_letter, city_news, test_to="ada@example.org")
    for part in ("preview", "test"):
        assert "could not be read" in client.post(f"{ADMIN}/{part}/", form).content.decode()
    assert [state for sentence, state in sentences(digest_letter).items() if "could not be read" in sentence] == ["bad"]
    assert smtp_server.received == []


def test_a_slow_feed_holds_the_preview_up_for_seconds_only_and_the_rest_is_shown(
    client: Client, admin: User, web: WebServer, digest_letter: Newsletter, city_news: List, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    monkeypatch.setattr(feeds, "PREVIEW_SECONDS", 0.3)
    enough = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        enough.wait(10)
        page(rss(item(1)))(handler)

    web.pages["/feed"] = slow
    begun = time.monotonic()
    shown = client.post(f"{ADMIN}/preview/", typed(digest_letter, city_news)).content.decode()
    assert time.monotonic() - begun < 3
    assert "No complete answer within 0.3 seconds" in shown and "The rest of the letter is shown" in shown
    said = unescape(unescape(shown))
    assert "Before" in said and "What is new in the feed stands here" in said and "after" in said
    asked = len(web.asked)
    client.post(f"{ADMIN}/preview/", typed(digest_letter, city_news))
    assert len(web.asked) == asked, "the next letter typed does not wait again"
    enough.set()
    assert feeds.preview(digest_letter).number == 1, "whoever waits longer asks for themselves"


def test_whoever_approves_an_issue_is_told_that_the_feed_comes_in_later(
    client: Client, web: WebServer, digest_letter: Newsletter, city_news: List  # noqa: F811
) -> None:  # fmt: skip
    add_readers(city_news, 2)
    serve(web, item(1))
    digest_letter.approve_above = 1
    digest_letter.save()
    issue = issues.create_issue(None, digest_letter, text=Text("S", "Before {{ feed }} after"))
    releasing.submit_issue(None, issue.pk)
    client.force_login(staff("ines", *SENDS))
    address = f"/admin/newsletters/issue/{issue.pk}"
    for said in (client.get(f"{address}/change/"), client.post(f"{address}/approve/")):
        assert "nobody reads or approves those first" in said.content.decode()
    checked = {one.sentence: one.advice for one in checklist.check(drafts.of_issue(issue))}
    assert "comes in when the issue is sent" in checked["1 entry of the feed would be in it now."]


def test_an_approval_is_for_one_feed(web: WebServer, digest_letter: Newsletter, city_news: List) -> None:  # noqa: F811
    issue = issues.create_issue(None, digest_letter, text=Text("S", "Before {{ feed }} after"))
    plain = issues.create_issue(None, digest_letter, text=Text("S", "Only this"))
    before = approval.agreed(issue), approval.agreed(plain)
    Newsletter.objects.update(feed_url=f"{web.url}/another")
    now = approval.agreed(Issue.objects.get(pk=issue.pk)), approval.agreed(Issue.objects.get(pk=plain.pk))
    assert now[0] != before[0] and now[1] == before[1]


def test_the_checks_count_the_new_entries(web: WebServer, digest_letter: Newsletter, city_news: List) -> None:  # noqa: F811
    add_readers(city_news, 1)
    serve(web, item(1), item(2))
    assert sentences(digest_letter)["2 entries of the feed would be in it now."] == "good"
    preparing.issue_for(digest_letter, DUE)
    digest_letter.refresh_from_db()
    assert sentences(digest_letter)["Nothing is new in the feed, so nothing would be sent now."] == "warn"


@pytest.mark.parametrize("body", ["Dear reader,\n\n{{ feed }}\n\nYours", "Dear reader"])
def test_an_issue_that_staff_write_has_the_feed_where_they_leave_its_place(
    smtp_server: SmtpServer, perform: Perform, web: WebServer, digest_letter: Newsletter, city_news: List, body: str  # noqa: F811
) -> None:  # fmt: skip
    add_readers(city_news, 1)
    serve(web, item(1))
    Newsletter.objects.update(body=body)
    digest_letter.refresh_from_db()
    weekly(digest_letter)
    due = next_due(digest_letter)
    issue = issues.create_issue(None, digest_letter, When(due))
    assert "{{ feed }}" in issue.body, "its writer sees where the entries will stand"
    releasing.submit_issue(None, issue.pk)
    serve(web, item(1), item(2))
    assert perform(digest_letter, due_at=due).result == "1 sent."
    said = smtp_server.received[0].body("plain")
    assert "Story 1" in said and "Story 2" in said
    digest_letter.refresh_from_db()
    assert len(digest_letter.feed_seen) == 2
    assert "Story 2" in Issue.objects.get().body


def test_an_issue_without_the_place_asks_no_feed(
    smtp_server: SmtpServer, perform: Perform, web: WebServer, digest_letter: Newsletter, city_news: List  # noqa: F811
) -> None:  # fmt: skip
    add_readers(city_news, 1)
    weekly(digest_letter)
    due = next_due(digest_letter)
    issue = issues.create_issue(None, digest_letter, When(due), Text("S", "Only this"))
    releasing.submit_issue(None, issue.pk)
    assert perform(digest_letter, due_at=due).result == "1 sent."
    found = checklist.check(drafts.of_issue(Issue.objects.get()))
    assert any("does not come into this issue by itself" in one.sentence for one in found)


def test_an_issue_whose_feed_is_down_is_not_sent_without_it(
    smtp_server: SmtpServer, perform: Perform, web: WebServer, digest_letter: Newsletter, city_news: List  # noqa: F811
) -> None:  # fmt: skip
    add_readers(city_news, 1)
    weekly(digest_letter)
    due = next_due(digest_letter)
    issue = issues.create_issue(None, digest_letter, When(due))
    releasing.submit_issue(None, issue.pk)
    run = perform(digest_letter, due_at=due)
    assert run.state == State.FAILED and "could not be read" in run.error
    assert smtp_server.received == []
    assert Issue.objects.get().state == Issue.State.SCHEDULED


def test_the_place_of_a_feed_is_refused_where_there_is_none(client: Client, admin: User, city_news: List) -> None:
    answer = client.post(f"{ADMIN}/add/", newsletter_form(city_news, body="Hello {{ feed }}"))
    assert answer.status_code == 200
    assert "this newsletter has none" in answer.content.decode()
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>"
    answer = client.post(
        f"{ADMIN}/add/",
        newsletter_form(city_news, body=mjml, format="mjml", source="feed", feed_url="https://example.org/feed"),
    )
    assert "inside an &lt;mj-text&gt;" in answer.content.decode()
    assert not Newsletter.objects.exists()
