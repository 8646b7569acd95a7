"""The client of many mails against a scripted server: what it says, when it says it, and what each answer means."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from newsletters import smtp, smtp_pool
from newsletters.deliveries import Row
from newsletters.models import List, Newsletter
from newsletters.smtp import Mail
from newsletters.smtp_pool import Pool
from newsletters.smtp_replies import Fate, Outcome, ServerTrouble
from runs.models import Run
from tests.newsletters.conftest import add_readers
from tests.newsletters.slow_smtp_server import HANG_UP, UNFINISHED, SlowSmtpServer
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_smtp_trouble import assert_paused_without_blame

PIPELINING = ("PIPELINING", "8BITMIME", "SMTPUTF8")
CERTIFICATE = Path(__file__).with_name("news_example_org.pem")
DATA = b"Subject: News\r\n\r\n" + b"Hello\r\n" * 50
Start = Callable[..., SlowSmtpServer]


class Desk:
    """Whoever the pool sends for; keeps what it is told."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.outcomes: list[tuple[int, Outcome]] = []
        self.slowed = 0
        self.may = True

    def mail_of(self, row: Row) -> Mail:
        return Mail("desk@example.org", row.email, DATA, has_no_dots=True)

    def note(self, row: Row, outcome: Outcome) -> None:
        self.outcomes.append((row.id, outcome))

    def may_send(self) -> bool:
        return self.may

    def slow_down(self) -> None:
        self.slowed += 1

    @property
    def fates(self) -> list[Fate]:
        """In order of the readers."""
        return [outcome.fate for _, outcome in sorted(self.outcomes, key=lambda noted: noted[0])]

    def send(self, mails: int | list[str], *, connections: int = 1, is_strict: bool = True) -> None:
        """Sends until nothing waits. Raises ServerTrouble."""
        addresses = [f"r{number}@example.org" for number in range(mails)] if isinstance(mails, int) else mails
        pool = Pool(self, self.journal, connections=connections, is_strict=is_strict)
        pool.open()
        pool.feed(Row(number, number, address, address, "", {}, 0) for number, address in enumerate(addresses, 1))
        deadline = time.monotonic() + 20
        try:
            while pool.waiting and time.monotonic() < deadline:
                pool.run(0.2)
        finally:
            pool.close()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(smtp_pool, "RECONNECT_SECONDS", (0.01, 0.01, 0.01, 0.01))
    return Desk(tmp_path / "journal")


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    started: list[SlowSmtpServer] = []

    def begin(**behaviour: Any) -> SlowSmtpServer:
        server = SlowSmtpServer(**{"offers": PIPELINING, "bytes_at_once": 10_000, **behaviour})
        started.append(server)
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
        return server

    yield begin
    for server in started:
        server.stop()


def once(verb: str, answer: str, *, at: int = 2) -> Callable[[str, str], str]:
    """The script of a server that gives this answer to the command's n-th time, and usual ones otherwise."""
    asked = Counter[str]()

    def reply(command: str, usual: str) -> str:
        asked[word := command.split(" ")[0].upper()] += 1
        return answer if word == verb and asked[word] == at else usual

    return reply


def always(verb: str, answer: str) -> Callable[[str, str], str]:
    return lambda command, usual: answer if command.split(" ")[0].upper() == verb else usual


def in_many_lines(command: str, usual: str) -> str:
    code, text = usual[:3], usual[4:]
    return usual if "\n" in usual else f"{code}-{text}\n{code}-and some more\n{code} {text}"


# The envelope.


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


# What is no SMTP.


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


# The last answer.


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


# Connections.


def test_a_connection_is_used_again_and_closed_with_quit(
    desk: Desk, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "MAILS_PER_CONNECTION", 5)
    server = start()
    desk.send(12)
    assert desk.fates == [Fate.SENT] * 12
    assert (server.said("EHLO"), server.said("QUIT")) == (3, 3)


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_server_that_lets_two_connections_in_gets_no_more(desk: Desk, start: Start, is_strict: bool) -> None:
    server = start(most_connections=2, seconds_before_final_answer=0.005)
    desk.send(60, connections=8, is_strict=is_strict)
    assert desk.fates == [Fate.SENT] * 60
    assert Counter(server.accepted) == Counter(f"r{number}@example.org" for number in range(60))
    assert server.most_open == 2
    assert desk.slowed == 0, "fewer connections, not fewer mails"


def test_while_nothing_may_be_sent_nothing_is_lost(desk: Desk, start: Start) -> None:
    """A process that slept for too long asks first whether the lane is still its own."""
    server = start()
    pool = Pool(desk, desk.journal, connections=3, is_strict=True)
    pool.open()
    pool.feed(Row(number, number, f"r{number}@example.org", "", "", {}, 0) for number in range(7))
    desk.may = False
    pool.run(0.2)
    assert (server.accepted, pool.waiting, desk.journal.read_bytes()) == ([], 7, b"")
    desk.may = True
    while pool.waiting:
        pool.run(0.2)
    pool.close()
    assert sorted(server.accepted) == [f"r{number}@example.org" for number in range(7)]


# What a server offers.


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


# Logging in.

PASSWORD = "hunter2 ßecret"
CHALLENGE = "<1896.697170952@slow.example>"


