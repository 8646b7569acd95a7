"""The bytes of one mail, read back by an independent parser."""

from __future__ import annotations

import email
import email.policy
from datetime import datetime, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest

from newsletters import message, plain_lines

URL = "https://news.example.org/unsubscribe/" + "x" * 130 + "/"
HOSTILE = [
    "Anna",
    '"; Bcc: x@evil.example',
    "a\r\nBcc: x@evil.example",
    "a\nBcc: x@evil.example\n\nbody",
    "a\0b",
    "😀 Zoë",
    "שלום עולם",
    "李" * 100,
    "x" * 300,
    ".dot",
    "=20",
    "=?utf-8?q?x?=",
    "</p><script>",
    'O\\"Neil, Jr.',
    "<admin@example.org>",
    "a@example.org, b@example.org",
    "group: a@example.org;",
    "",
]


def build(
    name: str = "Anna", *, text: str = "Hello", html: str = "<p>Hello</p>", sender_name: str = "City desk"
) -> bytes:
    sender = message.Sender(sender_name, "desk@example.org", "answers@example.org")
    return message.build(
        message.Envelope(sender, "Städtische Nachrichten", "city", "issue-1"),
        delivery_id=7,
        to_name=name,
        to_email="reader@example.org",
        subject=f"News for {name}",
        html=html,
        text=text,
        unsubscribe_url=URL,
        date=datetime(2026, 3, 2, 9, tzinfo=timezone.utc),
    )


def parse(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_stays_a_name(name: str) -> None:
    raw = build(name, text=f"Dear {name}.", html=f"<p>{name}</p>")
    mail = parse(raw)
    assert set(mail.keys()) == {
        "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
        "Precedence", "Auto-Submitted", "X-Auto-Response-Suppress", "Feedback-ID", "MIME-Version", "Content-Type",
    }  # fmt: skip
    (recipient,) = mail["To"].addresses
    assert recipient.addr_spec == "reader@example.org"
    # The library's newer parser puts blanks between encoded words of a name; the older one does not.
    shown, _ = parseaddr(str(email.message_from_bytes(raw)["To"]))
    assert str(make_header(decode_header(shown))) == plain_lines.one_line(name)
    assert mail["Subject"] == f"News for {plain_lines.one_line(name)}".strip()
    assert mail.defects == []
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\0" not in raw.split(b"\r\n\r\n")[0]


def test_the_unsubscribe_headers_are_one_line_each_and_not_encoded() -> None:
    lines = build("Zoë").split(b"\r\n\r\n")[0].split(b"\r\n")
    at = lines.index(f"List-Unsubscribe: <{URL}>".encode())
    assert lines[at + 1] == b"List-Unsubscribe-Post: List-Unsubscribe=One-Click"


def test_the_parts_read_as_they_were_written() -> None:
    text = ".leading dot\n..two\n=20 \ntrailing \t\nFrom here\nöäü 李\n" + "long " * 400
    html = "<p>" + "x" * 2000 + "</p>\n<p>.</p>\n"
    raw = build(text=text, html=html)
    mail = parse(raw)
    assert mail.get_content_type() == "multipart/alternative"
    plain, marked = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert marked is not None
    assert plain.get_content().replace("\r\n", "\n") == text
    assert marked.get_content().replace("\r\n", "\n") == html
    bodies = raw.split(b"\r\n\r\n", 1)[1].split(b"\r\n")
    assert all(len(line) <= 76 for line in bodies)
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_the_list_id_ends_in_our_domain() -> None:
    assert parse(build())["List-Id"].endswith("<city.example.org>")


def test_the_message_id_is_the_same_each_time_and_another_for_each_delivery() -> None:
    sender = message.Sender("", "desk@example.org")
    one = message.Envelope(sender, "L", "l", "issue-1")
    other = message.Envelope(sender, "L", "l", "issue-2")
    assert message.message_id(one, 7) == message.message_id(one, 7)
    assert len({message.message_id(one, 7), message.message_id(one, 8), message.message_id(other, 7)}) == 3
    assert message.message_id(one, 7).endswith("@example.org>")


def test_date_and_reply_to_are_there() -> None:
    mail = parse(build())
    assert mail["Date"].datetime == datetime(2026, 3, 2, 9, tzinfo=timezone.utc)
    assert mail["Reply-To"] == "answers@example.org"
    assert mail["From"] == "City desk <desk@example.org>"
