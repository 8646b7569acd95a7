"""The checks before sending: each can be in order, and each can fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from newsletters import checklist, drafts
from newsletters.checklist import Check
from newsletters.models import Issue, List, Newsletter, Segment, SubscriberField
from runs import audit
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.web_server import WebServer, page

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ours(settings: Settings) -> Iterator[None]:
    settings.DEFAULT_FROM_EMAIL = "Almanac <almanac@example.org>"
    settings.PUBLIC_URL = "https://news.example.org"
    cache.clear()
    yield
    cache.clear()


def checks(letter: Newsletter, **changes: object) -> list[Check]:
    for name, value in changes.items():
        setattr(letter, name, value)
    letter.save()
    return checklist.check(drafts.of_newsletter(letter))


def one(found: list[Check], words: str) -> Check:
    (check,) = [check for check in found if words in check.sentence]
    return check


def test_a_letter_in_order_has_nothing_to_mend(letter: Newsletter, city_news: List) -> None:
    add_readers(city_news, 10)
    Newsletter.objects.update(postal_address="Market 1")
    letter.refresh_from_db()
    draft = drafts.of_newsletter(letter)
    fingerprint = drafts.fingerprint(draft.source)
    audit.record(None, "sent a test mail", letter, after={"letter": fingerprint, "arrived": True})
    found = checklist.check(draft)
    assert [check.sentence for check in found if check.state != "good"] == []
    for words in ("good length", "unsubscribe with one click", "postal address", "desk@example.org", "nothing is cut off",
                  "go to 10 readers", "A test of this text was sent"):  # fmt: skip
        assert one(found, words).word == "In order"


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"subject": ""}, "bad", "The subject is empty"),
        ({"subject": "x" * 71}, "warn", "The subject has 71 characters"),
        ({"subject": "LAST CHANCE TODAY"}, "warn", "The subject shouts"),
        ({"subject": "Really!!"}, "warn", "The subject shouts"),
        ({"subject": "EU news"}, "good", "good length"),
        ({"body": "  "}, "bad", "The letter has no text"),
        ({"body": "a\n{{ oops"}, "bad", "Line 2: A merge tag is not complete"),
        ({"body": "x" * 110_000}, "bad", "Gmail cuts off what is over 102 KB, the unsubscribe"),
        ({"body": "x" * 90_000}, "warn", "Gmail cuts off what is over 102 KB."),
        ({"postal_address": ""}, "warn", "no postal address"),
        ({"from_email": "a@gmail.com"}, "bad", "We cannot send for gmail.com"),
        (
            {"body": "![](https://example.org/a.png) ![b](https://example.org/b.png)"},
            "warn",
            "1 picture has no description",
        ),
        ({"body": "![a](https://example.org/a.png)"}, "good", "Every picture has a description"),
        ({"body": "![a](http://example.org/a.png)"}, "bad", "cannot load the picture “http://example.org/a.png”"),
        ({}, "warn", "No test was sent since the last change"),
    ],
)
def test_each_check_sees_what_is_wrong(
    letter: Newsletter, city_news: List, changes: dict[str, str], state: str, words: str
) -> None:
    add_readers(city_news, 1)
    assert one(checks(letter, **changes), words).state == state


def test_the_worst_comes_first(letter: Newsletter, city_news: List) -> None:
    add_readers(city_news, 1)
    states = [check.state for check in checks(letter, subject="")]
    assert states == sorted(states, key=("bad", "warn", "good").index)
    assert len(set(states)) == 3


def test_readers_without_a_value_are_counted_where_there_is_no_fallback(letter: Newsletter, city_news: List) -> None:
    add_readers(city_news, 2, prefix="a", attributes={"contains": "x", "city": "Porto"})
    add_readers(city_news, 3, prefix="b", name="", attributes={"city": ""})
    add_readers(city_news, 1, prefix="c", attributes={"city": None})
    found = checks(letter, body="{{ city }} {{ contains }} {{ name|you }}", subject="For {{ name }}")
    assert one(found, "no “city”").sentence.startswith("4 readers have no")
    assert one(found, "no “contains”").sentence.startswith("4 readers have no")
    assert one(found, "no “name”").sentence.startswith("3 readers have no")
    assert "{{ city|there }}" in one(found, "no “city”").advice
    found = checks(letter, body="{{ city|x }}", subject="For {{ name|you }}")
    assert [check for check in found if "have no “" in check.sentence] == []


def test_missing_values_are_looked_for_among_a_bounded_number(
    letter: Newsletter, city_news: List, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_readers(city_news, 5, name="")
    monkeypatch.setattr(checklist, "READERS_LOOKED_AT", 3)
    found = checks(letter, body="{{ name }}")
    assert one(found, "no “name”").sentence == "3 readers have no “name” among the first 3; they get a gap there."


@pytest.mark.parametrize(
    ("last", "state", "words"),
    [
        (4, "warn", "10 readers; last time there were 4"),
        (21, "warn", "last time there were 21"),
        (9, "good", "about as many"),
    ],
)
def test_an_audience_unlike_the_last_one_is_noticed(
    letter: Newsletter, city_news: List, last: int, state: str, words: str
) -> None:
    add_readers(city_news, 10)
    Issue.objects.create(newsletter=letter, scheduled_for=DUE, state=Issue.State.SENT, planned=last, subject="S")
    assert one(checks(letter), words).state == state


def test_nobody_to_send_to_is_bad(letter: Newsletter) -> None:
    assert one(checks(letter), "reach nobody").state == "bad"
    letter.lists.clear()
    assert one(checks(letter), "No list is chosen").state == "bad"


@pytest.fixture
def web(settings: Settings) -> Iterator[WebServer]:
    import ipaddress

    settings.FETCH_ALLOW = [ipaddress.ip_network("127.0.0.0/8")]
    server = WebServer()
    yield server
    server.stop()


def test_links_are_asked_once_and_the_broken_ones_named(letter: Newsletter, web: WebServer) -> None:
    web.pages["/good"] = page(b"x")
    letter.body = (
        f"[a]({web.url}/good) [b]({web.url}/good) [c]({web.url}/gone) [d](www.example.org) [e](mailto:x@example.org) "
        f"[f]({web.url}/{{{{ name }}}}) [g](https://news.example.org/own)"
    )
    found = checklist.check_links(drafts.of_newsletter(letter))
    assert one(found, "“www.example.org” leads nowhere").state == "bad"
    assert one(found, "/gone does not answer").state == "bad"
    assert "404" in one(found, "/gone does not answer").sentence
    assert len(found) == 2
    asked = len(web.asked)
    assert web.asked.count(("HEAD", "/good")) == 1
    checklist.check_links(drafts.of_newsletter(letter))
    assert len(web.asked) == asked, "the answers are remembered"


def test_links_that_answer_are_in_order(letter: Newsletter, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checklist, "LINKS_ASKED", 2)
    for name in "abc":
        web.pages[f"/{name}"] = page(b"x")
    letter.body = " ".join(f"[x]({web.url}/{name})" for name in "abc")
    (check,) = checklist.check_links(drafts.of_newsletter(letter))
    assert (check.state, check.sentence) == ("good", "2 links answer. The other 1 were not asked.")


def test_links_to_inner_addresses_are_not_asked(letter: Newsletter) -> None:
    letter.body = "[a](http://127.0.0.1:9/x)"
    (check,) = checklist.check_links(drafts.of_newsletter(letter))
    assert check.state == "warn"
    assert "not a public address" in check.sentence


def test_the_panel_is_a_get_that_changes_nothing_and_is_bounded(
    client: Client, letter: Newsletter, city_news: List
) -> None:
    url = f"/admin/newsletters/newsletter/checks/?newsletter={letter.pk}"
    assert client.get(url).status_code == 302
    viewer = User.objects.create_user("viewer", is_staff=True)
    client.force_login(viewer)
    assert client.get(url).status_code == 403
    viewer.user_permissions.add(Permission.objects.get(codename="view_newsletter"))
    client.force_login(User.objects.get(pk=viewer.pk))
    add_readers(city_news, 5)
    with CaptureQueriesContext(connection) as few:
        shown = client.get(url, headers={"Almanac-Part": "1"}).content.decode()
    assert "It would go to 5 readers now." in shown
    assert f"?newsletter={letter.pk}&amp;part=links" in shown
    add_readers(city_news, 50, prefix="more")
    with CaptureQueriesContext(connection) as many:
        client.get(url, headers={"Almanac-Part": "1"})
    assert len(many) == len(few)
    assert not [query for query in many if not query["sql"].startswith(("SELECT", "SAVEPOINT", "RELEASE"))]
    assert client.post(url).status_code == 405
    assert client.get("/admin/newsletters/newsletter/checks/").status_code == 404
    assert client.get("/admin/newsletters/newsletter/checks/?issue=999").status_code == 404


def test_the_checks_of_an_issue_are_of_its_own_text(client: Client, letter: Newsletter, city_news: List) -> None:
    add_readers(city_news, 1)
    issue = Issue.objects.create(newsletter=letter, subject="", body="Only now")
    found = checklist.check(drafts.of_issue(issue))
    assert one(found, "The subject is empty").state == "bad"


def test_the_segment_decides_how_many_and_whose_values_are_missing(letter: Newsletter, city_news: List) -> None:
    SubscriberField.objects.create(key="district", label="District", kind="text")
    add_readers(city_news, 4)
    add_readers(city_news, 2, prefix="harbour", attributes={"district": "Harbour"})
    rule = {"all": [{"about": "attribute:district", "op": "is", "value": "Harbour"}]}
    segment = Segment.objects.create(name="Harbour district", rule=rule)
    found = checks(letter, body="In {{ district }}", segment=segment)
    assert one(found, "go to 2 readers of the segment Harbour district now").state == "good"
    assert one(found, "Every reader has the values").state == "good"
    segment.rule["all"][0]["value"] = "Nowhere"
    segment.save()
    assert one(checks(letter), "no reader of the lists is in the segment Harbour district").state == "bad"
    Segment.objects.update(rule={"all": [{"about": "nonsense"}]})
    letter = Newsletter.objects.get(pk=letter.pk)
    assert one(checks(letter), "the segment Harbour district cannot be used").state == "bad"
