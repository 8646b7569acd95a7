"""The newsletters' pages in the admin: what they show, what they refuse, and that they stay cheap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from newsletters import kinds as own_kinds
from newsletters import preparing, services
from newsletters.models import Delivery, FeedbackMessage, Issue, List, Newsletter, Subscriber, Subscription, Suppression
from runs.models import AuditEntry, Notice, Run
from schedules import kinds
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db
ADMIN = "/admin/newsletters"


@pytest.fixture
def admin(client: Client) -> User:
    user = User.objects.create_superuser("ada", "ada@example.org", "pw")
    client.force_login(user)
    return user


@pytest.fixture
def issue(letter: Newsletter, city_news: List) -> Issue:
    add_readers(city_news, 3)
    return preparing.issue_for(letter, DUE)


def page(client: Client, path: str) -> str:
    response = client.get(f"{ADMIN}{path}")
    assert response.status_code == 200, response
    return response.content.decode()


def newsletter_form(city_news: List, **changes: object) -> dict[str, object]:
    return {
        "name": "Daily", "lists": [city_news.pk], "subject": "Hello {{ name|you }}", "body": "Text", "from_name": "",
        "from_email": "", "reply_to": "", "rate": "", "rate_per": "minute", **changes,
    }  # fmt: skip


def test_a_newsletter_is_written_and_on_record(client: Client, admin: User, city_news: List) -> None:
    assert client.post(f"{ADMIN}/newsletter/add/", newsletter_form(city_news)).status_code == 302
    newsletter = Newsletter.objects.get()
    assert list(newsletter.lists.all()) == [city_news]
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == (admin, "added the newsletter")
    assert entry.after["lists"] == ["City news"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"body": "Hello {{ nmae }}"}, "There is no merge tag {{ nmae }}"),
        ({"subject": "Hello {{ name"}, "A merge tag is not complete near “{{ name”"),
        ({"lists": []}, "This field is required"),
        ({"from_email": "nonsense"}, "Enter a valid email address"),
        ({"name": "{{ name }}"}, "no place for merge tags"),
        ({"rate": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said_on_the_form(
    client: Client, admin: User, city_news: List, changes: dict[str, object], words: str
) -> None:
    response = client.post(f"{ADMIN}/newsletter/add/", newsletter_form(city_news, **changes))
    assert response.status_code == 200
    assert words in unescape(response.content.decode())
    assert not Newsletter.objects.exists()


def test_the_preview_shows_the_letter_as_the_first_reader_gets_it(client: Client, admin: User, city_news: List) -> None:
    add_readers(city_news, 2, name="<b>Zoë</b>")
    shown = client.post(
        f"{ADMIN}/newsletter/preview/", newsletter_form(city_news, body="Dear {{ name }}")
    ).content.decode()
    assert "Would go to 2 readers now." in shown
    assert "Hello &lt;b&gt;Zoë&lt;/b&gt;" in shown
    assert "<iframe" in shown
    assert " sandbox srcdoc=" in shown
    letter = unescape(shown.partition('srcdoc="')[2].partition('"')[0])
    assert "Dear &lt;b&gt;Zoë&lt;/b&gt;" in letter
    assert not Run.objects.exists()
    assert not Issue.objects.exists()


def test_the_preview_says_what_is_wrong(client: Client, admin: User, city_news: List) -> None:
    shown = client.post(f"{ADMIN}/newsletter/preview/", newsletter_form(city_news, body="{{ oops"))
    assert "not complete" in unescape(shown.content.decode())
    assert client.get(f"{ADMIN}/newsletter/preview/").status_code == 405


def test_an_issue_shows_its_counts_and_who_did_not_get_it(
    client: Client,
    admin: User,
    letter: Newsletter,
    city_news: List,
    smtp_server: SmtpServer,
    perform: Callable[..., Run],
) -> None:
    add_readers(city_news, 10)
    smtp_server.on_rcpt = lambda number, address: "550 5.1.1 no such user <x>" if number == 2 else None
    run = perform(letter)
    shown = page(client, f"/issue/{Issue.objects.get().pk}/change/")
    assert "9 of 10 sent" in shown
    assert "5.1.1 no such user &lt;x&gt;" in shown
    assert f"/admin/runs/run/{run.pk}/change/" in shown
    assert "Try the 1 failed again" in shown
    assert "part=live" not in shown  # it has ended: nothing to follow


def test_the_buttons_of_an_issue_work_by_post_only(client: Client, admin: User, issue: Issue) -> None:
    Issue.objects.update(state=Issue.State.RUNNING)
    for verb in ("pause", "resume", "cancel", "retry-failed", "decide-uncertain"):
        assert client.get(f"{ADMIN}/issue/{issue.pk}/{verb}/").status_code == 405
        assert Client(enforce_csrf_checks=True).post(f"{ADMIN}/issue/{issue.pk}/{verb}/").status_code in (302, 403)
    issue.refresh_from_db()
    assert issue.state == Issue.State.RUNNING
    client.post(f"{ADMIN}/issue/{issue.pk}/pause/")
    issue.refresh_from_db()
    assert (issue.state, issue.paused_by_name) == (Issue.State.PAUSED, "ada")
    client.post(f"{ADMIN}/issue/{issue.pk}/resume/")
    assert Run.objects.get().kind == "newsletter_rest"
    asked = client.post(f"{ADMIN}/issue/{issue.pk}/cancel/").content.decode()
    assert "3 readers will not get it." in asked
    issue.refresh_from_db()
    assert issue.state == Issue.State.RUNNING  # it only asked
    client.post(f"{ADMIN}/issue/{issue.pk}/cancel/", {"answer": "1", "reason": "a mistake"})
    issue.refresh_from_db()
    assert issue.state == Issue.State.CANCELLED
    response = client.post(f"{ADMIN}/issue/{issue.pk}/pause/", follow=True)
    assert "Only an issue that is being sent can be paused." in response.content.decode()


def test_who_may_only_look_gets_no_buttons_and_no_effect(client: Client, issue: Issue) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(*Permission.objects.filter(codename__in=["view_issue", "view_newsletter"]))
    client.force_login(viewer)
    Issue.objects.update(state=Issue.State.RUNNING)
    assert "Pause" not in page(client, f"/issue/{issue.pk}/change/?part=live")
    assert client.post(f"{ADMIN}/issue/{issue.pk}/cancel/").status_code == 403
    issue.refresh_from_db()
    assert issue.state == Issue.State.RUNNING
    assert client.get(f"{ADMIN}/subscriber/").status_code == 403


def test_a_subscriber_is_added_to_lists_and_cannot_be_put_back_after_leaving(
    client: Client, admin: User, city_news: List
) -> None:
    data = {
        "email": "Zoe@Example.org",
        "name": "Zoë",
        "language": "",
        "attributes": '{"city": "Porto"}',
        "lists": [city_news.pk],
    }
    assert client.post(f"{ADMIN}/subscriber/add/", data).status_code == 302
    subscriber = Subscriber.objects.get()
    assert subscriber.email_norm == "zoe@example.org"
    assert Subscription.objects.get().state == "confirmed"
    data["lists"] = []
    client.post(f"{ADMIN}/subscriber/{subscriber.pk}/change/", data)
    assert Subscription.objects.get().state == "unsubscribed"
    data["lists"] = [city_news.pk]
    response = client.post(f"{ADMIN}/subscriber/{subscriber.pk}/change/", data)
    assert "This person left City news." in response.content.decode()
    assert Subscription.objects.get().state == "unsubscribed"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"email": "READER0@example.org"}, "is a subscriber already"),
        ({"email": "nonsense"}, "email address"),
    ],
)
def test_a_wrong_subscriber_is_refused(
    client: Client, admin: User, city_news: List, changes: dict[str, object], words: str
) -> None:
    add_readers(city_news, 1)
    data = {"email": "new@example.org", "name": "", "language": "", "attributes": "{}", "lists": [], **changes}
    response = client.post(f"{ADMIN}/subscriber/add/", data)
    assert words in unescape(response.content.decode())
    assert Subscriber.objects.count() == 1


def test_an_address_is_suppressed(client: Client, admin: User) -> None:
    assert (
        client.post(f"{ADMIN}/suppression/add/", {"email": "Gone@Example.org", "note": "asked by phone"}).status_code
        == 302
    )
    assert client.post(f"{ADMIN}/suppression/add/", {"email": "gone@example.org", "note": ""}).status_code == 302
    row = Suppression.objects.get()
    assert (row.email_norm, row.note) == ("gone@example.org", "asked by phone")


def test_what_was_sent_cannot_be_deleted(client: Client, admin: User, issue: Issue) -> None:
    assert client.post(f"{ADMIN}/newsletter/{issue.newsletter_id}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"{ADMIN}/list/{List.objects.get().pk}/delete/", {"post": "yes"}).status_code == 403
    assert Issue.objects.exists()


def fill(letter: Newsletter, city_news: List, start: int, number: int) -> None:
    for index in range(start, start + number):
        add_readers(city_news, 1, prefix=f"n{index}-")
        preparing.issue_for(letter, DUE + timedelta(days=index))
        other = List.objects.create(name=f"List {index}", slug=f"list-{index}")
        Newsletter.objects.create(name=f"Letter {index}", subject="S", body="B").lists.add(other)
        FeedbackMessage.objects.create(text="Hello")
        services.suppress(None, f"gone{index}@example.org")


@pytest.mark.parametrize(
    "model", ["newsletter", "issue", "delivery", "list", "subscriber", "suppression", "feedbackmessage", "image"]
)
def test_a_list_page_costs_the_same_however_long_it_is(
    client: Client, admin: User, letter: Newsletter, city_news: List, model: str
) -> None:
    fill(letter, city_news, 0, 2)
    page(client, f"/{model}/")
    with CaptureQueriesContext(connection) as few:
        page(client, f"/{model}/")
    fill(letter, city_news, 2, 4)
    with CaptureQueriesContext(connection) as many:
        page(client, f"/{model}/")
    assert len(many) == len(few)


def test_the_pages_of_single_things_open(client: Client, admin: User, issue: Issue) -> None:
    feedback = FeedbackMessage.objects.create(text="Hello")
    delivery = Delivery.objects.all()[0]
    for path in (
        f"/newsletter/{issue.newsletter_id}/change/",
        f"/list/{List.objects.get().pk}/change/",
        f"/subscriber/{delivery.subscriber_id}/change/",
        f"/delivery/{delivery.pk}/change/",
        f"/feedbackmessage/{feedback.pk}/change/",
        f"/delivery/?issue__id__exact={issue.pk}&state__exact=0",
        f"/delivery/?subscriber__id__exact={delivery.subscriber_id}",
        "/subscriber/?q=reader1",
        "/newsletter/add/",
        "/subscriber/add/",
        "/image/add/",
        "/suppression/add/",
    ):
        page(client, path)
    assert client.get(f"{ADMIN}/issue/99999/change/").status_code == 404


def test_the_impact_is_said_in_words(letter: Newsletter, city_news: List) -> None:
    own_kinds.register()
    kind = kinds.get("newsletter")
    assert kind.describe_impact(letter) == "Nobody to send to: the list City news has no confirmed subscribers."
    add_readers(city_news, 1200)
    assert kind.describe_impact(letter) == "Sends to 1,200 subscribers of City news"
    assert list(kind.targets()) == [letter]


def test_whoever_may_only_look_sees_the_newsletter_without_its_form(client: Client, letter: Newsletter) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_newsletter"))
    client.force_login(viewer)
    assert letter.name in page(client, f"/newsletter/{letter.pk}/change/")


def test_nobody_lifts_the_limit_of_approval_alone_or_unseen(client: Client, admin: User, city_news: List) -> None:
    """Whoever may not approve is refused at the field and in the service; the other approvers hear of it."""
    client.post(f"{ADMIN}/newsletter/add/", newsletter_form(city_news, approve_above=100))
    letter = Newsletter.objects.get()
    change = f"{ADMIN}/newsletter/{letter.pk}/change/"
    editor = User.objects.create_user("ed", is_staff=True)
    editor.user_permissions.set(Permission.objects.filter(codename__in=("change_newsletter", "view_newsletter")))
    client.force_login(editor)
    for limit in ("", "101"):
        shown = client.post(change, newsletter_form(city_news, approve_above=limit)).content.decode()
        assert "Only somebody who may approve issues can loosen that." in shown
    letter.approve_above = None
    with pytest.raises(PermissionDenied):
        services.save_newsletter(editor, letter, [city_news])
    assert client.post(change, newsletter_form(city_news, approve_above=50)).status_code == 302, (
        "tighter is everybody's"
    )
    other = User.objects.create_superuser("bo", "bo@example.org")
    client.force_login(admin)
    assert client.post(change, newsletter_form(city_news, approve_above="")).status_code == 302
    notice = Notice.objects.get(user=other)
    assert "never any more; before, above 50" in notice.text and not Notice.objects.filter(user=admin).exists()