def gate(command: str, usual: str, said: list[str]) -> str:
    """A server's part in each of the three ways to log in; the password must be right."""
    said.append(command)
    words = command.split(" ")
    if words[:2] == ["AUTH", "PLAIN"]:
        is_right = base64.b64decode(words[2]).decode() == f"\0desk\0{PASSWORD}"
    elif words[:2] == ["AUTH", "LOGIN"]:
        return f"334 {base64.b64encode(b'Password:').decode()}"
    elif words[:2] == ["AUTH", "CRAM-MD5"]:
        return f"334 {base64.b64encode(CHALLENGE.encode()).decode()}"
    elif len(said) > 1 and said[-2].startswith("AUTH LOGIN"):
        is_right = base64.b64decode(command).decode() == PASSWORD
    elif len(said) > 1 and said[-2].startswith("AUTH CRAM"):
        digest = hmac.new(PASSWORD.encode(), CHALLENGE.encode(), hashlib.md5).hexdigest()
        is_right = base64.b64decode(command).decode() == f"desk {digest}"
    elif words[0] in ("EHLO", "", "QUIT") or any(line.startswith("right") for line in said):
        return usual
    else:
        return "530 5.7.0 log in first"
    said[-1:] = ["right"] if is_right else [command]
    return "235 2.7.0 welcome" if is_right else f"535 5.7.8 no: {command}"


@pytest.mark.parametrize("way", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2 LOGIN PLAIN CRAM-MD5"])
def test_it_logs_in_each_way_that_it_knows(desk: Desk, start: Start, settings: Settings, way: str) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD
    said: list[str] = []
    server = start(offers=(*PIPELINING, f"AUTH {way}"), reply=lambda command, usual: gate(command, usual, said))
    desk.send(2)
    assert desk.fates == [Fate.SENT] * 2
    assert server.said("AUTH") == 1
    assert server.said("AUTH CRAM-MD5") == ("CRAM" in way)


@pytest.mark.parametrize("way", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_wrong_password_stops_everything_and_is_repeated_by_nobody(
    desk: Desk, start: Start, settings: Settings, way: str
) -> None:
    """Also where the server says back what it was told."""
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", "wr0ng-pass"
    said: list[str] = []
    server = start(offers=(*PIPELINING, f"AUTH {way}"), reply=lambda command, usual: gate(command, usual, said))
    with pytest.raises(ServerTrouble, match=r"does not let us in \(535 5.7.8") as trouble:
        desk.send(3)
    secret = server.commands[-1].split(" ")[-1]
    assert len(secret) > 12
    for error in (trouble.value, trouble.value.__cause__):
        assert "wr0ng-pass" not in repr(error)
        assert secret not in repr(error)
    assert server.said("AUTH") == 1
    assert desk.outcomes == []


def test_a_login_that_is_put_off_is_tried_again(desk: Desk, start: Start, settings: Settings) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD
    server = start(offers=(*PIPELINING, "AUTH PLAIN"), reply=once("AUTH", "454 4.7.0 try again", at=1))
    desk.send(2)
    assert desk.fates == [Fate.SENT] * 2
    assert server.said("AUTH") == 2


def test_a_server_without_a_login_that_we_know_says_so(desk: Desk, start: Start, settings: Settings) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD
    start(offers=(*PIPELINING, "AUTH GSSAPI NTLM"))
    with pytest.raises(ServerTrouble, match="no login that we know"):
        desk.send(1)


# Encryption.


@pytest.fixture
def known_host(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is good for localhost, and whoever made it is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    settings.EMAIL_USE_TLS = True


def encrypting(start: Start, settings: Settings, **behaviour: Any) -> SlowSmtpServer:
    server = start(offers=(*PIPELINING, "STARTTLS"), certificate=CERTIFICATE, **behaviour)
    settings.EMAIL_HOST = "localhost"
    return server


def test_it_encrypts_and_greets_again(desk: Desk, start: Start, settings: Settings, known_host: None) -> None:
    server = encrypting(start, settings)
    desk.send(5, connections=2)
    assert desk.fates == [Fate.SENT] * 5
    words = [command.split(" ")[0] for command in server.commands]
    assert words.count("EHLO") == 2 * words.count("STARTTLS")
    assert words.index("STARTTLS") < words.index("MAIL")


@pytest.mark.parametrize("wrong", ["another name", "nobody vouches for it"])
def test_a_wrong_certificate_is_refused_before_anything_is_said(
    desk: Desk, start: Start, settings: Settings, known_host: None, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "desk", PASSWORD
    server = encrypting(start, settings)
    if wrong == "another name":
        settings.EMAIL_HOST = "127.0.0.1"
    else:
        monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ServerTrouble, match=r"does not let us in .*certificate verify failed"):
        desk.send(2)
    assert [command.split(" ")[0] for command in server.commands] == ["EHLO", "STARTTLS"]


@pytest.mark.parametrize(
    "injected", ["250 2.0.0 ok", "250-injected\n250 AUTH PLAIN", "250-injected", "250-inj" + UNFINISHED],
    ids=["an answer", "an offer", "a line of an answer", "a part of a line"],
)  # fmt: skip
def test_what_was_said_in_the_clear_does_not_count_after_the_encryption(
    desk: Desk, start: Start, settings: Settings, known_host: None, injected: str
) -> None:
    server = encrypting(start, settings, reply=always("STARTTLS", f"220 2.0.0 go ahead\n{injected}"))
    with pytest.raises(ServerTrouble, match="more than it was asked before the encryption"):
        desk.send(2)
    assert server.said("MAIL") == 0


def test_encryption_that_is_not_offered_is_not_done_without(
    desk: Desk, start: Start, settings: Settings, known_host: None
) -> None:
    server = start()
    with pytest.raises(ServerTrouble, match="STARTTLS"):
        desk.send(2)
    assert [command.split(" ")[0] for command in server.commands] == ["EHLO"]
