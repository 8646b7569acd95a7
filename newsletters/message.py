"""The bytes of one mail: every header on the wire exactly as written here, both parts in quoted-printable.

The standard library's EmailMessage is not used: it turns a long List-Unsubscribe into an encoded word, which
mail programs cannot follow, and costs a hundred times more.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email import encoders, policy
from email.header import Header
from email.mime.base import MIMEBase
from email.utils import format_datetime
from pathlib import PurePath

import idna

from newsletters import dkim_signing, verp
from newsletters.plain_lines import one_line

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_TYPE = re.compile(r"(?:application|audio|font|image|text|video)/[a-z0-9.+-]+")
_ENCODED_DOT = b"=2E=\n"
"""With a soft break, so that the line does not get too long by it."""
MAX_NAME_CHARACTERS = 300


@dataclass(frozen=True)
class Sender:
    """Whom a newsletter comes from."""

    name: str
    email: str
    reply_to: str = ""

    @property
    def domain(self) -> str:
        return _wire(self.email).rpartition("@")[2]


@dataclass(frozen=True)
class Envelope:
    """What is the same in every mail of one issue."""

    sender: Sender
    list_name: str
    list_slug: str
    key: str
    """Stable text from which, with the delivery's number, the Message-ID is made."""
    attachment: bytes = b""
    """A further part of each mail, made once by :func:`attachment`; empty for none."""
    issue_id: int = 0
    """The issue whose deliveries the mails are; 0 for a welcome, a test or a preview, which no bounce may name."""
    help_url: str = ""
    archive_url: str = ""

    @property
    def feedback_id(self) -> str:
        """Issue, newsletter, kind and sender: what Gmail counts complaints by."""
        sender = re.sub(r"[^a-z0-9]", "", self.sender.domain.lower())[:15].ljust(5, "0")
        return f"{self.issue_id}:{self.list_slug[:60]}:newsletter:{sender}"


def message_id(envelope: Envelope, delivery_id: int) -> str:
    """The same delivery always has the same Message-ID, so that a mail log can settle an uncertain one.

    It carries the delivery's mark: a report that only quotes the mail still names its delivery. A welcome or a test
    has no delivery, and its number stands for something else.
    """
    digest = hashlib.sha256(f"{envelope.key}:{delivery_id}".encode()).hexdigest()[:20]
    mark = verp.mark(delivery_id) if envelope.issue_id else str(delivery_id)
    return f"<{mark}.{digest}@{envelope.sender.domain}>"


@dataclass(frozen=True)
class Own:
    """What in the head of a mail is one reader's own, as it is written on the wire."""

    to: str
    subject: str
    date: str
    message_id: str
    unsubscribe_url: str


def build(
    envelope: Envelope,
    *,
    delivery_id: int,
    to_name: str,
    to_email: str,
    subject: str,
    html: str,
    text: str,
    unsubscribe_url: str,
    date: datetime,
) -> bytes:
    """The whole mail with CRLF line ends, not yet dot-stuffed; signed where this installation signs (DKIM)."""
    own = Own(
        address(to_name, to_email, "To"), unstructured(subject, "Subject"), format_datetime(date),
        message_id(envelope, delivery_id), unsubscribe_url,
    )  # fmt: skip
    return dkim_signing.sign(compose(envelope, own, quoted_printable(text), quoted_printable(html)))


def compose(envelope: Envelope, own: Own, text: bytes, html: bytes) -> bytes:
    """The mail of its parts, which are encoded already.

    List-Unsubscribe and List-Unsubscribe-Post are one line each (RFC 2369, RFC 8058), List-Id as in RFC 2919.
    """
    sender = envelope.sender
    lines = [
        f"From: {address(sender.name, sender.email, 'From')}",
        f"To: {own.to}",
        *([f"Reply-To: {address('', sender.reply_to, 'Reply-To')}"] if sender.reply_to else []),
        f"Subject: {own.subject}",
        f"Date: {own.date}",
        f"Message-ID: {own.message_id}",
        *_list_headers(envelope, own.unsubscribe_url),
        "Precedence: bulk",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: OOF, AutoReply",
        f"Feedback-ID: {envelope.feedback_id}",
        "MIME-Version: 1.0",
    ]
    # "=_" cannot stand in quoted-printable, nor in base64.
    boundary = f"=_{hashlib.sha256(envelope.key.encode()).hexdigest()[:20]}"
    content = _several("alternative", boundary, [_part("plain", text), _part("html", html)])
    if envelope.attachment:
        content = _several("mixed", f"{boundary}m", [content, [envelope.attachment]])
    return b"\r\n".join([*(line.encode("utf-8") for line in lines), *content, b""])


