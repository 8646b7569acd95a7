"""Every header of a newsletter's mail: what must be there, and that nothing a reader typed gets among them.

Two parsers that share no code read the mails back: the standard library's and mailparse (Rust).
"""

from __future__ import annotations

import email
import email.policy
import random
from dataclasses import replace
from datetime import datetime, timezone
from email.message import EmailMessage

import fast_mail_parser
import pytest
from pytest_django import Settings

from newsletters import message, plain_lines, verp
from tests.newsletters.test_message import HOSTILE, URL, parse

SENDER = message.Sender("Städtische Nachrichten", "desk@example.org", "answers@example.org")
ENVELOPE = message.Envelope(
    SENDER, "City news", "city", "7:abc", issue_id=7,
    help_url="https://news.example.org/feedback/", archive_url="https://news.example.org/archive/city/",
)  # fmt: skip
PIECES = (
    *HOSTILE,
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\x0b",
    "\u2028",
    "\x85",
    ":",
    ";",
    "=?utf-8?b?",
    "?=",
    "\t",
    "<",
    ">",
    "é",
    "\ud7ff",
)


def build(name: str = "Anna", *, attachment: bytes = b"", envelope: message.Envelope = ENVELOPE) -> bytes:
    return message.build(
        replace(envelope, attachment=attachment), delivery_id=7, to_name=name, to_email="reader@example.org", subject=f"News for {name}",
        html=f"<p>{name}</p>", text=f"Dear {name}", unsubscribe_url=URL,
        date=datetime(2026, 3, 2, 9, tzinfo=timezone.utc),
    )  # fmt: skip


def test_every_header_that_bulk_mail_needs_is_there_once() -> None:
    raw = build()
    names = [
        line.partition(b":")[0].decode() for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n") if line[:1] not in b" \t"
    ]
    assert names == [
        "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
        "List-Help", "List-Archive", "Precedence", "Auto-Submitted", "X-Auto-Response-Suppress", "Feedback-ID",
        "MIME-Version", "Content-Type",
    ]  # fmt: skip
    mail = parse(raw)
    assert mail["List-Help"] == "<https://news.example.org/feedback/>"
    assert mail["List-Archive"] == "<https://news.example.org/archive/city/>"
    assert mail["Feedback-ID"] == "7:city:newsletter:exampleorg"
    assert mail["Precedence"] == "bulk"
    assert mail["List-Id"] == "City news <city.example.org>"
    assert mail["From"].addresses[0].display_name == "Städtische Nachrichten"


def test_a_list_without_an_archive_names_none() -> None:
    mail = parse(build(envelope=message.Envelope(SENDER, "City news", "city", "7:abc")))
    assert "List-Archive" not in mail
    assert "List-Help" not in mail


def test_a_domain_of_other_letters_is_written_as_servers_look_it_up() -> None:
    sender = message.Sender("Bücherei", "post@bücherei.example", "antwort@bücherei.example")
    raw = build(envelope=message.Envelope(sender, "Neues", "neues", "k"))
    mail = parse(raw)
    assert mail["From"].addresses[0].addr_spec == "post@xn--bcherei-n2a.example"
    assert mail["Reply-To"].addresses[0].addr_spec == "antwort@xn--bcherei-n2a.example"
    assert mail["Message-ID"].endswith("@xn--bcherei-n2a.example>")
    assert raw.split(b"\r\n\r\n")[0].isascii()


def test_the_message_id_names_its_delivery_to_us_alone() -> None:
    assert list(verp.deliveries_of_message_ids(parse(build())["Message-ID"])) == [7]
    assert list(verp.deliveries_of_message_ids("<7-aaaaaaaa.0123456789abcdef0123@example.org>")) == []


def test_a_welcome_or_a_test_names_no_delivery_whatever_its_number() -> None:
    identifier = parse(build(envelope=replace(ENVELOPE, issue_id=0)))["Message-ID"]
    assert list(verp.deliveries_of_message_ids(identifier)) == []
    assert not verp.looks_like_ours(identifier)


def random_name(source: random.Random) -> str:
    return "".join(source.choice(PIECES) for _ in range(source.randint(1, 9)))[:400]


def test_no_name_of_random_hostile_pieces_adds_a_header_or_breaks_a_line() -> None:
    source = random.Random(8058)
    expected = parse(build()).keys()
    for _ in range(400):
        name = random_name(source)
        raw = build(name)
        head = raw.split(b"\r\n\r\n", 1)[0]
        strict = email.message_from_bytes(raw, policy=email.policy.strict)
        assert strict.keys() == expected, repr(name)
        assert strict["To"].addresses[0].addr_spec == "reader@example.org", repr(name)
        assert b"\n" not in raw.replace(b"\r\n", b"") and b"\r" not in raw.replace(b"\r\n", b""), repr(name)
        assert all(byte >= 32 or byte in b"\r\n\t" for byte in head), repr(name)
        assert all(len(line) <= 998 for line in raw.split(b"\r\n")), repr(name)
        assert f"List-Unsubscribe: <{URL}>".encode() in head.split(b"\r\n"), repr(name)
        second = fast_mail_parser.parse_email(raw)
        assert sorted(second.headers) == sorted(expected), repr(name)
        assert "List-Unsubscribe=One-Click" in second.headers["List-Unsubscribe-Post"], repr(name)
        assert len(second.text_plain) == len(second.text_html) == 1


