"""A test mail: real, harmless, to colleagues only, on record and not too often."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from pytest_django import Settings

from newsletters import drafts, test_mail
from newsletters.models import Delivery, Issue, List, Newsletter, Subscription
from runs.models import AuditEntry, Run
from tests.newsletters.conftest import add_readers
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_admin import newsletter_form

pytestmark = pytest.mark.django_db
ADDRESS = "/admin/newsletters/newsletter/test/"
PART = {"Almanac-Part": "1"}


@pytest.fixture
def admin(client: Client) -> User:
    user = User.objects.create_superuser("ada", "ada@example.org", "pw", first_name="Ada", last_name="Lovelace")
    client.force_login(user)
    return user


@pytest.fixture
def send(client: Client, admin: User, city_news: List) -> Callable[..., str]:
    def post(**data: object) -> str:
        form = newsletter_form(city_news, **{"test_to": "ada@example.org", **data})
        response = client.post(ADDRESS, form, headers=PART)
        assert response.status_code == 200
        return response.content.decode()

    return post


def test_it_arrives_as_it_was_typed_with_every_header(
    send: Callable[..., str], smtp_server: SmtpServer, letter: Newsletter
) -> None:
    said = send(
        draft_newsletter=letter.pk, name="Weekly letter", subject="Grüße, {{ name|you }}", preheader="Soon",
        body="# Dear {{ name|you }}\n\n.hidden dot and [a link](https://example.org/?a=1&b=2)",
        from_name="Küche", from_email="desk@example.org", reply_to="answers@example.org", postal_address="Market 1",
    )  # fmt: skip
    assert "On its way to ada@example.org" in said
    (received,) = smtp_server.received
    mail = received.mail
    assert (received.sender, received.recipient) == ("desk@example.org", "ada@example.org")
    assert mail["Subject"] == "[Test] Grüße, Ada Lovelace"
    assert mail["From"] == "Küche <desk@example.org>"
    assert mail["To"] == "Ada Lovelace <ada@example.org>"
    assert mail["Reply-To"] == "answers@example.org"
    assert mail["List-Id"] == "Weekly letter <weekly-letter.example.org>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert len(received.header_lines("List-Unsubscribe")) == 1
    assert re.fullmatch(r"<[^@]+@example\.org>", mail["Message-ID"])
    assert mail["Date"].datetime is not None
    assert "Dear Ada Lovelace</h1>" in received.body("html")
    assert 'href="https://example.org/?a=1&amp;b=2"' in received.body("html")
    assert "Soon" in received.body("html")
    assert "Dear Ada Lovelace" in received.body("plain")
    assert ".hidden dot" in received.body("plain")
    assert "Market 1" in received.body("plain")
    assert max(map(len, received.raw.split(b"\r\n"))) <= 998


def test_its_links_change_nothing_and_say_so(
    send: Callable[..., str], smtp_server: SmtpServer, letter: Newsletter, city_news: List, settings: Settings
) -> None:
    add_readers(city_news, 3)
    send(draft_newsletter=letter.pk)
    (received,) = smtp_server.received
    url = received.mail["List-Unsubscribe"].strip("<>")
    assert url.startswith(settings.PUBLIC_URL)
    reader = Client(enforce_csrf_checks=True)
    for response in (reader.get(url), reader.post(url, {"List-Unsubscribe": "One-Click"})):
        assert response.status_code == 200
        assert "This was a test" in response.content.decode()
    assert Subscription.objects.filter(state="confirmed").count() == 3
    for link in re.findall(r'href="([^"]+)">(?:Change|Read)', received.body("html")):
        assert "This was a test" in reader.get(link).content.decode()


def test_it_is_on_record_and_counts_as_tested_until_the_text_changes(
    send: Callable[..., str], smtp_server: SmtpServer, letter: Newsletter, admin: User
) -> None:
    assert not test_mail.was_tested(drafts.of_newsletter(letter))
    send(draft_newsletter=letter.pk, subject=letter.subject, body=letter.body)
    entry = AuditEntry.objects.get(action=test_mail.ACTION)
    assert (entry.actor, entry.object_id) == (admin, str(letter.pk))
    assert (entry.after["to"], entry.after["subject"]) == (["ada@example.org"], letter.subject)
    assert test_mail.was_tested(drafts.of_newsletter(letter))
    letter.body += "!"
    assert not test_mail.was_tested(drafts.of_newsletter(letter))
    assert not Delivery.objects.exists()
    assert not Run.objects.exists()


def test_an_issue_remembers_when_it_was_tested(
    send: Callable[..., str], smtp_server: SmtpServer, letter: Newsletter
) -> None:
    issue = Issue.objects.create(newsletter=letter, subject="Special", body="Only now")
    send(draft_issue=issue.pk, subject="Special", body="Only now")
    issue.refresh_from_db()
    assert issue.tested_at is not None
    assert test_mail.was_tested(drafts.of_issue(issue))
    assert smtp_server.received[0].mail["From"] == "City desk <desk@example.org>"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"test_to": ""}, "Write the address that the test goes to"),
        ({"test_to": "stranger@example.org"}, "stranger@example.org belongs to nobody who works with this desk"),
        ({"test_to": "ada@example.org, gone@example.org"}, "gone@example.org belongs to nobody"),
        ({"test_to": "a@x b@x c@x d@x e@x f@x"}, "at most 5 addresses"),
        ({"body": "a\n{{ oops"}, "Line 2: A merge tag is not complete"),
        ({"body": "{{ nmae }}"}, "There is no merge tag"),
        ({"from_email": "mayor@gmail.com"}, "We cannot send for gmail.com"),
    ],
)
def test_nothing_is_sent_when_something_is_wrong(
    send: Callable[..., str], smtp_server: SmtpServer, data: dict[str, str], words: str
) -> None:
    User.objects.create_user("gone", "gone@example.org", is_staff=True, is_active=False)
    User.objects.create_user("reader", "stranger@example.org")
    assert words in send(**data)
    assert smtp_server.received == []
    assert not AuditEntry.objects.exists()


def test_colleagues_get_it_too_each_with_their_own_name(send: Callable[..., str], smtp_server: SmtpServer) -> None:
    User.objects.create_user("bob", "bob@example.org", is_staff=True, first_name="Bob")
    send(test_to="ADA@example.org; bob@example.org", body="Dear {{ name|you }}")
    assert smtp_server.recipients == ["ada@example.org", "bob@example.org"]
    assert "Dear Bob" in smtp_server.received[1].body("plain")


def test_a_hostile_name_of_a_colleague_stays_text(send: Callable[..., str], smtp_server: SmtpServer) -> None:
    User.objects.filter(username="ada").update(first_name='"; Bcc: x@y\r\nBcc: z@y', last_name="<script>")
    send(subject="{{ name }}", body="{{ name }}")
    mail = email.message_from_bytes(smtp_server.received[0].raw, policy=email.policy.default)
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith('[Test] "; Bcc: x@y Bcc: z@y')
    assert "<script>" not in smtp_server.received[0].body("html")


def test_a_mail_server_that_refuses_is_said_in_words(send: Callable[..., str], smtp_server: SmtpServer) -> None:
    smtp_server.on_data = lambda number: "554 5.7.1 not like this"
    assert "The mail server did not take the test: 554 5.7.1 not like this" in send()
    entry = AuditEntry.objects.get()
    assert entry.after["arrived"] is False
    smtp_server.stop()
    assert "The mail server cannot be reached" in send()


def test_there_is_a_limit_for_each_person(
    send: Callable[..., str], smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_mail, "MOST_PER_HOUR", 2)
    send()
    send()
    assert "Wait a little" in send()
    assert len(smtp_server.received) == 2


def test_who_may_not_write_newsletters_may_not_send_tests(client: Client, letter: Newsletter) -> None:
    viewer = User.objects.create_user("viewer", "v@example.org", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_newsletter"))
    with pytest.raises(PermissionDenied):
        test_mail.send_test(viewer, drafts.of_newsletter(letter), "v@example.org")
    client.force_login(viewer)
    assert client.post(ADDRESS, {"test_to": "v@example.org"}).status_code == 403
    assert client.get(ADDRESS).status_code == 405


def test_the_system_itself_is_not_limited(letter: Newsletter, smtp_server: SmtpServer) -> None:
    User.objects.create_superuser("ada", "ada@example.org")
    assert test_mail.send_test(None, drafts.of_newsletter(letter), "ada@example.org") == ["ada@example.org"]
    with pytest.raises(ValidationError):
        test_mail.send_test(None, drafts.of_newsletter(letter), "x@example.org")


def test_it_has_every_header_that_readers_get(
    send: Callable[..., str], smtp_server: SmtpServer, letter: Newsletter, city_news: List, perform: Callable[..., Run]
) -> None:
    Newsletter.objects.update(is_archived=True)
    add_readers(city_news, 1)
    perform(letter)
    send(draft_newsletter=letter.pk, name=letter.name, reply_to="answers@example.org", is_archived="on")
    real, test = (received.mail for received in smtp_server.received)
    assert test.keys() == real.keys()
    for header in ("List-Id", "List-Help", "List-Archive", "Precedence"):
        assert (header == "List-Id" or test[header] == real[header]) and header in test
