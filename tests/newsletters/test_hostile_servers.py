"""A mail server that is no mail server, or ceases to be one half-way: told in words, and no reader is to blame."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from newsletters import services, smtp
from newsletters.models import Delivery, Issue, List, Newsletter
from runs.models import Run
from tests.newsletters.conftest import add_readers
from tests.newsletters.slow_smtp_server import HANG_UP
from tests.newsletters.smtp_desk import Start, always, once
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_sending_correctly import assert_accounted_for
from tests.newsletters.test_smtp_trouble import assert_paused_without_blame, states

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db
READERS = 12


@pytest.fixture
def readers(smtp_server: SmtpServer, city_news: List) -> set[str]:
    """Waits between tries are short, as with ``smtp_server``."""
    return {reader.email for reader in add_readers(city_news, READERS)}


def from_the_fifth_on(verb: str, answer: str) -> Callable[[str, str], str]:
    """Well for four mails, and never again."""
    seen = Counter[str]()

    def reply(command: str, usual: str) -> str:
        word = command.split(" ")[0].upper()
        seen[word] += 1
        return answer if word == verb and seen[word] > 4 else usual

    return reply


@pytest.mark.parametrize("bytes_at_once", [1, 10_000], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_garbage_half_way_pauses_and_the_rest_follows_when_it_is_well(
    letter: Newsletter, readers: set[str], start: Start, perform: Perform, verb: str, bytes_at_once: int
) -> None:
    server = start(reply=from_the_fifth_on(verb, "HTTP/1.1 400 Bad Request"), bytes_at_once=bytes_at_once)
    issue = assert_paused_without_blame(
        perform(letter), "It says what no mail server says: 'HTTP/1.1 400 Bad Request'", sent=4
    )
    server.reply = lambda command, usual: usual
    perform(issue, run=services.resume_issue(None, issue.pk))
    assert Counter(server.accepted) == Counter(readers)
    assert_accounted_for(issue)


@pytest.mark.parametrize("offers", [("PIPELINING",), ("8BITMIME",)], ids=["pipelined", "lockstep"])
@pytest.mark.parametrize("answer", ["what?", "250-and\n251 so on?", HANG_UP])
def test_nonsense_after_one_mail_makes_that_one_uncertain_and_no_other(
    letter: Newsletter, readers: set[str], start: Start, perform: Perform, answer: str, offers: tuple[str, ...]
) -> None:
    server = start(reply=once(".", answer, at=5), offers=offers)
    is_clear = answer.startswith("250")  # two lines of one answer, with another number in the second: still a yes
    assert perform(letter).result == (f"{READERS} sent." if is_clear else f"{READERS - 1} sent, 1 uncertain.")
    assert server.said("MAIL") == READERS, "nobody gets it twice"
    assert_accounted_for(Issue.objects.get())


def test_an_answer_that_comes_after_the_limit_is_uncertain_and_that_mail_is_not_sent_again(
    letter: Newsletter, readers: set[str], start: Start, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eleven minutes, where ten are waited for; shortened."""
    monkeypatch.setattr(smtp, "FINAL_ANSWER_SECONDS", 0.4)
    mails = [0]

    def too_late(command: str, usual: str) -> str:
        mails[0] += command == "."
        if command == "." and mails[0] == 5:
            threading.Event().wait(1)
        return usual

    server = start(reply=too_late)
    assert perform(letter).result == f"{READERS - 1} sent, 1 uncertain."
    assert server.said("MAIL") == READERS
    doubtful = Delivery.objects.get(state=Delivery.State.UNCERTAIN)
    assert "the server's answer never came" in doubtful.text


def test_an_answer_that_comes_later_than_any_other_may_is_a_yes(
    letter: Newsletter, readers: set[str], start: Start, perform: Perform, settings: Settings
) -> None:
    """Thirty-one seconds, where thirty are waited for other answers; shortened."""
    server = start(seconds_before_final_answer=0.3)
    settings.EMAIL_TIMEOUT = 0.2
    assert perform(letter).result == f"{READERS} sent."
    assert Counter(server.accepted) == Counter(readers)


@pytest.mark.parametrize("verb", ["", "EHLO", "MAIL", "RCPT", "DATA"])
def test_silence_before_the_dot_is_told_in_words(
    letter: Newsletter, readers: set[str], start: Start, perform: Perform, settings: Settings, verb: str
) -> None:
    silence = threading.Event()

    def say_nothing(command: str, usual: str) -> str:
        if command.split(" ")[0].upper() == verb:
            silence.wait(10)
        return usual

    server = start(reply=say_nothing)
    settings.EMAIL_TIMEOUT = 0.1
    try:
        assert_paused_without_blame(perform(letter), "No answer for 0.1 seconds")
    finally:
        silence.set()
    assert server.accepted == []


@pytest.fixture
def door(settings: Settings, smtp_server: SmtpServer) -> Iterator[list[int]]:
    """Whoever comes in is put out again without a word."""
    listener, visits = socket.create_server(("127.0.0.1", 0)), list[int]()

    def put_out() -> None:
        while True:
            try:
                visitor, _ = listener.accept()
            except OSError:
                return
            visits.append(1)
            visitor.close()

    threading.Thread(target=put_out, daemon=True).start()
    settings.EMAIL_PORT = listener.getsockname()[1]
    yield visits
    listener.close()


def test_one_that_takes_connections_and_drops_them_is_left_alone_soon(
    letter: Newsletter, readers: set[str], perform: Perform, door: list[int]
) -> None:
    assert_paused_without_blame(perform(letter), "ended the greeting: Connection unexpectedly closed")
    assert len(door) < 10


@pytest.mark.parametrize(
    ("verb", "answer", "words"),
    [
        ("MAIL", "553 5.7.1 sender rejected", "refuses the sender desk@example.org (553 5.7.1 sender rejected)"),
        ("MAIL", "535 5.7.8 login revoked", "refuses our mail (535 5.7.8 login revoked)"),
        ("RCPT", "530 5.7.0 login revoked", "refuses our mail (530 5.7.0 login revoked)"),
        (".", "554 5.7.1 sender rejected", "refuses our mail (554 5.7.1 sender rejected)"),
    ],
)
def test_a_sender_or_login_that_is_rejected_half_way_is_nobodys_failure(
    letter: Newsletter, readers: set[str], start: Start, perform: Perform, verb: str, answer: str, words: str
) -> None:
    server = start(reply=from_the_fifth_on(verb, answer))
    issue = assert_paused_without_blame(perform(letter), words, sent=4)
    server.reply = lambda command, usual: usual
    perform(issue, run=services.resume_issue(None, issue.pk))
    assert Counter(server.accepted) == Counter(readers)


def test_encryption_that_is_taken_away_before_the_sending_tells_nothing_to_whoever_is_in_between(
    letter: Newsletter, readers: set[str], start: Start, perform: Perform, settings: Settings
) -> None:
    settings.EMAIL_USE_TLS, settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = True, "desk", "hunter2"
    server = start(offers=("AUTH PLAIN",), reply=always("STARTTLS", "454 4.7.0 not now"))
    issue = assert_paused_without_blame(perform(letter), "does not let us in (STARTTLS")
    assert {command.split(" ")[0] for command in server.commands} <= {"EHLO", "QUIT"}
    assert states(issue) == {Delivery.State.PENDING: READERS}