def oracle(name: str) -> EmailMessage:
    """The same mail as the standard library writes it."""
    mail = EmailMessage(policy=email.policy.SMTP)
    clean = plain_lines.one_line(name)
    mail["Subject"] = f"News for {clean}".strip()
    mail.set_content(f"Dear {name}".replace("\r\n", "\n").replace("\r", "\n"))
    return parse(mail.as_bytes())


def test_what_arrives_reads_as_what_the_standard_library_would_have_sent() -> None:
    source = random.Random(20_26)
    # The standard library takes what looks like an encoded word for one; for us it is what somebody typed.
    pieces = [piece for piece in (*HOSTILE, " ", "x") if "=?" not in piece and piece.isprintable()]
    for _ in range(300):
        name = "".join(source.choice(pieces) for _ in range(source.randint(1, 4)))
        ours, theirs = parse(build(name)), oracle(name)
        plain = ours.get_body(("plain",))
        assert plain is not None
        assert str(ours["Subject"]).split() == str(theirs["Subject"]).split(), repr(name)
        assert plain.get_content().rstrip() == theirs.get_content().rstrip(), repr(name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("report.csv", "report.csv"),
        ("Größe & Preis.xlsx", "Größe & Preis.xlsx"),
        ('a"; filename="evil.exe', 'a"; filename="evil.exe'),
        ("../../etc/passwd", "passwd"),
        ("a\r\nBcc: x@evil.example", "a Bcc: x@evil.example"),
        ("長" * 100 + ".pdf", "長" * 60 + ".pdf"),
        ("", "attachment"),
    ],
)
def test_an_attachment_arrives_byte_for_byte_under_its_name(name: str, shown: str) -> None:
    content = bytes(range(256)) * 5
    raw = build(attachment=message.attachment(name, "text/csv", content))
    mail = parse(raw)
    assert mail.get_content_type() == "multipart/mixed"
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/csv",
    ]  # fmt: skip
    (part,) = mail.iter_attachments()
    assert part.get_filename() == shown
    assert part.get_payload(decode=True) == content
    assert mail.get_body(("html",)) is not None
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


@pytest.mark.parametrize(
    "kind", ["message/rfc822", "text/html\r\nBcc: x@evil.example", "", "multipart/mixed; boundary=x"]
)
def test_a_type_that_cannot_be_attached_is_sent_as_plain_bytes(kind: str) -> None:
    (part,) = parse(build(attachment=message.attachment("x.bin", kind, b"1"))).iter_attachments()
    assert part.get_content_type() == "application/octet-stream"


def test_bounces_come_back_to_the_delivery_where_a_domain_is_set(settings: Settings) -> None:
    assert verp.address(7) == ""
    settings.BOUNCE_DOMAIN = "bounces.example.org"
    address = verp.address(12345)
    assert address.startswith("b+9ix-")
    assert address.endswith("@bounces.example.org")
    for text in (address, address.upper(), f"rfc822; {address}", f"<{address}>", f"Return-Path: <{address}>\n"):
        assert list(verp.deliveries_in(text)) == [12345], text


@pytest.mark.parametrize("change", ["number", "signature", "domain", "cut"])
def test_a_forged_bounce_address_opens_nothing(settings: Settings, change: str) -> None:
    settings.BOUNCE_DOMAIN = "bounces.example.org"
    address = verp.address(12345)
    forged = {
        "number": address.replace("9ix", "9iy"),
        "signature": address.replace("-", "-a")[:-21] + address[-20:],
        "domain": address.replace("bounces.example.org", "bounces.example.org.evil.example"),
        "cut": address[:-10],
    }[change]
    assert forged != address
    assert list(verp.deliveries_in(forged)) == []


def test_a_former_key_still_opens_old_bounce_addresses(settings: Settings) -> None:
    settings.BOUNCE_DOMAIN = "bounces.example.org"
    old = verp.address(7)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = (
        "a-new-key-a-new-key-a-new-key-a-new-key",
        [settings.SECRET_KEY],
    )
    assert verp.address(7) != old
    assert list(verp.deliveries_in(old)) == [7]
    settings.SECRET_KEY_FALLBACKS = []
    assert list(verp.deliveries_in(old)) == []
