"""Counted links: where they lead stands in the table, people and programs are told apart, nobody is remembered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from newsletters import clicks, links, tokens
from newsletters.models import Issue, Link, Newsletter
from tests.newsletters.conftest import DUE

pytestmark = pytest.mark.django_db
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    clicks._bursts.clear()


@pytest.fixture
def issue(letter: Newsletter) -> Issue:
    Newsletter.objects.update(tracking="aggregate")
    started = timezone.now() - timedelta(hours=1)
    made = Issue.objects.create(newsletter=letter, scheduled_for=DUE, subject="News", state="sent", started_at=started)
    for number in range(1, 6):
        Link.objects.create(issue=made, number=number, url=f"https://example.org/{number}?a=1&b=2")
    return made


def path(issue: Issue, number: int, settings: Settings) -> str:
    return links.click_url(issue.public_id, number).removeprefix(settings.PUBLIC_URL)


def counted(issue: Issue) -> list[tuple[int, int]]:
    return list(issue.links.order_by("number").values_list("clicks", "machine_clicks"))


def click(client: Client, url: str, *, ip: str = "203.0.113.7", agent: str = BROWSER, method: str = "get") -> int:
    return int(getattr(client, method)(url, REMOTE_ADDR=ip, headers={"user-agent": agent}).status_code)


def test_a_click_is_counted_and_leads_on(client: Client, issue: Issue, settings: Settings) -> None:
    url = path(issue, 2, settings)
    for place in ("203.0.113.7", "203.0.113.8"):
        response = client.get(url, REMOTE_ADDR=place, headers={"user-agent": BROWSER})
        assert (response.status_code, response["Location"]) == (302, "https://example.org/2?a=1&b=2")
        assert response["Referrer-Policy"] == "no-referrer"
        assert "no-store" in response["Cache-Control"] and not response.cookies
    assert counted(issue)[1] == (2, 0)
    issue.refresh_from_db()
    assert issue.clicks == 2


def test_what_was_tampered_with_leads_nowhere(client: Client, issue: Issue, settings: Settings) -> None:
    token = path(issue, 2, settings).strip("/").rpartition("/")[2]
    public_id, number, signature = token.split(".")
    wrong = [
        f"{public_id}.3.{signature}", f"{'0' * 32}.{number}.{signature}", token[:-1], token + "x", f"{public_id}.{number}",
        "x", "//evil.example", "https:%2f%2fevil.example", "javascript:alert(1)", tokens.view_token(tokens.View(issue.pk)),
    ]  # fmt: skip
    for one in wrong:
        response = client.get(f"/go/{one}/", headers={"user-agent": BROWSER})
        assert response.status_code == 404, one
        assert "Location" not in response
    assert set(counted(issue)) == {(0, 0)}


@pytest.mark.parametrize(
    "url",
    ["//evil.example/", "javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "/local", "https:///x", "",
     "ftp://example.org/", "https://example.org/\r\nSet-Cookie: a=b", "http://a b/", "https:\\\\evil.example", "\thttps://x.org"],
)  # fmt: skip
def test_only_web_addresses_are_led_to(client: Client, issue: Issue, settings: Settings, url: str) -> None:
    Link.objects.filter(issue=issue, number=1).update(url=url)
    response = client.get(path(issue, 1, settings), headers={"user-agent": BROWSER})
    assert response.status_code == 404
    assert "Location" not in response


@pytest.mark.parametrize(
    "agent",
    ["", "Mozilla/5.0 (compatible; Googlebot/2.1)", "Barracuda Sentinel (EE)", "python-requests/2.32", "curl/8.5",
     "Mozilla/5.0 (Windows NT 10.0) HeadlessChrome/120", "Slackbot-LinkExpanding 1.0", "Proofpoint URL Defense"],
)  # fmt: skip
def test_known_programs_are_counted_apart(client: Client, issue: Issue, settings: Settings, agent: str) -> None:
    assert click(client, path(issue, 1, settings), agent=agent) == 302
    assert counted(issue)[0] == (0, 1)


def test_a_look_at_the_headers_alone_is_no_click_of_a_person(client: Client, issue: Issue, settings: Settings) -> None:
    assert click(client, path(issue, 1, settings), method="head") == 302
    assert counted(issue)[0] == (0, 1)


def test_what_is_opened_at_once_after_sending_was_opened_by_a_program(
    client: Client, issue: Issue, settings: Settings
) -> None:
    Issue.objects.update(started_at=timezone.now() - timedelta(seconds=3))
    click(client, path(issue, 1, settings))
    Issue.objects.update(started_at=timezone.now() - timedelta(seconds=30))
    click(client, path(issue, 1, settings))
    assert counted(issue)[0] == (1, 1)


def test_many_links_at_once_from_one_place_are_a_program_also_the_first_ones(
    client: Client, issue: Issue, settings: Settings
) -> None:
    for number in range(1, 6):
        click(client, path(issue, number, settings))
    assert counted(issue) == [(0, 1)] * 5
    issue.refresh_from_db()
    assert issue.clicks == 0


def test_people_who_read_on_are_people(
    client: Client, issue: Issue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        click(client, path(issue, number, settings))
    monkeypatch.setattr(clicks, "BURST_SECONDS", -1.0)  # time went by
    for number in (3, 4):
        click(client, path(issue, number, settings))
    assert [people for people, _ in counted(issue)] == [1, 1, 1, 1, 0]


def test_several_readers_at_the_same_moment_are_no_burst(client: Client, issue: Issue, settings: Settings) -> None:
    for number in range(1, 6):
        click(client, path(issue, number, settings), ip=f"203.0.113.{number}")
    assert counted(issue) == [(1, 0)] * 5


def test_no_address_is_kept_in_clear(client: Client, issue: Issue, settings: Settings) -> None:
    click(client, path(issue, 1, settings))
    assert clicks._bursts and not any("203" in place or "." in place for place in clicks._bursts)


def test_a_newsletter_that_stopped_counting_still_leads_on(client: Client, issue: Issue, settings: Settings) -> None:
    Newsletter.objects.update(tracking="off")
    assert click(client, path(issue, 1, settings)) == 302
    assert counted(issue)[0] == (0, 0)


def test_posting_to_a_link_is_refused(client: Client, issue: Issue, settings: Settings) -> None:
    assert click(client, path(issue, 1, settings), method="post") == 405
