"""What each misbehaviour of a mail server means: for one reader, for the issue, and in words for staff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pytest_django import Settings

from newsletters import sender, services, smtp_pool
from newsletters.models import Delivery, Issue, List, Newsletter
from runs.models import Run
from runs.states import State
from tests.newsletters.conftest import add_readers, point_at
from tests.newsletters.smtp_server import SmtpServer, only_password

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db


@contextmanager
def another_server(settings: Settings, **options: Any) -> Iterator[SmtpServer]:
    server = SmtpServer(options=options).start()
    point_at(settings, server)
    try:
        yield server
    finally:
        server.stop()


def states(issue: Issue) -> Counter[int]:
    return Counter(issue.deliveries.values_list("state", flat=True))


def assert_paused_without_blame(run: Run, words: str, *, sent: int = 0) -> Issue:
    """The run failed in words, the issue waits, and no reader is marked as failed."""
    assert run.state == State.FAILED
    assert words in run.error
    issue = Issue.objects.get()
    assert issue.state == Issue.State.PAUSED
    assert words in issue.pause_reason
    assert issue.failed == 0
    assert (
        states(issue) == Counter({Delivery.State.SENT: sent, Delivery.State.PENDING: issue.planned - sent}) - Counter()
    )
    return issue


def test_nobody_listens(letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform) -> None:
    add_readers(city_news, 5)
    smtp_server.stop()
    issue = assert_paused_without_blame(perform(letter), "cannot be reached: Connection refused")
    smtp_server.start()
    # A retry of the run, once the server is back, goes on by itself.
    assert issue.planned == 5


def test_it_goes_on_when_the_server_is_back(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, settings: Settings
) -> None:
    add_readers(city_news, 5)
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    run = perform(letter, max_attempts=2)
    assert run.state == State.PLANNED  # another attempt is due
    settings.EMAIL_PORT = port
    assert perform(letter, run=run).result == "5 sent."
    assert len(smtp_server.received) == 5


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_the_password_is_wrong(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, settings: Settings
) -> None:
    add_readers(city_news, 3)
    with another_server(
        settings, auth_required=True, auth_require_tls=False, authenticator=only_password("right")
    ) as server:
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", "wrong"
        issue = assert_paused_without_blame(perform(letter), "does not let us in")
        settings.EMAIL_HOST_PASSWORD = "right"
        services.resume_issue(None, issue.pk)
        assert perform(issue).result == "3 sent."
        assert len(server.received) == 3


def test_encryption_is_asked_for_and_not_offered(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, settings: Settings
) -> None:
    add_readers(city_news, 2)
    settings.EMAIL_USE_TLS = True
    assert_paused_without_blame(perform(letter), "STARTTLS")
    assert smtp_server.received == []


def test_the_sender_is_refused(letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform) -> None:
    add_readers(city_news, 3)
    smtp_server.on_mail = lambda number: "550 5.7.1 not your domain" if number > 1 else None
    assert_paused_without_blame(
        perform(letter), "refuses the sender desk@example.org (550 5.7.1 not your domain)", sent=1
    )


@pytest.mark.parametrize(
    "reply", ["550 5.7.1 blocked by policy", "530 5.7.0 authenticate first", "554 5.6.0 bad message"]
)
def test_a_refusal_of_policy_blames_no_reader(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, reply: str
) -> None:
    add_readers(city_news, 4)
    smtp_server.on_rcpt = lambda number, address: reply if number == 3 else None
    assert_paused_without_blame(perform(letter), f"refuses our mail ({reply})", sent=2)


def test_an_unknown_mailbox_fails_alone(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    readers = add_readers(city_news, 30)
    smtp_server.on_rcpt = lambda number, address: "550 5.1.1 no such user" if address == readers[4].email else None
    run = perform(letter)
    assert run.result == "29 sent, 1 failed."
    assert run.state == State.SUCCEEDED
    issue = Issue.objects.get()
    assert issue.state == Issue.State.SENT_WITH_PROBLEMS
    failed = issue.deliveries.get(state=Delivery.State.FAILED)
    assert (failed.email, failed.code, failed.text) == (readers[4].email, 550, "5.1.1 no such user")


def test_every_seventh_is_put_off_and_comes_later(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    readers = add_readers(city_news, 35)
    asked: Counter[str] = Counter()

    def rcpt(number: int, address: str) -> str | None:
        asked[address] += 1
        return "451 4.3.0 later please" if number % 7 == 0 else None

    smtp_server.on_rcpt = rcpt
    assert perform(letter).result == "35 sent."
    assert Counter(smtp_server.recipients) == Counter(reader.email for reader in readers)
    assert max(asked.values()) >= 2
    assert Issue.objects.get().state == Issue.State.SENT


def test_put_off_too_often_has_failed_with_the_reason(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    readers = add_readers(city_news, 30)
    smtp_server.on_rcpt = lambda number, address: "452 4.2.2 mailbox full" if address == readers[0].email else None
    assert perform(letter).result == "29 sent, 1 failed."
    failed = Delivery.objects.get(state=Delivery.State.FAILED)
    assert (failed.code, failed.text, failed.attempts) == (
        452,
        "4.2.2 mailbox full",
        1 + len(sender.TRY_AGAIN_SECONDS),
    )


def test_a_dropped_connection_loses_and_doubles_nothing(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    readers = add_readers(city_news, 40)
    smtp_server.drop_after_reply = lambda number: number % 5 == 0
    smtp_server.drop_at_rcpt = lambda number: number % 9 == 0
    assert perform(letter).result == "40 sent."
    assert Counter(smtp_server.recipients) == Counter(reader.email for reader in readers)


def test_busy_in_the_middle_is_waited_for(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 10)
    smtp_server.on_mail = lambda number: "421 4.3.2 too busy" if number in (4, 5) else None
    assert perform(letter).result == "10 sent."
    assert len(set(smtp_server.recipients)) == 10


def test_a_server_that_stays_busy_pauses_the_issue(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 10)
    smtp_server.on_mail = lambda number: "421 4.3.2 too busy" if number > 3 else None
    assert_paused_without_blame(perform(letter), "421 4.3.2 too busy", sent=3)


def test_no_answer_after_the_mail_was_handed_over_is_uncertain_and_not_sent_again(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    readers = add_readers(city_news, 10)
    smtp_server.drop_instead_of_reply = lambda number: number == 4
    assert perform(letter).result == "9 sent, 1 uncertain."
    issue = Issue.objects.get()
    assert issue.state == Issue.State.SENT_WITH_PROBLEMS
    assert issue.deliveries.get(state=Delivery.State.UNCERTAIN).email == readers[3].email
    assert Counter(smtp_server.recipients) == Counter(reader.email for reader in readers)
    assert perform(letter).result == "Nothing to do, this issue has ended: 9 sent, 1 uncertain."


def test_a_server_that_never_answers_is_left_alone_soon(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 10)
    smtp_server.drop_instead_of_reply = lambda number: True
    run = perform(letter)
    assert "does not answer any more" in run.error
    assert states(Issue.objects.get()) == {
        Delivery.State.UNCERTAIN: smtp_pool.UNANSWERED_IN_A_ROW,
        Delivery.State.PENDING: 10 - smtp_pool.UNANSWERED_IN_A_ROW,
    }


@pytest.mark.parametrize("reply", ["550 5.1.1 unknown", "554 no thanks"])
def test_the_same_refusal_for_everybody_pauses_the_issue(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, reply: str
) -> None:
    add_readers(city_news, 30)
    smtp_server.on_rcpt = lambda number, address: reply
    assert_paused_without_blame(perform(letter), "the same refusal")
    assert smtp_server.counts["rcpt"] == 5


def test_a_rising_share_of_the_same_refusal_pauses_the_issue(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 150)
    smtp_server.on_rcpt = lambda number, address: "550 5.1.1 unknown" if number > 60 else None
    assert_paused_without_blame(perform(letter), "gave 20 readers the same refusal", sent=60)


def test_staff_may_take_the_refusals_as_they_come(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 12)
    smtp_server.on_rcpt = lambda number, address: "550 5.1.1 unknown"
    issue = assert_paused_without_blame(perform(letter), "the same refusal")
    services.resume_issue(None, issue.pk)
    assert perform(issue).result == "0 sent, 12 failed."


def test_a_refusal_after_the_mail_was_handed_over_counts_for_the_reader(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 30)
    replies = {3: "552 5.2.2 mailbox full", 5: "451 4.3.0 later"}
    smtp_server.on_data = lambda number: replies.get(number)
    assert perform(letter).result == "29 sent, 1 failed."
    assert Issue.objects.get().uncertain == 0


def test_letters_that_the_server_cannot_carry_fail_alone(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, settings: Settings
) -> None:
    with another_server(settings, enable_SMTPUTF8=False) as server:
        add_readers(city_news, 10)
        add_readers(city_news, 1, prefix="jürgen")
        assert perform(letter).result == "10 sent, 1 failed."
        assert len(server.received) == 10
    with another_server(settings) as server:
        services.retry_failed(None, Issue.objects.get().pk)
        assert perform(Issue.objects.get()).result == "11 sent."
        assert server.recipients == ["jürgen0@example.org"]
