"""The pages of issues and newsletters: what they say, what they keep of what was typed, and that they stay cheap."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from newsletters import issue_page, issues, preparing, releasing
from newsletters.issues import Text, When
from newsletters.models import Delivery, Issue, Link, List, Newsletter, Segment
from runs import clock
from runs.models import AuditEntry, Run
from schedules import services as schedules
from tests.newsletters.conftest import add_readers
from tests.newsletters.people import SENDS, WRITES, next_due, staff, weekly
from tests.newsletters.smtp_server import SmtpServer

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db
ISSUES = "/admin/newsletters/issue"


@pytest.fixture
def ines(client: Client) -> User:
    user = staff("ines", *SENDS)
    client.force_login(user)
    return user


def shown(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, response
    return unescape(response.content.decode())


def typed(**changes: str) -> dict[str, str]:
    return {"subject": "S", "preheader": "", "format": "markdown", "template": "", "body": "B", **changes}


def test_from_the_newsletters_page_to_a_released_issue(
    client: Client, ines: User, letter: Newsletter, city_news: List
) -> None:
    weekly(letter)
    add_readers(city_news, 3)
    due = next_due(letter)
    page = shown(client, f"/admin/newsletters/newsletter/{letter.pk}/change/")
    assert "Write this issue" in page
    new = f"{ISSUES}/new/?newsletter={letter.pk}&for={quote(due.isoformat())}"
    assert "goes out in place of the usual text" in shown(client, new).replace("\n", " ")
    made = client.post(f"{ISSUES}/new/", {"newsletter": letter.pk, "when": due.isoformat()})
    issue = Issue.objects.get()
    assert made["Location"] == f"{ISSUES}/{issue.pk}/change/"
    page = shown(client, made["Location"])
    assert "If nobody releases it by" in page
    assert "does not go out in its place" in page
    assert "3</strong> readers of City news" in shown(client, f"{made['Location']}?part=audience")
    response = client.post(f"{ISSUES}/{issue.pk}/edit/", typed(subject="This once", then="submit"), follow=True)
    assert "Released. It goes out on" in response.content.decode()
    issue.refresh_from_db()
    assert (issue.subject, issue.state) == ("This once", Issue.State.SCHEDULED)
    assert "It goes out by itself on" in shown(client, f"{ISSUES}/{issue.pk}/change/")
    assert "This once" in shown(client, f"/admin/newsletters/newsletter/{letter.pk}/change/")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"body": "Dear {{ nmae }}, much work went into this."}, "There is no merge tag {{ nmae }}"),
        ({"subject": ""}, "This field is required"),
        ({"seen": "0" * 64}, "Somebody else changed this issue while you were writing"),
    ],
)
def test_what_was_typed_stays_when_it_cannot_be_saved(
    client: Client, ines: User, letter: Newsletter, changes: dict[str, str], words: str
) -> None:
    issue = issues.create_issue(ines, letter)
    sent = typed(**{"body": "Much work went into this.", **changes})
    page = unescape(client.post(f"{ISSUES}/{issue.pk}/edit/", sent).content.decode())
    assert words in page
    assert "uch work went into this." in page
    issue.refresh_from_db()
    assert issue.body == letter.body


def test_sending_now_names_how_many_and_starts_once(
    client: Client, ines: User, letter: Newsletter, city_news: List
) -> None:
    add_readers(city_news, 12)
    issue = issues.create_issue(ines, letter)
    asked = client.post(f"{ISSUES}/{issue.pk}/edit/", typed(subject="Now", then="send_now"))
    page = unescape(asked.content.decode())
    assert "It goes to 12 recipients of City news, at once." in page
    assert f'action="{ISSUES}/{issue.pk}/send-now/"' in page
    assert not Run.objects.exists()
    key = asked.context["hidden"]["form_key"]
    for _ in range(2):
        client.post(f"{ISSUES}/{issue.pk}/send-now/", {"form_key": key})
    assert Run.objects.count() == 1


def test_an_empty_audience_is_said_instead_of_a_button(client: Client, ines: User, letter: Newsletter) -> None:
    issue = issues.create_issue(ines, letter)
    page = unescape(client.post(f"{ISSUES}/{issue.pk}/send-now/").content.decode())
    assert "the list City news has no confirmed subscribers" in page
    assert "Send to 0 now" not in page


def test_deleting_says_what_goes_out_instead(client: Client, ines: User, letter: Newsletter) -> None:
    weekly(letter)
    regular = issues.create_issue(ines, letter, When(next_due(letter)))
    own = issues.create_issue(ines, letter, When(clock.now() + timedelta(days=2), is_own=True))
    page = unescape(client.post(f"{ISSUES}/{regular.pk}/delete-draft/").content.decode())
    assert "usual text goes out instead" in page
    assert "Nothing goes out on" in unescape(client.post(f"{ISSUES}/{own.pk}/delete-draft/").content.decode())
    assert Issue.objects.count() == 2
    client.post(f"{ISSUES}/{own.pk}/delete-draft/", {"confirmed": "1"})
    assert list(Issue.objects.all()) == [regular]


def test_the_page_says_when_nothing_would_send_it(client: Client, ines: User, letter: Newsletter) -> None:
    schedule = weekly(letter)
    issue = issues.create_issue(ines, letter, When(next_due(letter)))
    schedules.pause_schedule(None, schedule.pk, reason="a strike")
    assert "leaves this time out (paused: a strike)" in shown(client, f"{ISSUES}/{issue.pk}/change/")
    schedules.delete_schedule(None, schedule.pk)
    assert "Nothing would send it" in shown(client, f"{ISSUES}/{issue.pk}/change/")


def test_what_was_too_late_is_said_with_what_to_do(
    client: Client, ines: User, letter: Newsletter, city_news: List, perform: Perform
) -> None:
    weekly(letter)
    add_readers(city_news, 2)
    letter.approve_above = 1
    letter.save()
    perform(letter, due_at=clock.now() - timedelta(hours=3))
    issue = Issue.objects.get()
    page = shown(client, f"{ISSUES}/{issue.pk}/change/")
    assert "nothing was sent, because nobody had approved it. That is too long ago" in page
    assert "send it now all the same" in page
    releasing.approve_issue(ines, issue.pk)
    assert "it was not sent. Send it now all the same" in shown(client, f"{ISSUES}/{issue.pk}/change/")


def test_an_editor_hands_in_and_sees_no_button_to_send(client: Client, letter: Newsletter, city_news: List) -> None:
    weekly(letter)
    ada = staff("ada", *WRITES)
    client.force_login(ada)
    issue = issues.create_issue(ada, letter, When(next_due(letter)))
    page = shown(client, f"{ISSUES}/{issue.pk}/change/")
    assert "Save and hand in" in page
    assert "send now" not in page
    assert "At a time of its own" not in shown(client, f"{ISSUES}/new/?newsletter={letter.pk}")


def test_the_writer_reads_why_it_came_back(client: Client, ines: User, letter: Newsletter) -> None:
    weekly(letter)
    ada = staff("ada", *WRITES)
    issue = issues.create_issue(ada, letter, When(next_due(letter)))
    releasing.submit_issue(ada, issue.pk)
    client.post(f"{ISSUES}/{issue.pk}/refuse/", {"answer": "1", "reason": ""})
    assert Issue.objects.get().state == Issue.State.APPROVAL
    client.post(f"{ISSUES}/{issue.pk}/refuse/", {"answer": "1", "reason": "Wrong date."})
    assert "Sent back by ines" in shown(client, f"{ISSUES}/{issue.pk}/change/")
    releasing.submit_issue(ada, issue.pk)
    assert "Sent back by ines" not in shown(client, f"{ISSUES}/{issue.pk}/change/")


@pytest.fixture
def ended(letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform) -> Issue:
    """Twelve readers, of whom two were refused; three mails are uncertain."""
    add_readers(city_news, 12, name="=1+1")
    smtp_server.on_rcpt = lambda number, address: "550 5.1.1 no such user" if number in (2, 3) else None
    perform(letter)
    issue = Issue.objects.get()
    doubtful = issue.deliveries.filter(state=Delivery.State.SENT).order_by("-pk")[:3]
    Delivery.objects.filter(pk__in=[row.pk for row in doubtful]).update(state=Delivery.State.UNCERTAIN)
    Issue.objects.update(sent=7, uncertain=3)
    Link.objects.create(issue=issue, number=1, url="https://example.org/a", clicks=5)
    return issue


def test_results_by_answer_by_link_and_by_recipient(client: Client, ines: User, ended: Issue) -> None:
    page = shown(client, f"{ISSUES}/{ended.pk}/change/")
    for words in ("Why 2 failed", "5.1.1 no such user", "https://example.org/a", "3 mails may or may not have arrived"):
        assert words in page
    failed = shown(client, f"{ISSUES}/{ended.pk}/recipients/?state=failed&code=550")
    assert failed.count("5.1.1 no such user") == 2
    assert "Nobody is left out." in shown(client, f"{ISSUES}/{ended.pk}/recipients/?state=left-out")
    assert "reader11@example.org" in shown(client, f"{ISSUES}/{ended.pk}/recipients/?address=Reader11@example.org")
    assert "not among the recipients" in shown(client, f"{ISSUES}/{ended.pk}/recipients/?address=nobody@example.org")


def test_the_download_is_on_record_and_harmless_in_a_spreadsheet(client: Client, ines: User, ended: Issue) -> None:
    answer = client.post(f"{ISSUES}/{ended.pk}/recipients-download/", {"state": "failed"})
    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    head, *rows = csv.reader(io.StringIO(text))
    assert head[0] == "address"
    assert [row[:5] for row in rows] == [
        [f"reader{n}@example.org", "'=1+1", "Failed", "550", "5.1.1 no such user"] for n in (1, 2)
    ]
    assert AuditEntry.objects.filter(action="downloaded the recipients", actor=ines).count() == 1


def test_the_page_of_a_sending_is_loaded_anew_when_it_has_ended(client: Client, ines: User, ended: Issue) -> None:
    live = f"{ISSUES}/{ended.pk}/change/?part=live"
    assert client.get(live).headers["HX-Refresh"] == "true", "its results are on it then, and no speed to change"
    assert ">Speed<" not in shown(client, f"{ISSUES}/{ended.pk}/change/")
    Issue.objects.filter(pk=ended.pk).update(state=Issue.State.RUNNING)
    assert "HX-Refresh" not in client.get(live).headers
    assert ">Speed<" in shown(client, f"{ISSUES}/{ended.pk}/change/")


def test_the_address_that_people_guess_leads_to_a_new_issue(client: Client, ines: User) -> None:
    response = client.get("/admin/newsletters/issue/add/?newsletter=1")
    assert response.headers["Location"] == "/admin/newsletters/issue/new/?newsletter=1"


def test_whoever_may_only_look_takes_no_file_of_recipients(client: Client, ended: Issue) -> None:
    client.force_login(staff("vera", "view_issue", "view_delivery", "view_subscriber"))
    assert "Download as CSV" not in shown(client, f"{ISSUES}/{ended.pk}/recipients/?state=failed")
    assert client.post(f"{ISSUES}/{ended.pk}/recipients-download/", {"state": "failed"}).status_code == 403


def test_uncertain_mails_are_decided_one_by_one(client: Client, ines: User, ended: Issue) -> None:
    first, second, _ = ended.deliveries.filter(state=Delivery.State.UNCERTAIN).order_by("pk")
    url = f"{ISSUES}/{ended.pk}/decide-uncertain/"
    response = client.post(url, {"decision": "these-sent"}, follow=True)
    assert "Choose at least one mail" in response.content.decode()
    client.post(url, {"decision": "these-sent", "delivery": [first.pk]})
    ended.refresh_from_db()
    assert (ended.sent, ended.uncertain, ended.state) == (8, 2, Issue.State.SENT_WITH_PROBLEMS)
    client.post(url, {"decision": "these-again", "delivery": [second.pk]})
    second.refresh_from_db()
    assert second.state == Delivery.State.PENDING
    ended.refresh_from_db()
    assert (ended.uncertain, ended.waiting) == (1, 1)


def test_the_speed_is_changed_while_it_goes(client: Client, ines: User, ended: Issue) -> None:
    Issue.objects.update(state=Issue.State.RUNNING)
    url = f"{ISSUES}/{ended.pk}/change-rate/"
    assert (
        "At most 5 mails per hour" in client.post(url, {"rate": "5", "rate_per": "hour"}, follow=True).content.decode()
    )
    refused = client.post(url, {"rate": "0", "rate_per": "hour"}, follow=True)
    assert "greater than or equal to 1" in refused.content.decode()
    assert Newsletter.objects.get().rate == 5
    assert "As fast as the mail server" not in shown(client, f"{ISSUES}/{ended.pk}/change/")
    client.post(url, {"rate": "", "rate_per": "hour"})
    assert Newsletter.objects.get().rate is None


def test_how_fast_it_goes_now_and_how_long_it_takes(letter: Newsletter, city_news: List) -> None:
    add_readers(city_news, 40)
    issue = preparing.issue_for(letter, clock.now())
    now = clock.now()
    Issue.objects.update(started_at=now - timedelta(minutes=10), sent=20, state=Issue.State.RUNNING)
    ids = list(issue.deliveries.order_by("pk").values_list("pk", flat=True))
    Delivery.objects.filter(pk__in=ids[:20]).update(state=Delivery.State.SENT, sent_at=now - timedelta(seconds=30))
    issue.refresh_from_db()
    assert issue_page.pace(issue).in_words == "20 of 40 mails · 20 a minute · about 1 min left"
    Delivery.objects.update(sent_at=now - timedelta(minutes=9))
    assert issue_page.pace(issue).in_words == "20 of 40 mails · 2 a minute · about 10 min left"


@pytest.mark.parametrize(
    ("tab", "subjects"),
    [("drafts", {"Draft"}), ("approval", {"Asked"}), ("scheduled", {"Ready"}), ("sending", {"Going"}), ("sent", {"Done"}), ("", {"Draft", "Asked", "Ready", "Going", "Done"})],
)  # fmt: skip
def test_the_tabs_of_the_list(client: Client, ines: User, letter: Newsletter, tab: str, subjects: set[str]) -> None:
    states = {"Draft": "draft", "Asked": "approval", "Ready": "scheduled", "Going": "paused", "Done": "cancelled"}
    for subject, state in states.items():
        Issue.objects.create(newsletter=letter, subject=subject, state=state, body="x")
    page = shown(client, f"{ISSUES}/?shown={tab}")
    assert {subject for subject in states if f">{subject}</span>" in page} == subjects


def test_pages_cost_the_same_however_much_there_is(
    client: Client, ines: User, letter: Newsletter, city_news: List
) -> None:
    weekly(letter)
    add_readers(city_news, 2)
    issue = issues.create_issue(ines, letter, When(next_due(letter)))
    paths = [f"{ISSUES}/{issue.pk}/change/", f"/admin/newsletters/newsletter/{letter.pk}/change/", f"{ISSUES}/"]

    def cost() -> list[int]:
        counts = []
        for path in paths:
            shown(client, path)
            with CaptureQueriesContext(connection) as queries:
                shown(client, path)
            counts.append(len(queries))
        return counts

    few = cost()
    for number in range(5):
        issues.create_issue(ines, letter, text=Text(f"Idea {number}", "x"))
    add_readers(city_news, 30, prefix="more")
    assert cost() == few


def test_a_newsletter_keeps_all_its_rules_and_each_change_is_on_record(
    client: Client, letter: Newsletter, city_news: List
) -> None:
    client.force_login(User.objects.create_superuser("boss", password="x"))
    sent = {
        "name": letter.name, "lists": [city_news.pk], "subject": "S", "preheader": "Short", "format": "html", "body": "",
        "source": "feed", "feed_url": "https://example.org/feed", "feed_items": "7", "feed_when_empty": "send",
        "from_email": "desk@example.org", "rate_per": "hour", "rate": "100", "approve_above": "500",
        "tracking": "aggregate", "is_archived": "on", "postal_address": "Market Square 1",
    }  # fmt: skip
    url = f"/admin/newsletters/newsletter/{letter.pk}/change/"
    assert client.post(url, sent).status_code == 302
    letter.refresh_from_db()
    assert (letter.source, letter.feed_items, letter.approve_above, letter.is_archived) == ("feed", 7, 500, True)
    after = AuditEntry.objects.get(action="changed the newsletter").after
    assert after["approve_above"] == 500 and after["tracking"] == "aggregate" and after["preheader"] == "Short"
    for changes, words in (
        ({"feed_url": ""}, "Write the address of the feed"),
        ({"feed_url": "ftp://example.org/x"}, "The address of a feed begins with https://"),
        ({"feed_items": "99"}, "less than or equal to 50"),
        ({"source": "text"}, "Write the text."),
    ):
        page = unescape(client.post(url, {**sent, **changes}).content.decode())
        assert words in page


def test_a_segment_that_cannot_be_used_is_said_on_every_page_and_nothing_fails(
    client: Client, letter: Newsletter, city_news: List
) -> None:
    user = User.objects.create_superuser("boss", "boss@example.org", "pw")
    client.force_login(user)
    add_readers(city_news, 2)
    Newsletter.objects.update(segment=Segment.objects.create(name="Broken", rule={"all": [{"about": "gone"}]}))
    issue = issues.create_issue(user, Newsletter.objects.get())
    address, words = f"/admin/newsletters/issue/{issue.pk}", "the segment Broken cannot be used"
    assert words in client.get(f"{address}/change/?part=audience").content.decode()
    assert words in client.post(f"{address}/send-now/").content.decode()
    assert words in client.post(f"{address}/send-now/", {"form_key": "a" * 32}, follow=True).content.decode()
    assert words in client.post(f"{address}/submit/", follow=True).content.decode()
    Issue.objects.update(state=Issue.State.APPROVAL, author=None)
    assert words in client.post(f"{address}/approve/").content.decode()
    Issue.objects.update(state=Issue.State.SCHEDULED, approved_at=clock.now())
    assert issues.edit_issue(user, issue.pk, Text("Another", "text")).state == Issue.State.APPROVAL


def test_who_may_not_see_readers_sees_no_address_of_an_issue(
    client: Client, letter: Newsletter, city_news: List
) -> None:
    add_readers(city_news, 3, prefix="zoe")
    issue = preparing.issue_for(letter, clock.now())
    first, second, _ = Delivery.objects.order_by("pk")
    Delivery.objects.filter(pk=first.pk).update(
        state=Delivery.State.FAILED, code=550, text="<zoe0@example.org> unknown"
    )
    Delivery.objects.filter(pk=second.pk).update(state=Delivery.State.UNCERTAIN)
    Issue.objects.update(state=Issue.State.SENT_WITH_PROBLEMS, failed=1, uncertain=1, sent=1)
    pages = [f"{ISSUES}/{issue.pk}/{page}/" for page in ("change", "recipients")] + ["/admin/newsletters/delivery/"]
    client.force_login(staff("vera", "view_issue", "view_delivery", "view_newsletter", "send_newsletter"))
    said = client.get(pages[0]).content.decode()
    assert "zoe" not in said and "(address)" in said and "Count all as sent" in said
    assert [client.get(page).status_code for page in pages[1:]] == [403, 403]
    client.force_login(staff("ines", *SENDS))
    assert [
        "zoe0@example.org" in client.get(page, {"state": "failed"} if "rec" in page else {}).content.decode()
        for page in pages
    ] == [True, True, True]
