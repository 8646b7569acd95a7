"""A newsletter goes out: what arrives, what is recorded, and that nobody gets an issue twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from newsletters import audience, lanes, preparing, services
from newsletters.models import Delivery, Issue, List, Newsletter, Subscriber, Subscription
from runs import ledger
from runs.models import Run
from runs.states import State, Trigger
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.smtp_server import SmtpServer

Perform = Callable[..., Run]


@pytest.mark.django_db
def test_it_sends_each_reader_one_personal_mail(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    readers = add_readers(city_news, 25)
    run = perform(letter)
    assert (run.state, run.result) == (State.SUCCEEDED, "25 sent.")
    assert (run.progress_done, run.progress_total, run.progress_unit) == (25, 25, "mails")
    assert Counter(smtp_server.recipients) == Counter(reader.email for reader in readers)
    mail = next(mail for mail in smtp_server.received if mail.recipient == readers[3].email)
    assert mail.mail["Subject"] == "News for Reader 3"
    assert "Hello Reader 3" in mail.body("html")
    assert "Hello Reader 3" in mail.body("plain")
    issue = Issue.objects.get()
    assert (issue.state, issue.planned, issue.sent, issue.waiting) == (Issue.State.SENT, 25, 25, 0)
    assert set(issue.deliveries.values_list("state", "code", "attempts")) == {(Delivery.State.SENT, 250, 1)}
    assert f"/issue/{issue.pk}/" in run.links.get().url


@pytest.mark.django_db
def test_the_headers_on_the_wire(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    (reader,) = add_readers(city_news, 1)
    perform(letter)
    (mail,) = smtp_server.received
    (unsubscribe,) = mail.header_lines("List-Unsubscribe")
    assert unsubscribe.startswith(b"List-Unsubscribe: <https://news.example.org/unsubscribe/")
    assert unsubscribe.endswith(b"/>")
    assert mail.header_lines("List-Unsubscribe-Post") == [b"List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
    assert mail.mail["List-Id"] == "Weekly letter <weekly-letter.example.org>"
    assert mail.mail["From"] == "City desk <desk@example.org>"
    assert mail.mail["To"] == f"Reader 0 <{reader.email}>"
    assert mail.mail["Precedence"] == "bulk"
    assert mail.mail["Message-ID"].endswith("@example.org>")
    assert mail.sender == "desk@example.org"
    assert unsubscribe.split(b"<")[1][:-1].decode() in mail.body("html")


@pytest.mark.django_db
def test_leading_dots_arrive_as_they_were_written(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    letter.body = "    .dot\n    ..two\n    .\n"
    letter.save()
    add_readers(city_news, 1)
    perform(letter)
    assert ".dot\n..two\n.\n" in smtp_server.received[0].body("plain").replace("\r\n", "\n")


@pytest.mark.django_db
def test_one_connection_carries_many_mails(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 205)
    perform(letter)
    assert smtp_server.connections == 3


@pytest.mark.django_db
def test_a_list_without_readers_ends_in_words_and_leaves_no_issue(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2, state="pending")
    run = perform(letter, max_attempts=3)
    assert run.state == State.FAILED
    assert run.error == "Nobody to send to: the list City news has no confirmed subscribers."
    assert not Issue.objects.exists()


@pytest.mark.django_db
def test_a_newsletter_without_list_says_so(letter: Newsletter, smtp_server: SmtpServer, perform: Perform) -> None:
    letter.lists.clear()
    assert "has no list. Choose one" in perform(letter).error


@pytest.mark.django_db
def test_only_suppressed_readers_are_said_to_be_suppressed(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    (reader,) = add_readers(city_news, 1)
    services.suppress(None, reader.email)
    assert "on the suppression list" in perform(letter).error


@pytest.mark.django_db
def test_a_broken_merge_tag_sends_nothing(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 3)
    Newsletter.objects.update(body="Hello {{ nmae }}")
    assert "There is no merge tag {{ nmae }}" in perform(letter).error
    assert smtp_server.received == []
    assert not Issue.objects.exists()


@pytest.mark.django_db
def test_the_same_due_time_is_never_sent_twice(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 5)
    perform(letter)
    again = perform(letter)
    assert again.state == State.SUCCEEDED
    assert again.result == "Nothing to do, this issue has ended: 5 sent."
    assert len(smtp_server.received) == 5
    perform(letter, due_at=DUE + timedelta(days=7))
    assert len(smtp_server.received) == 10
    assert Issue.objects.count() == 2


@pytest.mark.django_db
def test_the_text_is_frozen_when_the_issue_starts(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2)
    issue = preparing.issue_for(letter, DUE)
    fingerprint = issue.sha256
    Newsletter.objects.update(body="Changed", subject="Changed", from_email="other@example.org")
    perform(letter)
    assert {mail.mail["Subject"] for mail in smtp_server.received} == {"News for Reader 0", "News for Reader 1"}
    assert {mail.sender for mail in smtp_server.received} == {"desk@example.org"}
    issue.refresh_from_db()
    assert issue.sha256 == fingerprint


@pytest.mark.django_db
def test_who_leaves_after_the_snapshot_is_left_out(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    left, suppressed, removed, stays = add_readers(city_news, 4)
    preparing.issue_for(letter, DUE)
    Subscription.objects.filter(subscriber=left).update(state="unsubscribed")
    services.suppress(None, suppressed.email)
    removed.delete()
    run = perform(letter)
    assert run.result == "1 sent, 3 left out."
    assert smtp_server.recipients == [stays.email]
    issue = Issue.objects.get()
    assert (issue.state, issue.skipped) == (Issue.State.SENT, 3)
    reasons = dict(Delivery.objects.values_list("email", "text"))
    assert reasons[suppressed.email] == "The address is suppressed."
    assert reasons[left.email] == "Unsubscribed before it was sent."


@pytest.mark.django_db
def test_who_joins_while_it_is_sent_gets_the_next_one(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2)
    preparing.issue_for(letter, DUE)
    (late,) = add_readers(city_news, 1, prefix="late")
    perform(letter)
    assert late.email not in smtp_server.recipients
    perform(letter, due_at=DUE + timedelta(days=1))
    assert smtp_server.recipients.count(late.email) == 1


@pytest.mark.django_db
def test_hostile_names_arrive_as_names(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    names = [
        '"; Bcc: x@evil.example',
        "a\r\nBcc: x@evil.example",
        "😀" * 60,
        "שלום",
        "x" * 300,
        ".dot",
        "=20",
        "</p><script>",
        "{{ email }}",
    ]
    for index, name in enumerate(names):
        add_readers(city_news, 1, prefix=f"r{index}-", name=name)
    assert perform(letter).result == f"{len(names)} sent."
    for index, name in enumerate(names):
        mail = next(mail for mail in smtp_server.received if mail.recipient == f"r{index}-0@example.org")
        flat = " ".join(name.split())
        assert mail.mail["Bcc"] is None
        assert mail.mail["Subject"] == f"News for {flat}"
        assert f"Hello {flat}" in mail.body("plain")
        assert "<script" not in mail.body("html")
        assert all(len(line) <= 998 for line in mail.raw.split(b"\r\n"))


@pytest.mark.django_db
def test_attributes_are_filled_in(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    Newsletter.objects.update(body="In {{ city|your town }}: {{ topics }}")
    add_readers(city_news, 1, prefix="a", attributes={"city": "Łódź", "topics": ["art", "sport"]})
    add_readers(city_news, 1, prefix="b")
    perform(letter)
    texts = {mail.recipient: mail.body("plain") for mail in smtp_server.received}
    assert "In Łódź: art, sport" in texts["a0@example.org"]
    assert "In your town:" in texts["b0@example.org"]


@pytest.mark.django_db
def test_an_uppercase_or_foreign_address_is_kept_for_the_envelope(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    reader = Subscriber.objects.create(email="Anna.Maria@Bücher.example")
    Subscription.objects.create(subscriber=reader, list=city_news, state="confirmed")
    perform(letter)
    assert smtp_server.recipients == ["Anna.Maria@xn--bcher-kva.example"]


@pytest.mark.django_db
def test_a_second_run_waits_for_the_one_that_is_sending(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2)
    issue = preparing.issue_for(letter, DUE)
    first = ledger.plan(
        ledger.NewRun(kind="newsletter", target_id=letter.pk, target_label="", trigger=Trigger.MANUAL, due_at=DUE)
    )
    assert ledger.claim(first.pk, "another worker") is not None
    lanes.take(issue, first.pk)
    second = perform(letter)
    assert second.error == f"Run {first.pk} is sending this issue already."
    assert smtp_server.received == []


@pytest.mark.django_db
def test_the_rate_is_kept(letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform) -> None:
    Newsletter.objects.update(rate=1200)
    add_readers(city_news, 41)
    run = perform(letter)
    assert run.finished_at is not None
    assert run.started_at is not None
    # 1,200 a minute are 20 a second: 41 mails take 2 seconds, of which up to one second's worth may go at once.
    assert 0.9 <= (run.finished_at - run.started_at).total_seconds() < 6


@pytest.mark.django_db
def test_the_issue_is_not_ended_while_the_count_is_wrong(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 3)
    issue = preparing.issue_for(letter, DUE)
    Issue.objects.filter(pk=issue.pk).update(planned=4)
    run = perform(letter)
    assert "The count is wrong" in run.error
    issue.refresh_from_db()
    assert not issue.is_finished


@pytest.mark.django_db
def test_excluded_readers_are_counted_on_the_issue(letter: Newsletter, city_news: List) -> None:
    add_readers(city_news, 2)
    add_readers(city_news, 3, prefix="p", state="pending")
    assert preparing.issue_for(letter, DUE).excluded == {"not confirmed": 3}
    assert audience.count(audience.lists_of(letter)).recipients == 2
