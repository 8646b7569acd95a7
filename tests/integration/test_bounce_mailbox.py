# ruff: noqa: F811
"""The job that reads the mailbox of bounces, against a real Dovecot by IMAP and by POP3."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from newsletters import mailbox_reading
from newsletters.models import BounceMailbox, Delivery, List, Newsletter, ReaderEvent, Suppression
from runs import ledger
from runs.models import Run
from runs.states import State, Trigger
from schedules.tasks import run_job
from tests.integration.mail_servers import Dovecot, missing
from tests.newsletters.conftest import DUE, add_readers, city_news, letter  # noqa: F401
from tests.newsletters.returned import mail, sent_to

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db,
    pytest.mark.skipif(bool(missing()) and "CI" not in os.environ, reason=missing() or "-"),
]
FOREIGN = b"From: a@example.org\nTo: desk@example.org\nSubject: Lunch?\n\nAt noon?\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    assert not missing(), missing()
    with Dovecot() as running:
        yield running


@pytest.fixture
def dovecot(server: Dovecot, settings: Settings) -> Dovecot:
    """An empty mailbox."""
    settings.BOUNCE_DOMAIN = "bounces.example.org"
    settings.BOUNCE_MAILBOX_URL = server.url("imap")
    server.empty()
    return server


@pytest.fixture
def deliveries(letter: Newsletter, city_news: List) -> list[Delivery]:
    return [sent_to(reader, letter) for reader in add_readers(city_news, 6)]


@pytest.fixture
def read() -> Callable[[], Run]:
    mailbox = BounceMailbox.objects.create()

    def run() -> Run:
        planned = ledger.plan(
            ledger.NewRun(
                kind="bounce_mailbox", target_id=mailbox.pk, target_label="Bounces", trigger=Trigger.MANUAL, due_at=DUE,
                max_attempts=1, queue="default",
            )
        )  # fmt: skip
        run_job(planned.pk)
        planned.refresh_from_db()
        return planned

    return run


def poison() -> bytes:
    """Parts within parts, deeper than any reader of mail goes."""
    head = "Subject: Too deep\nMIME-Version: 1.0\n"
    return (head + "".join(f'Content-Type: multipart/mixed; boundary="{n}"\n\n--{n}\n' for n in range(1500))).encode()


@pytest.mark.parametrize("scheme", ["imap", "pop3"])
def test_bounces_are_taken_and_other_mail_stays(
    dovecot: Dovecot, deliveries: list[Delivery], read: Callable[[], Run], settings: Settings, scheme: str
) -> None:
    settings.BOUNCE_MAILBOX_URL = dovecot.url(scheme)
    dovecot.fill([
        mail("postfix-unknown", deliveries[0]), FOREIGN, mail("exchange-unknown", deliveries[1]),
        mail("arf-abuse", deliveries[2]), mail("auto-reply", deliveries[3]), mail("postfix-full", deliveries[4]),
        mail("postfix-unknown", deliveries[0]),
    ])  # fmt: skip
    run = read()
    assert run.error == ""
    assert run.result == "6 mails read, 4 with news, 1 left in the mailbox that are no bounces of ours."
    assert dovecot.subjects() == ["Lunch?"]
    assert Suppression.objects.count() == 3
    assert set(ReaderEvent.objects.values_list("kind", flat=True)) == {"hard", "complaint", "soft"}
    row = BounceMailbox.objects.get()
    assert row.read_at is not None
    assert row.problem == ""


def test_what_was_dealt_with_can_be_kept_in_a_folder(
    dovecot: Dovecot, deliveries: list[Delivery], read: Callable[[], Run], settings: Settings
) -> None:
    settings.BOUNCE_MAILBOX_URL = dovecot.url("imap", "/INBOX?processed=Done")
    dovecot.fill([mail("postfix-unknown", deliveries[0]), FOREIGN])
    for expected in (
        "1 mail read, 1 with news, 1 left in the mailbox that are no bounces of ours.",
        "0 mails read, 0 with news.",
    ):
        assert read().result == expected  # the second time what was left is not looked at again
    assert dovecot.subjects("Done") == ["Undelivered Mail Returned to Sender"]
    assert dovecot.subjects() == ["Lunch?"]


def test_a_mail_that_cannot_be_read_is_named_and_does_not_stop_the_others(
    dovecot: Dovecot, deliveries: list[Delivery], read: Callable[[], Run]
) -> None:
    dovecot.fill([mail("postfix-unknown", deliveries[0]), poison(), mail("postfix-full", deliveries[1])])
    run = read()
    assert run.result == "2 mails read, 2 with news, 1 that cannot be read."
    assert dovecot.subjects(which="FLAGGED") == dovecot.subjects() == ["Too deep"]
    assert "cannot be read" in BounceMailbox.objects.get().problem
    assert run.events.filter(message__contains="RecursionError").exists()
    assert read().result == "0 mails read, 0 with news."


def test_a_run_reads_so_many_and_the_next_one_goes_on(
    dovecot: Dovecot, deliveries: list[Delivery], read: Callable[[], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_reading, "MOST", 4)
    dovecot.fill(mail("postfix-unknown", delivery) for delivery in deliveries)
    assert [read().result for _ in range(3)] == [
        "4 mails read, 4 with news.", "2 mails read, 2 with news.", "0 mails read, 0 with news.",
    ]  # fmt: skip


def test_a_run_that_broke_off_is_repeated_without_counting_anything_twice(
    dovecot: Dovecot, deliveries: list[Delivery], read: Callable[[], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.fill(mail("postfix-full", delivery) for delivery in deliveries)
    deal_with = mailbox_reading._deal_with

    def break_off(*arguments: object) -> None:
        if len(ReaderEvent.objects.all()) == 3:
            raise OSError("the line went dead")
        deal_with(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(mailbox_reading, "_deal_with", break_off)
    run = read()
    assert run.state == State.FAILED
    assert "the line went dead" in run.error
    monkeypatch.undo()
    assert read().result == "3 mails read, 3 with news."
    assert set(Delivery.objects.values_list("subscriber__soft_bounces", flat=True)) == {1}


def test_a_wrong_password_is_said_and_never_shown(
    dovecot: Dovecot, read: Callable[[], Run], settings: Settings
) -> None:
    settings.BOUNCE_MAILBOX_URL = dovecot.url("imap").replace("secret", "hunter2")
    run = read()
    assert run.state == State.FAILED
    assert run.error.startswith("The mailbox at 127.0.0.1 answered:")
    problem = BounceMailbox.objects.get().problem
    assert "127.0.0.1" in problem
    assert "hunter2" not in run.error + problem


def test_no_password_is_sent_without_encryption_except_to_this_machine(
    dovecot: Dovecot, read: Callable[[], Run], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletters.mailboxes._must_encrypt", lambda parts: True)
    for scheme in ("imap", "pop3"):
        settings.BOUNCE_MAILBOX_URL = dovecot.url(scheme)
        assert "offers no encryption, so no password was sent" in read().error


@pytest.mark.parametrize("url", ["", "imap://a:b@127.0.0.1:1/INBOX"])
def test_a_mailbox_that_is_not_there_is_said_in_words(read: Callable[[], Run], settings: Settings, url: str) -> None:
    settings.BOUNCE_MAILBOX_URL = url
    run = read()
    assert run.state == State.FAILED
    assert ("cannot be reached" if url else "BOUNCE_MAILBOX_URL") in run.error
