"""The oracle: every spliced mail says what an EmailMessage built from the same values says, in bytes that SMTP allows."""

from __future__ import annotations

import email
import email.policy
import functools
import html
import os
import random
import re
from collections.abc import Mapping
from email.header import decode_header, make_header
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.utils import parseaddr
from urllib.parse import quote

import pytest
from pytest_django import Settings

from newsletters import links, message
from newsletters.content import Frozen
from newsletters.deliveries import Row
from newsletters.message import Envelope, Sender
from newsletters.splicing import Mould

READERS = int(os.environ.get("SPLICED_READERS", "10000"))
SENDER = Sender("Städtische Nachrichten", "desk@example.org", "answers@example.org")
ENVELOPE = Envelope(
    SENDER, "City news", "city-news", "7:abc", issue_id=7,
    help_url="https://news.example.org/feedback/", archive_url="https://news.example.org/archive/3/",
)  # fmt: skip
PIECES = (
    "Anna", "Zoë", "O'Neil", "Dr. A. Müller-Lüdenscheidt", '"; Bcc: x', "a\r\nBcc: x@evil.example", "a\n\nb", "\0", "😀",
    "שלום", "\u202eright to left", "李" * 100, "x" * 300, "w" * 68, "v" * 75, ".", "..", ".dot", "=20", "=", "=?utf-8?q?x?=",
    "?=", "</p><script>", "&amp;", "{{ email }}", "}}", "\ud83d", "a\udc00b", " ends in a blank ", "\t", "\u2028", "\x85",
    "\x0b", "e\u0301", "<a@b.example>", "a@b.example, c@d.example", "group: x;", "\\", "From here", "100 %", "a b " * 30,
)  # fmt: skip
"""What a value is put together from; halves of characters get in by the attributes, which are JSON."""
TAG = re.compile(r"\{\{ (\w+)(?:\|([^}]*))? \}\}")
BROKEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
"""What no mail may carry: it becomes a blank."""


class Headers(HeaderRegistry):
    """Reads what stands in every mail once: the library takes half of the time for it."""

    __call__ = functools.lru_cache(200)(HeaderRegistry.__call__)


POLICY = email.policy.default.clone(header_factory=Headers())
LONG = "Donaudampfschifffahrtsgesellschaft" * 40

LETTERS = {
    "plain": Frozen("News for {{ name|you }}", "<p>Hello {{ name|there }},</p>\n<p>bye</p>\n", "Hello {{ name|there }},\n\nbye\n"),
    "in the middle of words": Frozen(
        "un{{ word|kind }}ly {{ name }}", "<p>un{{ word }}believ{{ name }}able</p>", "un{{ word }}believ{{ name }}able"
    ),
    "in links": Frozen(
        "Read", '<a href="https://example.org/?a={{ word|none }}&b={{ name }}" title="{{ word }}">{{ email }}</a>'
        ' <a href="{{ unsubscribe_url }}">leave</a>', "https://example.org/{{ word }}\n{{ unsubscribe_url }}",
    ),
    "at both ends of lines": Frozen(
        "{{ word }}", "{{ word }}\n{{ name }}\n{{ word }}", "{{ word }}\n{{ name }}\r\n{{ word }}\r\n\n{{ name }}"
    ),
    "beside each other": Frozen("{{ name }}{{ word }}", "{{ name }}{{ word }}{{ name }}", "{{ word }}{{ name }}{{ word }}"),
    "no tag at all": Frozen("Für alle gleich", "<p>The same.</p>", "The same.\n"),
    "leading dots": Frozen(
        ". {{ name }}", "..\n.{{ word }}.\n.\n{{ name }}.\n.", ".dot\n..{{ word }}\n.{{ name }}\n{{ name }}.\n.\n"
    ),
    "long lines": Frozen(
        f"{LONG[:200]} {{{{ name }}}}", f"<p>{LONG}{{{{ word }}}}{LONG}</p>", f"{LONG}{{{{ word }}}}{LONG} {{{{ name }}}}{'y' * 76}"
    ),
    "lines as long as allowed": Frozen(
        "x", "".join(f"{'z' * length}{{{{ word }}}}" for length in range(70, 80)),
        "".join(f"{'z' * length}{{{{ name|n }}}}\n.{'z' * length}{{{{ name }}}}" for length in range(70, 80)),
    ),
    "not ASCII": Frozen("Grüße 李 {{ name|du }}", "<p>Grüße, {{ word|Bürger }} 😀</p>", "שלום {{ name }} 李{{ word }}é=E9 \t\n"),
    "an attribute in the subject": Frozen("{{ word|=?utf-8?q?x?= }}", "<b>{{ word }}</b>", "{{ word }}"),
}  # fmt: skip


def clean(value: str) -> str:
    return BROKEN.sub(" ", value).strip()


def filled(source: str, values: Mapping[str, str], kind: str) -> str:
    """The letter for one reader, by a search for its tags and by nothing of ours."""

    def value(match: re.Match[str]) -> str:
        text = clean(values.get(match[1], "").strip() or match[2] or "")
        if kind != "html":
            return text
        is_in_link = re.search(r'href="[^"{}]*$', match.string[: match.start()].rpartition("}}")[2])
        return quote(text, safe="") if is_in_link and not match[1].endswith("_url") else html.escape(text)

    return TAG.sub(value, source)


