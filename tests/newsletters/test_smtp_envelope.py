"""The envelope of a mail: what is said, when it is said, and what each refusal of it means."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from newsletters.models import List, Newsletter
from newsletters.smtp_replies import Fate, ServerTrouble
from runs.models import Run
from tests.newsletters.conftest import add_readers
from tests.newsletters.slow_smtp_server import HANG_UP
from tests.newsletters.smtp_desk import DATA, PIPELINING, Desk, Start, always, in_many_lines, once
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_smtp_trouble import assert_paused_without_blame


def test_the_envelope_goes_out_in_one_packet_and_the_mail_arrives_as_it_is(desk: Desk, start: Start) -> None:
    server = start()
    desk.send(3)
    assert desk.fates == [Fate.SENT] * 3
    assert server.mails == [DATA] * 3
    envelopes = [packet for packet in server.packets if packet.startswith(b"MAIL")]
    assert envelopes[0] == b"MAIL FROM:<desk@example.org>\r\nRCPT TO:<r0@example.org>\r\nDATA\r\n"
    assert len(envelopes) == 3


def test_without_pipelining_nothing_is_said_before_the_answer(desk: Desk, start: Start) -> None:
    server = start(offers=("8BITMIME",), seconds_before_answer=0.01)
    desk.send(3)
    assert desk.fates == [Fate.SENT] * 3
    assert server.early == []
    assert all(packet.count(b"\r\n") == 1 for packet in server.packets)


def test_with_pipelining_the_same_server_is_not_waited_for(desk: Desk, start: Start) -> None:
    """That the test before can fail."""
    server = start(seconds_before_answer=0.01)
    desk.send(1)
    assert [command.split(" ")[0] for command in server.early] == ["MAIL", "RCPT"]


@pytest.mark.parametrize("reply", [lambda command, usual: usual, in_many_lines], ids=["one line", "many lines"])
@pytest.mark.parametrize("bytes_at_once", [1, 3, 10_000])
def test_pipelined_answers_may_come_in_pieces_and_in_many_lines(
    desk: Desk, start: Start, reply: Callable[[str, str], str], bytes_at_once: int
) -> None:
    server = start(reply=reply, bytes_at_once=bytes_at_once)
    desk.send(6, connections=2)
    assert desk.fates == [Fate.SENT] * 6
    assert sorted(server.accepted) == [f"r{number}@example.org" for number in range(6)]


@pytest.mark.parametrize("offers", [PIPELINING, ("8BITMIME",)], ids=["pipelined", "lockstep"])
class TestRefused:
    def test_recipient_alone_and_the_next_mail_goes_well(
        self, desk: Desk, start: Start, offers: tuple[str, ...]
    ) -> None:
        server = start(offers=offers, reply=once("RCPT", "550 5.1.1 no such user"))
        desk.send(4)
        assert desk.fates == [Fate.SENT, Fate.REFUSED, Fate.SENT, Fate.SENT]
        assert server.accepted == ["r0@example.org", "r2@example.org", "r3@example.org"]
        assert server.said("EHLO") == 1
        # RFC 2920 3.1: it said 354 although it had refused everybody.
        assert server.lone_dots == (1 if offers == PIPELINING else 0)

    def test_recipient_by_one_who_then_hangs_up(self, desk: Desk, start: Start, offers: tuple[str, ...]) -> None:
        """Otherwise one address would be tried until the whole issue is paused."""
        refused: list[str] = []

        def reply(command: str, usual: str) -> str:
            if refused and not command.startswith("EHLO") and command:
                refused.clear()
                return HANG_UP
            if "r1@" in command:
                refused.append(command)
                return "550 5.1.1 no such user"
            return usual

        server = start(offers=offers, reply=reply)
        desk.send(4)
        assert desk.fates == [Fate.SENT, Fate.REFUSED, Fate.SENT, Fate.SENT]
        assert len(server.accepted) == 3

    @pytest.mark.parametrize(("answer", "fate"), [("451 4.3.0 later", Fate.LATER), ("550 5.1.1 gone", Fate.REFUSED)])
    def test_data(self, desk: Desk, start: Start, offers: tuple[str, ...], answer: str, fate: Fate) -> None:
        server = start(offers=offers, reply=once("DATA", answer))
        desk.send(3)
        assert desk.fates == [Fate.SENT, fate, Fate.SENT]
        assert server.said("RSET") == 1
        assert server.said("EHLO") == 1

    @pytest.mark.parametrize(
        ("verb", "answer", "words"),
        [
            ("MAIL", "550 5.7.1 not you", "refuses the sender desk@example.org (550 5.7.1 not you)"),
            ("MAIL", "530 5.7.0 log in first", "refuses our mail (530 5.7.0 log in first)"),
            ("RCPT", "554 5.7.1 blocked", "refuses our mail (554 5.7.1 blocked)"),
            ("DATA", "554 5.7.1 blocked", "refuses our mail (554 5.7.1 blocked)"),
            (".", "554 5.7.1 spam", "refuses our mail (554 5.7.1 spam)"),
            (".", "552 5.3.4 too big", "refuses our mail (552 5.3.4 too big)"),
        ],
    )
    def test_for_everybody(
        self, desk: Desk, start: Start, offers: tuple[str, ...], verb: str, answer: str, words: str
    ) -> None:
        server = start(offers=offers, reply=always(verb, answer))
        with pytest.raises(ServerTrouble, match="mail server") as trouble:
            desk.send(5)
        assert words in str(trouble.value)
        assert server.accepted == []
        assert desk.outcomes == []

    @pytest.mark.parametrize("verb", ["", "EHLO", "MAIL", "RCPT", "DATA", "RSET", "QUIT", "."])
    def test_421_at_each_step_loses_and_doubles_nobody(
        self, desk: Desk, start: Start, offers: tuple[str, ...], verb: str
    ) -> None:
        once_busy = once(verb, "421 4.7.0 slower please", at=1 if verb in ("", "EHLO", "RSET", "QUIT") else 2)
        refuse = always("RCPT", "550 5.1.1 gone")
        server = start(offers=offers, reply=lambda said, usual: refuse(said, once_busy(said, usual)) if "r3@" in said else once_busy(said, usual))  # fmt: skip
        desk.send(5)
        later = [Fate.LATER] if verb == "." else [Fate.SENT]
        assert desk.fates == [Fate.SENT, *later, Fate.SENT, Fate.REFUSED, Fate.SENT]
        assert server.accepted == [f"r{n}@example.org" for n in range(5) if n != 3 and (n != 1 or verb != ".")]
        assert desk.slowed == (1 if verb in ("MAIL", "RCPT", "DATA") else 0)

    @pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
    def test_421_for_good_is_said_in_its_own_words(
        self, desk: Desk, start: Start, offers: tuple[str, ...], verb: str
    ) -> None:
        start(offers=offers, reply=always(verb, "421 4.3.2 closing for the night"))
        with pytest.raises(ServerTrouble, match=r"421 4\.3\.2 closing for the night"):
            desk.send(2)
        assert desk.outcomes == []


def test_a_mail_that_is_larger_than_the_server_takes_stops_everything_in_words(desk: Desk, start: Start) -> None:
    server = start(offers=("PIPELINING", "SIZE 200"))
    with pytest.raises(ServerTrouble, match="takes mails of at most 200 bytes; this one has 367"):
        desk.send(3)
    assert desk.outcomes == []
    assert server.said("MAIL") == 0


@pytest.mark.django_db
def test_and_the_issue_waits_with_nobody_marked_as_failed(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run], start: Start
) -> None:
    add_readers(city_news, 4)
    start(offers=("SIZE 200",))
    assert_paused_without_blame(perform(letter), "takes mails of at most 200 bytes")


def test_the_size_is_said_where_it_is_asked_for(desk: Desk, start: Start) -> None:
    server = start(offers=("SIZE 0",))
    desk.send(1)
    assert f"MAIL FROM:<desk@example.org> SIZE={len(DATA)}" in server.commands
    assert desk.fates == [Fate.SENT]


def test_letters_beyond_ascii_go_as_they_are_where_the_server_can_carry_them(desk: Desk, start: Start) -> None:
    server = start()
    desk.send(["jürgen@example.org", "anna@example.org"])
    assert "MAIL FROM:<desk@example.org> SMTPUTF8" in server.commands
    assert "MAIL FROM:<desk@example.org>" in server.commands
    assert server.accepted == ["jürgen@example.org", "anna@example.org"]


def test_and_are_refused_for_that_reader_alone_where_it_cannot(desk: Desk, start: Start) -> None:
    server = start(offers=("PIPELINING",))
    desk.send(["jürgen@example.org", "anna@example.org"])
    assert desk.fates == [Fate.REFUSED, Fate.SENT]
    assert server.accepted == ["anna@example.org"]
