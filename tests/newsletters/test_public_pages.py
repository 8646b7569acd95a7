"""Every page for readers: light, without cookie and script, under a strict policy; and the links of a real mail."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from newsletters import links, sign_up_pages, tokens
from newsletters.models import Issue, List, Newsletter, Subscriber, SubscriberField, Subscription
from runs.models import Run
from tests.newsletters.conftest import add_readers
from tests.newsletters.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db


def paths(reader: Subscriber, letter: Newsletter, issue: Issue) -> list[str]:
    own = [
        links.preferences_url(reader.pk, reader.email_norm),
        links.unsubscribe_url(reader.pk, letter.pk),
        links.confirmation_url(reader.pk, tuple(reader.subscriptions.values_list("list_id", flat=True))),
        links.new_address_url(reader, "new@example.org"),
        links.data_url(reader),
        links.erase_url(reader),
        links.view_url(issue.pk),
    ]
    anybody = ["/subscribe/", "/subscribe/embedded/", "/feedback/", "/preferences/", "/archive/", f"/archive/{letter.pk}/",
               f"/archive/{issue.public_id}/", "/archive/rss.xml"]  # fmt: skip
    return [*anybody, *(url.removeprefix(django_settings.PUBLIC_URL) for url in own)]


@pytest.fixture
def all_paths(city_news: List, letter: Newsletter) -> list[str]:
    letter.is_archived = True
    letter.save()
    SubscriberField.objects.create(key="born", label="Born", kind="date", is_public=True)
    at = letter.created_at
    issue = Issue.objects.create(
        newsletter=letter, scheduled_for=at, started_at=at, finished_at=at, state="sent", subject="News", text="Text",
        html="<body><p>Text</p></body>",
    )  # fmt: skip
    return paths(add_readers(city_news, 1)[0], letter, issue)


def test_no_page_sets_a_cookie_runs_a_script_or_loads_from_elsewhere(all_paths: list[str]) -> None:
    for path in all_paths:
        response = Client().get(path)
        assert response.status_code == 200, path
        assert not response.cookies, path
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe-eval" not in policy, (
            path
        )
        assert "script-src" not in policy or "script-src 'none'" in policy, path
        page = response.content.decode()
        assert "<script" not in page and " onclick=" not in page and " style=" not in page, path
        assert not re.search(r'(?:src|href)="(?!/|https?://|#|\?)', page), path


def test_the_subscribe_page_is_light(client: Client, city_news: List) -> None:
    page = client.get("/subscribe/").content
    root = Path(__file__).parents[2]
    files = ("runs/static/runs/public.css", "newsletters/static/newsletters/letter.svg")
    whole = len(page) + sum((root / name).stat().st_size for name in files)
    assert whole < 20_000, whole


def test_personal_pages_are_kept_by_nobody_and_found_by_no_search_engine(all_paths: list[str]) -> None:
    for path in all_paths:
        response = Client().get(path)
        if path.startswith("/archive/"):
            assert response["Cache-Control"] == "public, max-age=300", path
        else:
            assert "no-store" in response["Cache-Control"], path
            assert response["X-Robots-Tag"] == "noindex", path


def test_the_links_of_a_mail_lead_to_the_readers_own_pages(
    letter: Newsletter, city_news: List, perform: Callable[..., Run], smtp_server: SmtpServer, settings: Settings
) -> None:
    add_readers(city_news, 2, name="Zoë")
    assert perform(letter).state == "succeeded"
    mail = next(mail for mail in smtp_server.received if mail.recipient == "reader1@example.org")
    found = dict(re.findall(r"https://news\.example\.org/(view|preferences|unsubscribe)(/\S+)", mail.body("plain")))
    assert set(found) == {"view", "preferences", "unsubscribe"}
    client = Client(enforce_csrf_checks=True)
    assert "Hello Zoë" in client.get(f"/view{found['view']}").content.decode()
    assert "reader1@example.org" in client.get(f"/preferences{found['preferences']}").content.decode()
    assert client.post(f"/unsubscribe{found['unsubscribe']}").status_code == 200
    assert tokens.read_unsubscribe(found["unsubscribe"].strip("/")).list_ids == (city_news.pk,)
    assert Issue.objects.get().unsubscribed == 1
    left = Subscription.objects.get(state="unsubscribed")
    assert left.subscriber.email == "reader1@example.org"


class TestSignUpForm:
    """The page for staff with the form to put elsewhere."""

    def test_what_is_copied_works(self, city_news: List, settings: Settings) -> None:
        sport = List.objects.create(name="Sport <b>", slug="sport", public=True)
        source = sign_up_pages.snippet([city_news, sport])
        assert "Sport &lt;b&gt;" in source and "<script" not in source and "<style" not in source
        action = re.search(r'action="([^"]+)"', source)
        assert action is not None
        fields = dict(re.findall(r'name="(\w+)"[^>]*?(?:value="([^"]*)")?', source))
        assert set(fields) == {"lists", "email", "website"}
        data = {"lists": ["city-news", "sport"], "email": "zoe@example.org", "website": ""}
        assert Client().post(action.group(1).removeprefix(settings.PUBLIC_URL), data).status_code == 200
        assert Subscription.objects.count() == 2

    def test_it_is_for_those_who_may_see_lists(self, client: Client, city_news: List) -> None:
        user = User.objects.create_user("ada", is_staff=True)
        client.force_login(user)
        assert client.get("/admin/sign-up-form/").status_code == 403
        user.user_permissions.add(Permission.objects.get(codename="view_list"))
        List.objects.create(name="Sport", slug="sport", public=True)
        page = client.get("/admin/sign-up-form/?list=sport").content.decode()
        assert "/subscribe/?list=sport" in page
        assert "&quot;sport&quot;" in page and "&quot;city-news&quot;" not in page
