"""A server that says what is no SMTP, says it in advance, too late or never: in words, and nobody is to blame."""

from __future__ import annotations

import pytest

from newsletters import smtp
from newsletters.smtp_replies import Fate, ServerTrouble
from tests.newsletters.slow_smtp_server import HANG_UP, UNFINISHED
from tests.newsletters.smtp_desk import Desk, Start, always, once


@pytest.mark.parametrize("verb", ["", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("HTTP/1.1 400 Bad Request\nServer: nginx", "what no mail server says: 'HTTP/1.1 400 Bad Request'"),
        (f"250 {'x' * 20_000}{UNFINISHED}", "answers without an end"),
        ("\n".join(["250-more"] * 600), "what no mail server says"),
    ],
    ids=["garbage", "endless line", "endless lines"],
)
def test_what_is_no_answer_ends_in_words_and_nobody_is_to_blame(
    desk: Desk, start: Start, verb: str, answer: str, words: str
) -> None:
    server = start(reply=always(verb, answer))
    with pytest.raises(ServerTrouble, match="cannot be used") as trouble:
        desk.send(3)
    assert words in str(trouble.value)
    assert server.accepted == []
    assert desk.outcomes == []


@pytest.mark.parametrize("answer", ["what?", "what?\n250 2.0.0 taken", HANG_UP, "354 more", f"250 taken{UNFINISHED}"])
def test_after_the_dot_it_is_uncertain_and_not_sent_again(
    desk: Desk, start: Start, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(smtp, "FINAL_ANSWER_SECONDS", 0.5)
    server = start(reply=once(".", answer))
    desk.send(4)
    assert desk.fates == [Fate.SENT, Fate.UNKNOWN, Fate.SENT, Fate.SENT]
    assert server.said("MAIL") == 4


@pytest.mark.parametrize("extra", ["250 2.0.0 taken", "250-2.0.0 ta"])
def test_an_answer_before_the_dot_is_none(desk: Desk, start: Start, extra: str) -> None:
    """A server that counts its answers wrongly has taken nothing yet."""
    server = start(reply=once("DATA", f"354 go ahead\n{extra}"))
    desk.send(3)
    assert desk.fates == [Fate.SENT] * 3
    assert server.accepted == [f"r{number}@example.org" for number in range(3)]


def test_a_refusal_before_the_dot_is_one(desk: Desk, start: Start) -> None:
    start(reply=once("DATA", "354 go ahead\n451 4.3.1 no room any more"))
    desk.send(3)
    assert desk.fates == [Fate.SENT, Fate.LATER, Fate.SENT]


def test_a_late_last_answer_is_waited_for(desk: Desk, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "FINAL_ANSWER_SECONDS", 2)
    server = start(seconds_before_final_answer=1)
    desk.send(1)
    assert desk.fates == [Fate.SENT]
    assert server.accepted == ["r0@example.org"]


def test_a_last_answer_that_is_too_late_is_uncertain(desk: Desk, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "FINAL_ANSWER_SECONDS", 2)
    server = start(seconds_before_final_answer=3)
    desk.send(1)
    assert desk.fates == [Fate.UNKNOWN]
    assert desk.journal.read_bytes() == b"T1\n"
    assert server.said("MAIL") == 1