def _list_headers(envelope: Envelope, unsubscribe_url: str) -> list[str]:
    name = phrase(envelope.list_name, "List-Id")
    lines = [
        f"List-Id: {name} <{envelope.list_slug}.{envelope.sender.domain}>".replace(":  <", ": <"),
        f"List-Unsubscribe: <{unsubscribe_url}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    ]
    optional = (("List-Help", envelope.help_url), ("List-Archive", envelope.archive_url))
    return lines + [f"{header}: <{url}>" for header, url in optional if url]


def _several(subtype: str, boundary: str, parts: list[list[bytes]]) -> list[bytes]:
    mark = f"--{boundary}".encode()
    lines = [f'Content-Type: multipart/{subtype}; boundary="{boundary}"'.encode(), b""]
    for part in parts:
        lines += [mark, *part]
    return [*lines, mark + b"--"]


def attachment(name: str, content_type: str, content: bytes) -> bytes:
    """A file as a part of a mail, its name in both the plain and the RFC 2231 spelling where it is not ASCII."""
    part = MIMEBase(*(content_type if _TYPE.fullmatch(content_type) else "application/octet-stream").split("/"))
    part.set_payload(content)
    encoders.encode_base64(part)
    part.add_header("Content-Disposition", "attachment", filename=_filename(name))
    del part["MIME-Version"]
    return part.as_bytes(policy=policy.compat32.clone(linesep="\r\n")).rstrip(b"\r\n")


def _filename(name: str) -> str:
    """The file's name without anything that is a path; encoded, it must still fit into one line."""
    name = one_line(name).replace("\\", "/").rpartition("/")[2] or "attachment"
    return name if len(name) <= 70 else f"{name[:60]}{PurePath(name).suffix[:10]}"


def _part(subtype: str, encoded: bytes) -> list[bytes]:
    return [
        f"Content-Type: text/{subtype}; charset=utf-8".encode(),
        b"Content-Transfer-Encoding: quoted-printable",
        b"",
        encoded,
    ]


def quoted_printable(content: str) -> bytes:
    """RFC 2045 6.7, with lines of at most 76 bytes and CRLF ends, none of which begins with a dot (RFC 5321 4.5.2)."""
    data = _LINE_BREAK.sub("\n", content).encode("utf-8", "replace")
    encoded = binascii.b2a_qp(data, quotetabs=False, istext=True).replace(b"\r\n", b"\n")
    if encoded.startswith(b"."):
        encoded = _ENCODED_DOT + encoded[1:]
    while b"\n." in encoded:
        encoded = encoded.replace(b"\n.", b"\n" + _ENCODED_DOT)
    return encoded.replace(b"\n", b"\r\n")


def phrase(name: str, header: str) -> str:
    """A display name (RFC 5322 phrase): atoms, a quoted string, or encoded words (RFC 2047)."""
    name = one_line(name)[:MAX_NAME_CHARACTERS]
    if not name or (_ATOMS.fullmatch(name) and len(name) <= 60 and "=?" not in name):
        return name
    if name.isascii() and len(name) <= 60 and "=?" not in name:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return _encoded_words(name, header)


def address(name: str, email: str, header: str) -> str:
    """``name <email>`` as a header value; folded where long."""
    shown, email = phrase(name, header), _wire(email)
    return f"{shown} <{email}>" if shown else email


def unstructured(value: str, header: str) -> str:
    """A text header such as Subject; folded at 76 characters, encoded where it is not ASCII."""
    value = one_line(value)
    if value.isascii() and len(value) + len(header) + 2 <= 76 and "=?" not in value:
        return value
    return _encoded_words(value, header)


def _encoded_words(value: str, header: str) -> str:
    return Header(value, "utf-8", maxlinelen=76, header_name=header).encode(linesep="\r\n")


def _wire(email: str) -> str:
    """The address with its domain in ASCII (RFC 5890), as servers look it up."""
    email = one_line(email)
    local, _, domain = email.rpartition("@")
    if domain.isascii():
        return email
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return email
