"""Replies as the standard allows them and real servers write them, and a server that changes its mind half-way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from newsletters import services
from newsletters.models import Delivery, Issue, List, Newsletter
from runs.models import Run
from tests.newsletters.conftest import add_readers
from tests.newsletters.slow_smtp_server import SlowSmtpServer
from tests.newsletters.smtp_server import SmtpServer, only_password
from tests.newsletters.test_smtp_trouble import another_server, assert_paused_without_blame, states

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db


@pytest.fixture
def slow_server(smtp_server: SmtpServer, settings: Settings) -> Iterator[Callable[..., SlowSmtpServer]]:
    """Started with the behaviour that the test asks for; the waits of ``smtp_server`` hold here too."""
    started: list[SlowSmtpServer] = []

    def start(**behaviour: Any) -> SlowSmtpServer:
        started.append(SlowSmtpServer(**behaviour))
        settings.EMAIL_PORT = started[-1].port
        return started[-1]

    yield start
    for server in started:
        server.stop()


def in_many_lines(command: str, usual: str) -> str:
    code, text = usual[:3], usual[4:]
    return usual if "\n" in usual else f"{code}-{text}\n{code}-and some more\n{code} {text}"


@pytest.mark.parametrize("reply", [lambda command, usual: usual, in_many_lines], ids=["one line", "many lines"])
@pytest.mark.parametrize("bytes_at_once", [1, 7])
def test_replies_in_pieces_and_in_many_lines_are_read_whole(
    letter: Newsletter, city_news: List, slow_server: Callable[..., SlowSmtpServer], perform: Perform,
    reply: Callable[[str, str], str], bytes_at_once: int,
) -> None:  # fmt: skip
    readers = add_readers(city_news, 8)
    server = slow_server(reply=reply, bytes_at_once=bytes_at_once)
    assert perform(letter).result == "8 sent."
    assert server.accepted == [reader.email for reader in readers]


def test_a_refusal_in_many_lines_is_kept_with_its_code(
    letter: Newsletter, city_news: List, slow_server: Callable[..., SlowSmtpServer], perform: Perform
) -> None:
    readers = add_readers(city_news, 20)
    slow_server(
        reply=lambda command, usual: (
            "550-5.1.1 The account that you tried to reach\n550-5.1.1 does not exist.\n550 5.1.1 Goodbye"
            if readers[3].email in command else usual
        )
    )  # fmt: skip
    assert perform(letter).result == "19 sent, 1 failed."
    failed = Delivery.objects.get(state=Delivery.State.FAILED)
    assert (failed.code, failed.text[:30]) == (550, "5.1.1 The account that you tri")


def test_a_late_answer_to_a_whole_mail_is_waited_for(
    letter: Newsletter,
    city_news: List,
    slow_server: Callable[..., SlowSmtpServer],
    perform: Perform,
    settings: Settings,
) -> None:
    add_readers(city_news, 2)
    settings.EMAIL_TIMEOUT = 1
    server = slow_server(seconds_before_final_answer=1.6)
    assert perform(letter).result == "2 sent."
    assert len(server.accepted) == 2


def test_encryption_that_somebody_took_out_of_the_offer_is_refused_before_any_password(
    letter: Newsletter,
    city_news: List,
    slow_server: Callable[..., SlowSmtpServer],
    perform: Perform,
    settings: Settings,
) -> None:
    add_readers(city_news, 2)
    settings.EMAIL_USE_TLS, settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = True, "desk", "hunter2"
    server = slow_server(offers=("AUTH PLAIN LOGIN",))
    issue = assert_paused_without_blame(perform(letter), "STARTTLS")
    assert not any("AUTH" in command or "hunter2" in command for command in server.commands)
    assert "hunter2" not in issue.pause_reason


def test_encryption_that_is_offered_and_then_refused_is_not_done_without(
    letter: Newsletter,
    city_news: List,
    slow_server: Callable[..., SlowSmtpServer],
    perform: Perform,
    settings: Settings,
) -> None:
    add_readers(city_news, 2)
    settings.EMAIL_USE_TLS = True
    server = slow_server(offers=("STARTTLS",))
    assert_paused_without_blame(perform(letter), "does not let us in")
    assert not any(command.startswith("MAIL") for command in server.commands)


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_password_that_is_withdrawn_half_way_pauses_and_nobody_has_failed(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, settings: Settings
) -> None:
    readers = add_readers(city_news, 12)
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", "right"
    right, wrong = only_password("right"), only_password("another")
    withdrawn: list[bool] = []

    def authenticate(*arguments: Any) -> Any:
        return (wrong if withdrawn else right)(*arguments)

    with another_server(settings, auth_required=True, auth_require_tls=False, authenticator=authenticate) as server:
        server.on_mail = lambda number: (withdrawn.append(True) or "421 4.7.0 closing") if number == 6 else None  # type: ignore[func-returns-value]
        issue = assert_paused_without_blame(perform(letter), "does not let us in (535", sent=5)
        withdrawn.clear()
        services.resume_issue(None, issue.pk)
        assert perform(issue).result == "12 sent."
        assert Counter(server.recipients) == Counter(reader.email for reader in readers)


def test_being_asked_to_log_in_again_half_way_pauses_and_nobody_has_failed(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 12)
    smtp_server.on_mail = lambda number: "530 5.7.0 Authentication required" if number > 5 else None
    assert_paused_without_blame(perform(letter), "refuses our mail (530 5.7.0 Authentication required)", sent=5)


@pytest.mark.parametrize(("code", "place"), [("552 5.3.4 too big", "on_data"), ("552 5.3.4 too big", "on_mail")])
def test_a_mail_that_is_too_big_for_the_server_is_nobodys_failure(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, code: str, place: str
) -> None:
    add_readers(city_news, 4)
    if place == "on_data":
        smtp_server.on_data = lambda number: code
    else:
        smtp_server.on_mail = lambda number: code
    assert_paused_without_blame(perform(letter), "552 5.3.4 too big")


def test_a_full_mailbox_fails_alone(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    readers = add_readers(city_news, 20)
    smtp_server.on_rcpt = lambda number, address: "552 5.2.2 mailbox full" if address == readers[7].email else None
    assert perform(letter).result == "19 sent, 1 failed."
    assert states(Issue.objects.get())[Delivery.State.FAILED] == 1


@pytest.mark.parametrize("place", ["rcpt", "data"])
def test_a_server_that_hangs_up_with_421_in_the_middle_loses_and_doubles_nothing(
    letter: Newsletter, city_news: List, slow_server: Callable[..., SlowSmtpServer], perform: Perform, place: str
) -> None:
    readers = add_readers(city_news, 15)
    asked = Counter[str]()

    def reply(command: str, usual: str) -> str:
        verb = command.split(" ")[0].lower()
        asked[verb] += 1
        return "421 4.3.2 shutting down" if verb == place and asked[verb] % 4 == 0 else usual

    server = slow_server(reply=reply, bytes_at_once=100)
    assert perform(letter).result == "15 sent."
    assert Counter(server.accepted) == Counter(reader.email for reader in readers)


def test_421_as_the_answer_to_a_whole_mail_means_later(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    readers = add_readers(city_news, 10)
    smtp_server.on_data = lambda number: "421 4.3.2 shutting down" if number == 4 else None
    assert perform(letter).result == "10 sent."
    assert Counter(smtp_server.recipients) == Counter(reader.email for reader in readers)
    assert Issue.objects.get().uncertain == 0