def wanted(frozen: Frozen, row: Row, values: Mapping[str, str]) -> EmailMessage:
    """The standard library's mail of the same values, by none of our encoders."""
    mail = EmailMessage(POLICY)
    mail["From"] = str(Address(SENDER.name, addr_spec=SENDER.email))
    mail["To"] = row.email
    mail["Reply-To"] = SENDER.reply_to
    mail["List-Id"] = "City news <city-news.example.org>"
    mail["List-Unsubscribe"] = f"<{values['unsubscribe_url']}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail["List-Help"] = "<https://news.example.org/feedback/>"
    mail["List-Archive"] = "<https://news.example.org/archive/3/>"
    mail.set_content(filled(frozen.text, values, "text"), cte="8bit")
    mail.add_alternative(filled(frozen.html, values, "html"), subtype="html", cte="8bit")
    return mail


def assert_same(raw: bytes, expected: EmailMessage, *, subject: str, name: str) -> None:
    """Subject and name are compared as typed: given to EmailMessage, its parser would decode what looks encoded."""
    mail = email.message_from_bytes(raw, policy=POLICY)
    assert mail.defects == []
    for header in set(expected.keys()) - {"To", "MIME-Version", "Content-Type"}:
        assert mail.get_all(header) == [str(expected[header])], header
    assert mail.get_all("Subject") == [subject]
    assert [one.addr_spec for one in mail["To"].addresses] == [one.addr_spec for one in expected["To"].addresses]
    assert display_name(raw) == name
    assert mail.get_content_type() == "multipart/alternative"
    for part, expected_part in zip(mail.iter_parts(), expected.iter_parts(), strict=True):
        assert part.get_content_type() == expected_part.get_content_type()
        assert lines(part) == lines(expected_part)


def display_name(raw: bytes) -> str:
    """By the library's older parser: its newer one puts blanks between the encoded words of a name."""
    value = re.search(rb"^To: (.*?)\r\n(?![ \t])", raw, re.DOTALL | re.MULTILINE)
    assert value is not None
    shown, _ = parseaddr(value[1].replace(b"\r\n", b"").decode())
    return str(make_header(decode_header(shown)))


def lines(part: object) -> str:
    """What a part says, with one kind of line end; the library ends every text with one."""
    assert isinstance(part, EmailMessage)
    content: str = part.get_content()
    return content.replace("\r\n", "\n").removesuffix("\n")


def assert_legal(raw: bytes, url: str) -> None:
    head, _, body = raw.partition(b"\r\n\r\n")
    assert f"\r\nList-Unsubscribe: <{url}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n".encode() in head
    assert b"\r" not in raw.replace(b"\r\n", b"") and b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert not raw.startswith(b".") and b"\r\n." not in raw
    assert b"\0" not in raw and raw.isascii()


def mould_of(frozen: Frozen) -> Mould:
    return Mould(ENVELOPE, frozen, newsletter_id=3, list_ids=(1, 4), kinds={"word": "text"})


def check(mould: Mould, frozen: Frozen, row: Row) -> None:
    url = links.unsubscribe_url(row.subscriber_id, 3, ENVELOPE.issue_id, (1, 4))
    values = {"name": row.name, "email": row.email, "word": str(row.merge["word"]), "unsubscribe_url": url}
    raw = mould.mail(row, row.email)
    try:
        assert_legal(raw, url)
        subject = clean(filled(frozen.subject, values, "subject"))
        name = clean(clean(row.name)[: message.MAX_NAME_CHARACTERS])
        assert_same(raw, wanted(frozen, row, values), subject=subject, name=name)
    except AssertionError as error:
        raise AssertionError(f"{row.name!r}, {row.merge['word']!r}\n{raw.decode('utf-8', 'replace')}") from error


@pytest.fixture(autouse=True)
def public_url(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://news.example.org"


@pytest.mark.parametrize("title", LETTERS)
def test_what_hostile_readers_get_is_what_an_email_message_of_the_same_values_says(title: str) -> None:
    chance = random.Random(title)
    frozen = LETTERS[title]
    mould = mould_of(frozen)
    for number in range(1, READERS // len(LETTERS) + 2):
        name, word = ("".join(chance.choices(PIECES, k=chance.choice((0, 1, 1, 2, 3)))) for _ in range(2))
        name = re.sub("[\ud800-\udfff\0]", "", name)  # no database keeps these in a column of text
        check(mould, frozen, Row(number, number, f"reader{number}@example.org", "", name, {"word": word}, 0))


@pytest.mark.parametrize("title", LETTERS)
def test_each_hostile_piece_alone(title: str) -> None:
    frozen = LETTERS[title]
    mould = mould_of(frozen)
    for number, piece in enumerate(PIECES, 1):
        name = re.sub("[\ud800-\udfff\0]", "", piece)
        check(mould, frozen, Row(number, number, f"reader{number}@example.org", "", name, {"word": piece}, 0))


def test_two_readers_mails_share_nothing_of_their_own() -> None:
    """The mould keeps nothing of the reader before."""
    frozen = LETTERS["in links"]
    mould = mould_of(frozen)
    ada, zoe = (
        Row(n, n, f"{name}@example.org", "", name, {"word": name}, 0) for n, name in enumerate(("ada", "zoe"), 1)
    )
    first = mould.mail(ada, ada.email)
    second = mould.mail(zoe, zoe.email)
    assert b"zoe" not in first and b"ada" not in second
    assert mould_of(frozen).mail(zoe, zoe.email).partition(b"Date:")[0] == second.partition(b"Date:")[0]
