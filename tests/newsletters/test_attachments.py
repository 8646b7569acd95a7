"""A report's newest file goes along with a newsletter: copied when the issue is prepared, the same for every reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.test import Client

from newsletters import attachments, checklist, drafts, message, preparing, services
from newsletters.models import Issue, List, Newsletter
from reports import storage
from reports.models import Artefact, ReportDefinition, ReportRun
from runs import clock, offered_files
from runs.models import Run
from runs.states import State
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.people import staff
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_admin import newsletter_form

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db
TEST = "/admin/newsletters/newsletter/test/"
CSV = b"day,sent\r\n2026-03-01,5\r\n" * 40


@pytest.fixture
def report(settings: Any, tmp_path: Path) -> ReportDefinition:
    """A report with one file."""
    settings.MEDIA_ROOT = settings.FILES_DIR = tmp_path
    definition = ReportDefinition.objects.create(name="Numbers", data_set="deliveries_per_day")
    make_file(definition, CSV, run_id=1)
    return definition


def make_file(definition: ReportDefinition, content: bytes, *, run_id: int, name: str = "numbers.csv") -> Artefact:
    now = clock.now()
    made = ReportRun.objects.create(
        definition=definition,
        name="Numbers",
        run_id=run_id,
        scheduled_for=now,
        period="",
        window_start=now,
        window_end=now,
    )
    artefact = Artefact.objects.create(
        report_run=made, file_name=name, byte_count=len(content), row_count=1, sha256="x",
        expires_at=clock.now().replace(year=2099),
    )  # fmt: skip
    storage.folder()
    storage.path_of(artefact.key).write_bytes(content)
    return artefact


def test_every_reader_gets_the_file_beside_both_texts(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, report: ReportDefinition
) -> None:
    Newsletter.objects.update(attachment=f"report:{report.pk}")
    make_file(report, CSV + b"newest", run_id=2, name="Zahlen für März.csv")
    add_readers(city_news, 2)
    assert perform(letter).result == "2 sent."
    for received in smtp_server.received:
        mail = received.mail
        assert mail.get_content_type() == "multipart/mixed"
        (part,) = mail.iter_attachments()
        assert (part.get_filename(), part.get_content_type()) == ("Zahlen für März.csv", "text/csv")
        assert part.get_payload(decode=True) == CSV + b"newest"
        assert "Hello Reader" in received.body("plain")
        assert "Hello Reader" in received.body("html")
        assert all(len(line) <= 998 for line in received.raw.split(b"\r\n"))
    issue = Issue.objects.get()
    assert issue.attachment_name == "Zahlen für März.csv"
    assert issue.attachment_file.name == f"attachments/{issue.public_id}"


def test_the_copy_stays_whatever_becomes_of_the_report(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, report: ReportDefinition
) -> None:
    Newsletter.objects.update(attachment=f"report:{report.pk}")
    add_readers(city_news, 1)
    preparing.issue_for(Newsletter.objects.get(), DUE)
    Artefact.objects.all().delete()
    perform(letter)
    (part,) = smtp_server.received[0].mail.iter_attachments()
    assert part.get_payload(decode=True) == CSV


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("report:999", "The report was deleted"),
        ("report:x", "The report was deleted"),
        ("gone:1", "is no longer there"),
    ],
)
def test_a_file_that_is_not_there_is_said_and_nothing_is_sent(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, key: str, words: str
) -> None:
    Newsletter.objects.update(attachment=key)
    add_readers(city_news, 1)
    run = perform(letter)
    assert run.state == State.FAILED
    assert words in run.error
    assert smtp_server.received == []
    assert not Issue.objects.exists()


def test_a_report_without_a_file_a_lost_one_and_a_huge_one_are_refused(report: ReportDefinition) -> None:
    key = f"report:{report.pk}"
    assert attachments.latest("") is None
    assert offered_files.label(key) == "The latest file of the report “Numbers”"
    path = storage.path_of(Artefact.objects.get().key)
    path.write_bytes(b"x" * (attachments.MAX_BYTES + 1))
    with pytest.raises(attachments.CannotAttach, match="larger than 10 MB"):
        attachments.latest(key)
    path.unlink()
    with pytest.raises(attachments.CannotAttach, match="gone from the disk"):
        attachments.latest(key)
    Artefact.objects.update(deleted_at=clock.now())
    with pytest.raises(attachments.CannotAttach, match="has no file now"):
        attachments.latest(key)


@pytest.mark.parametrize("name", ["a\r\nBcc: x@evil.example.csv", "ü" * 200 + ".csv", '"; x="', ""])
def test_a_hostile_file_name_breaks_no_header(name: str) -> None:
    part = message.attachment(name, "text/csv\r\nX: y", b"1")
    head = part.split(b"\r\n\r\n")[0]
    assert {line.split(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")} == {
        b"Content-Type", b"Content-Transfer-Encoding", b"Content-Disposition",
    }  # fmt: skip


def test_a_test_mail_has_the_attachment_too_and_the_checks_speak_of_it(
    client: Client, letter: Newsletter, city_news: List, smtp_server: SmtpServer, report: ReportDefinition
) -> None:
    client.force_login(User.objects.create_superuser("ada", "ada@example.org", "pw"))
    Newsletter.objects.update(attachment=f"report:{report.pk}")
    form = newsletter_form(city_news, test_to="ada@example.org", attachment=f"report:{report.pk}")
    assert "On its way" in client.post(TEST, form).content.decode()
    (part,) = smtp_server.received[0].mail.iter_attachments()
    assert part.get_payload(decode=True) == CSV
    stored = drafts.of_newsletter(Newsletter.objects.get())
    assert "“numbers.csv” is attached" in " ".join(one.sentence for one in checklist.check(stored))
    Artefact.objects.update(deleted_at=clock.now())
    assert "has no file now" in client.post(TEST, form).content.decode()
    assert len(smtp_server.received) == 1
    assert [one.state for one in checklist.check(stored) if "has no file now" in one.sentence] == ["bad"]


def test_nobody_attaches_or_tests_a_report_that_they_may_not_download(
    client: Client, letter: Newsletter, city_news: List, smtp_server: SmtpServer, report: ReportDefinition
) -> None:
    editor, key = staff("ada", "view_newsletter", "change_newsletter"), f"report:{report.pk}"
    client.force_login(editor)
    page, form = f"/admin/newsletters/newsletter/{letter.pk}/change/", newsletter_form(city_news, attachment=key)
    assert key not in client.get(page).content.decode()
    assert client.post(page, form).status_code == 200, "refused in the form"
    letter.attachment = key
    with pytest.raises(PermissionDenied):
        services.save_newsletter(editor, letter, [city_news])
    assert Newsletter.objects.get().attachment == ""
    said = client.post(TEST, {**form, "test_to": "ada@example.org"}).content.decode()
    assert "Its attachment was left out" in said
    assert list(smtp_server.received[0].mail.iter_attachments()) == []
    Newsletter.objects.update(attachment=key)
    assert client.post(page, {**form, "subject": "A new subject"}).status_code == 302, "what an analyst chose stays"
    assert Newsletter.objects.get().attachment == key


def test_saving_a_newsletter_keeps_what_a_sending_noted_meanwhile(letter: Newsletter, city_news: List) -> None:
    Newsletter.objects.update(feed_seen=["abc"])
    letter.subject = "Changed"
    services.save_newsletter(None, letter, [city_news])
    stored = Newsletter.objects.get()
    assert (stored.subject, stored.feed_seen) == ("Changed", ["abc"])
