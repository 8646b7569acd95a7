"""What each kind of mail that comes back means for the reader, and that a forged one means nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from newsletters import audience, bounces, services, verp
from newsletters.models import Delivery, Issue, List, Newsletter, ReaderEvent, Subscriber, Suppression
from runs import clock
from runs.models import AuditEntry, Run
from tests.newsletters.conftest import add_readers
from tests.newsletters.returned import MAILS, SENT, mail, sent_to, weeks
from tests.newsletters.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db

CLASSES = {
    "hard": (
        "postfix-unknown", "gmail-unknown", "exchange-unknown", "exchange-online-edge", "exchange-encoded", "exim-unknown",
        "exim-old-plain", "qmail-unknown", "yahoo-odd", "sendmail-vague-status", "forwarded-to-a-dead-address", "truncated",
        "wrong-charset",
    ),
    "soft": (
        "postfix-full", "postfix-expired", "postfix-domain-gone", "gmail-over-quota", "qmail-remote-full",
        "several-recipients",
    ),
    "policy": (
        "gmail-unauthenticated", "exchange-transport-rule", "listed-by-blocklist", "unknown-but-says-policy",
        "our-sender-refused", "too-large",
    ),
    "complaint": ("arf-abuse", "arf-only-message-id"),
    "nothing": (
        "postfix-delayed", "postfix-success", "exim-warning", "alias-reached-somebody", "arf-not-spam", "arf-auth-failure",
        "auto-reply", "auto-reply-quotes-550", "reader-answers", "read-receipt",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _bounce_domain(settings: Settings) -> None:
    settings.BOUNCE_DOMAIN = "bounces.example.org"


@pytest.fixture
def reader(city_news: List) -> Subscriber:
    return add_readers(city_news, 1)[0]


@pytest.fixture
def delivery(reader: Subscriber, letter: Newsletter) -> Delivery:
    return sent_to(reader, letter)


def nothing_changed(delivery: Delivery) -> bool:
    issue, subscriber = delivery.issue, delivery.subscriber
    issue.refresh_from_db()
    assert subscriber is not None
    subscriber.refresh_from_db()
    return not (
        ReaderEvent.objects.exists() or Suppression.objects.exists()
        or issue.bounced or issue.complained or subscriber.soft_bounces
    )  # fmt: skip


def test_the_table_of_classes_covers_the_whole_corpus() -> None:
    assert sorted(name for names in CLASSES.values() for name in names) == sorted(path.stem for path in MAILS.iterdir())


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for kind, names in CLASSES.items() for name in names])
def test_each_mail_is_of_its_class(delivery: Delivery, name: str, kind: str) -> None:
    outcome = bounces.process(mail(name, delivery))
    assert outcome.kind.value == kind
    assert outcome.is_ours
    issue = Issue.objects.get()
    reader = Subscriber.objects.get()
    suppressed = audience.suppressed_among([delivery.email_norm])
    assert bool(suppressed) == (kind in ("hard", "complaint"))
    assert issue.bounced == (kind in ("hard", "soft", "policy"))
    assert issue.complained == (kind == "complaint")
    assert reader.soft_bounces == (kind == "soft")
    if kind == "nothing":
        assert nothing_changed(delivery)
    else:
        event = ReaderEvent.objects.get()
        assert (event.kind, event.issue, event.subscriber) == (kind, issue, reader)


def test_the_report_says_why_in_the_servers_words(delivery: Delivery) -> None:
    bounces.process(mail("exim-unknown", delivery))
    event = ReaderEvent.objects.get()
    assert (event.status, event.text) == ("5.1.1", "550 5.1.1 No such user here")
    suppression = Suppression.objects.get()
    assert (suppression.reason, suppression.email_norm) == ("hard_bounce", delivery.email_norm)
    assert suppression.note == "5.1.1 550 5.1.1 No such user here"
    assert AuditEntry.objects.filter(action="suppressed an address", actor=None).count() == 1


def test_the_same_mail_again_changes_nothing(delivery: Delivery) -> None:
    for name in ("postfix-full", "arf-abuse"):
        assert bounces.process(mail(name, delivery)).is_new
        assert bounces.process(mail(name, delivery)).words == "Known already."
    assert (Issue.objects.get().bounced, Issue.objects.get().complained) == (1, 1)
    assert Subscriber.objects.get().soft_bounces == 1
    assert ReaderEvent.objects.count() == 2


def test_a_delivery_that_bounces_in_two_ways_counts_once(delivery: Delivery) -> None:
    bounces.process(mail("postfix-full", delivery))
    bounces.process(mail("postfix-unknown", delivery))
    assert Issue.objects.get().bounced == 1


@pytest.mark.parametrize("name", ["postfix-unknown", "qmail-unknown", "exim-old-plain"])
def test_a_forged_mark_changes_nothing(delivery: Delivery, name: str) -> None:
    genuine = verp.address(delivery.pk)
    letter = "b" if genuine.partition("@")[0][-1] == "a" else "a"
    forged = genuine.replace(genuine.partition("@")[0], genuine.partition("@")[0][:-1] + letter)
    outcome = bounces.process(mail(name, delivery, mark=forged))
    assert "not ours" in outcome.words
    assert not outcome.is_ours
    assert nothing_changed(delivery)


def test_a_bounce_without_a_mark_or_for_two_deliveries_changes_nothing(
    delivery: Delivery, letter: Newsletter, reader: Subscriber
) -> None:
    assert "no delivery of ours" in bounces.process(mail("postfix-unknown", delivery, mark="desk@example.org")).words
    other = sent_to(reader, letter, at=SENT + weeks(1))
    both = mail("postfix-unknown", delivery, mark=f"<{verp.address(delivery.pk)}>, <{verp.address(other.pk)}>")
    assert not bounces.process(both).is_ours
    assert nothing_changed(delivery)


def test_whom_the_mail_server_says_it_was_for_counts_for_more_than_the_headers(
    delivery: Delivery, letter: Newsletter, city_news: List
) -> None:
    other = sent_to(add_readers(city_news, 1, prefix="other")[0], letter)
    raw = mail("postfix-full", delivery)
    assert bounces.process(raw, verp.address(other.pk)).is_new
    assert ReaderEvent.objects.get().delivery == other


def test_the_report_is_found_before_ten_megabytes_of_returned_mail(delivery: Delivery) -> None:
    raw = mail("postfix-unknown", delivery).replace(b"\n\n--4ABC1.1/mail.example.org--", b"\n\n" + b"x" * 76 * 140_000)
    assert len(raw) > 10_000_000
    assert bounces.process(raw).kind.value == "hard"


@pytest.mark.parametrize(
    "raw", [b"", b"\n\n", b"\0" * 500, b"\xff\xfe\n\n--x", b"Content-Type: multipart/report\n\n", b"To: <"]
)
def test_what_is_no_mail_changes_nothing(delivery: Delivery, raw: bytes) -> None:
    assert not bounces.process(raw).is_ours
    assert nothing_changed(delivery)


def test_cut_anywhere_a_report_never_says_more_than_the_whole(delivery: Delivery) -> None:
    raw = mail("unknown-but-says-policy", delivery)
    for length in range(0, len(raw), 37):
        outcome = bounces.process(raw[:length])
        assert outcome.kind.value in ("nothing", "policy", "hard"), length
    raw = mail("auto-reply-quotes-550", delivery)
    assert {bounces.process(raw[:length]).kind.value for length in range(200, len(raw), 11)} == {"nothing"}


# Soft ones in a row.


def soft_bounces(
    reader: Subscriber, letter: Newsletter, ages: list[float], set_now: Callable[[datetime], None]
) -> None:
    """One issue per age in weeks; the mail comes back the same day."""
    for age in ages:
        set_now(SENT + weeks(age))
        bounces.process(mail("postfix-full", sent_to(reader, letter, at=SENT + weeks(age))))
    reader.refresh_from_db()


@pytest.fixture
def set_now(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    return lambda now: monkeypatch.setattr(clock, "now", lambda: now)


def test_a_mailbox_that_stays_full_is_given_up(
    reader: Subscriber, letter: Newsletter, set_now: Callable[[datetime], None]
) -> None:
    soft_bounces(reader, letter, [0, 1, 2, 3], set_now)
    assert reader.soft_bounces == 4
    assert not Suppression.objects.exists()
    soft_bounces(reader, letter, [4], set_now)
    assert "5 mails in a row came back since 2 March 2026" in Suppression.objects.get().note


def test_a_week_of_daily_letters_to_a_full_mailbox_gives_nobody_up(
    reader: Subscriber, letter: Newsletter, set_now: Callable[[datetime], None]
) -> None:
    soft_bounces(reader, letter, [day / 7 for day in range(13)], set_now)
    assert reader.soft_bounces == 13
    assert not Suppression.objects.exists()
    soft_bounces(reader, letter, [2.01], set_now)
    assert Suppression.objects.exists()


def test_a_mail_that_got_through_begins_the_count_again(
    reader: Subscriber, letter: Newsletter, set_now: Callable[[datetime], None]
) -> None:
    soft_bounces(reader, letter, [0, 1, 2, 3], set_now)
    sent_to(reader, letter, at=SENT + weeks(4))
    soft_bounces(reader, letter, [5], set_now)
    assert reader.soft_bounces == 1
    assert not Suppression.objects.exists()


def test_a_mail_that_got_through_is_believed_after_a_while(
    reader: Subscriber, letter: Newsletter, set_now: Callable[[datetime], None]
) -> None:
    soft_bounces(reader, letter, [0, 1], set_now)
    sent_to(reader, letter, at=SENT + weeks(2))
    set_now(SENT + weeks(2.2))
    assert bounces.forget_recovered() == 0
    set_now(SENT + weeks(3))
    assert bounces.forget_recovered() == 1
    reader.refresh_from_db()
    assert reader.soft_bounces == 0


def test_an_index_finds_those_who_are_counted(reader: Subscriber) -> None:
    with CaptureQueriesContext(connection) as queries, connection.cursor() as cursor:
        bounces.forget_recovered()
        if connection.vendor == "postgresql":  # with a handful of rows it would rightly read the table
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        how = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        asked = next(query["sql"] for query in queries if "soft_bounces" in query["sql"])
        cursor.execute(f"{how} {asked}")
        plan = str(cursor.fetchall())
    assert "subscriber_soft_bounced" in plan


def test_refusals_for_our_sake_never_count_against_the_reader(
    reader: Subscriber, letter: Newsletter, set_now: Callable[[datetime], None]
) -> None:
    for age in range(20):
        set_now(SENT + weeks(age))
        bounces.process(mail("gmail-unauthenticated", sent_to(reader, letter, at=SENT + weeks(age))))
    reader.refresh_from_db()
    assert reader.soft_bounces == 0
    assert not Suppression.objects.exists()
    assert ReaderEvent.objects.filter(kind="policy").count() == 20


# What the sending itself learns.


def test_what_comes_back_was_sent_and_nobody_has_to_decide(delivery: Delivery) -> None:
    Delivery.objects.update(state=Delivery.State.UNCERTAIN, sent_at=None)
    Issue.objects.update(state=Issue.State.SENT_WITH_PROBLEMS, sent=0, uncertain=1)
    bounces.process(mail("postfix-full", delivery))
    issue = Issue.objects.get()
    assert (issue.state, issue.sent, issue.uncertain, issue.bounced) == (Issue.State.SENT, 1, 0, 1)
    assert Delivery.objects.get().state == Delivery.State.SENT


def test_one_refusal_while_sending_is_noted_and_a_second_gives_the_address_up(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run]
) -> None:
    readers = add_readers(city_news, 20)
    replies = {readers[2].email: "550 5.1.1 no such user", readers[5].email: "552 5.2.2 mailbox full"}
    smtp_server.on_rcpt = lambda number, address: replies.get(address)
    assert perform(letter).result == "18 sent, 2 failed."
    assert set(ReaderEvent.objects.values_list("kind", "subscriber")) == {
        ("hard", readers[2].pk),
        ("soft", readers[5].pk),
    }
    assert not Suppression.objects.exists()
    services.retry_failed(None, Issue.objects.get().pk)
    assert perform(Issue.objects.get()).result == "18 sent, 2 failed."
    assert ReaderEvent.objects.count() == 2
    assert Issue.objects.get().bounced == 0  # they count as failed
    assert perform(letter, due_at=SENT + weeks(1)).result == "18 sent, 2 failed."
    assert Suppression.objects.get().email_norm == readers[2].email_norm


def test_the_envelope_of_every_mail_names_its_delivery(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run]
) -> None:
    add_readers(city_news, 3)
    perform(letter)
    named = {next(verp.deliveries_in(received.sender)): received.recipient for received in smtp_server.received}
    assert named == dict(Delivery.objects.values_list("pk", "email"))
