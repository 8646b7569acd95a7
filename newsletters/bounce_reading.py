"""Reads one mail that came back, of which nothing can be trusted: which delivery it is about and what it says. Pure.

Understood are delivery reports (RFC 3464), complaints (RFC 5965) and, by flufl.bounce, what keeps to no standard.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

import flufl.bounce

from newsletters import addresses, verp
from newsletters.bounce_classes import Kind, classify

MAX_BYTES = 2 * 1024 * 1024
"""More is not read: a report stands before the mail that it returns."""
_RECIPIENT_HEADERS = (
    "X-Original-To", "Delivered-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To", "X-Failed-Recipients", "To", "Cc",
)  # fmt: skip
_REPLY_SUBJECT = re.compile(
    r"^\W*(?:auto(?:matic|matische)?[ :-]?(?:reply|response|antwort)|out of (?:the )?office|abwesen|absence|absent"
    r"|réponse automatique|risposta automatica|respuesta autom)",
    re.IGNORECASE,
)
_MILDEST = (Kind.NOTHING, Kind.POLICY, Kind.SOFT, Kind.HARD, Kind.COMPLAINT)
# It writes a line for each of its seventeen detectors, and a traceback where one stumbles over a broken mail.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Failure:
    """What the report says about one recipient."""

    kind: Kind
    status: str = ""
    text: str = ""
    recipients: frozenset[str] = frozenset()
    """The recipient as it was given to the other server, and as that one calls it."""


@dataclass(frozen=True)
class Report:
    """What one mail says."""

    delivery_id: int | None
    """None where it names no delivery of ours, or more than one."""
    failures: tuple[Failure, ...] = ()
    why: str = ""
    """Why it says nothing, in words."""
    is_forged: bool = False
    """It names a delivery by a mark that we did not make."""

    def about(self, email_norm: str) -> Failure:
        """What it says about our reader; where an alias leads to several people, the mildest of what became of them."""
        theirs = [failure for failure in self.failures if email_norm in failure.recipients] or self.failures
        return min(theirs, key=lambda failure: _MILDEST.index(failure.kind), default=Failure(Kind.NOTHING))


def read(raw: bytes, envelope_to: str = "") -> Report:
    """Reads a mail as a mailbox or a mail server hands it over; ``envelope_to`` is whom it was addressed to, where known."""
    raw = raw[:MAX_BYTES]
    mail = message_from_bytes(raw)
    delivery_id, is_forged = _delivery(mail, raw, envelope_to)
    failures, why = _failures(mail)
    return Report(delivery_id, failures, why, is_forged)


def _delivery(mail: Message, raw: bytes, envelope_to: str) -> tuple[int | None, bool]:
    """The envelope decides before the headers, and these before what is quoted."""
    headers = "\n".join(str(value) for name in _RECIPIENT_HEADERS for value in mail.get_all(name, []))
    everything = "\n".join([raw.decode("latin-1"), *_encoded_texts(mail)])
    for find, place in (
        (verp.deliveries_in, envelope_to),
        (verp.deliveries_in, headers),
        (verp.deliveries_in, everything),
        (verp.deliveries_of_message_ids, everything),
    ):
        found = set(find(place))
        if found:
            return (found.pop() if len(found) == 1 else None), False
    return None, verp.looks_like_ours(f"{envelope_to}\n{everything}")


def _encoded_texts(mail: Message) -> Iterator[str]:
    for part in mail.walk():
        if str(part.get("Content-Transfer-Encoding", "")).strip().lower() in ("base64", "quoted-printable"):
            yield _text_of(part)


def _failures(mail: Message) -> tuple[tuple[Failure, ...], str]:
    kinds = {part.get_content_type(): part for part in mail.walk()}
    if "message/feedback-report" in kinds:
        return _complaint(kinds["message/feedback-report"])
    if "message/disposition-notification" in kinds:
        return (), "A note that the mail was read, or deleted unread."
    if "message/delivery-status" in kinds:
        found = tuple(_delivery_status(kinds["message/delivery-status"]))
        if found:
            is_failure = any(failure.kind is not Kind.NOTHING for failure in found)
            return found, "" if is_failure else "A report of a delay or of a success."
    if _is_automatic_reply(mail):
        return (), "An automatic reply."
    return _odd_one(mail)


def _complaint(part: Message) -> tuple[tuple[Failure, ...], str]:
    fields = _fields(part)
    kind = fields.get("feedback-type", "").lower()
    if kind in ("not-spam", "auth-failure", "dmarc", "delivery-report", ""):
        return (), f"A report that is no complaint ({kind or 'of no type'})."
    recipients = _addresses(fields.get("original-rcpt-to", ""))
    return (Failure(Kind.COMPLAINT, text=f"{kind} {fields.get('user-agent', '')}".strip(), recipients=recipients),), ""


def _delivery_status(part: Message) -> Iterator[Failure]:
    for fields in _blocks(part):
        recipients = _addresses(fields.get("original-recipient", "")) | _addresses(fields.get("final-recipient", ""))
        action, status = fields.get("action", "").lower(), fields.get("status", "").split(" ")[0]
        if not recipients and not action:
            continue  # the fields about the whole message
        text = " ".join(re.sub(r"^\s*smtp;\s*", "", fields.get("diagnostic-code", ""), flags=re.IGNORECASE).split())
        has_failed = action == "failed" or (not action and status.startswith("5."))
        kind, code = classify(status, text) if has_failed else (Kind.NOTHING, status)
        yield Failure(kind, code, text, recipients)


def _blocks(part: Message) -> Iterator[dict[str, str]]:
    """The groups of fields; some servers encode them, and then the library leaves them as one text."""
    payload = part.get_payload()
    blocks = payload if isinstance(payload, list) else []
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding in ("base64", "quoted-printable"):
        joined = "\n\n".join(str(block) for block in blocks) if blocks else str(payload)
        inner = message_from_bytes(f"Content-Transfer-Encoding: {encoding}\n\n{joined.strip()}\n".encode())
        text = _text_of(inner).replace("\r\n", "\n")
        blocks = [message_from_bytes(block.encode()) for block in re.split(r"\n{2,}", text)]
    for block in blocks:
        if isinstance(block, Message):
            yield {name.lower(): _plain(value) for name, value in block.items()}


def _fields(part: Message) -> dict[str, str]:
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else message_from_bytes(_text_of(part).encode())
    return {name.lower(): _plain(value) for name, value in inner.items()} if isinstance(inner, Message) else {}


def _is_automatic_reply(mail: Message) -> bool:
    if any(mail.get(name) for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Reply")):
        return True
    if str(mail.get("Precedence", "")).strip().lower() in ("auto_reply", "auto-reply"):
        return True
    is_from_a_server = re.search(r"mailer-daemon|postmaster", str(mail.get("From", "")), re.IGNORECASE)
    says_so = str(mail.get("Auto-Submitted", "")).lower().startswith("auto-replied") and not is_from_a_server
    return says_so or bool(_REPLY_SUBJECT.search(_plain(mail.get("Subject", ""))))


def _odd_one(mail: Message) -> tuple[tuple[Failure, ...], str]:
    try:
        _, permanent = flufl.bounce.all_failures(mail)
    except Exception:  # any: its detectors expect whole mails, and this one may be cut or made up
        return (), "It cannot be read."
    text = "\n".join(_text_of(part) for part in mail.walk() if part.get_content_maintype() == "text")[:20_000]
    found = []
    for address in sorted(permanent):
        shown = address.decode("utf-8", "replace") if isinstance(address, bytes) else str(address)
        at = text.lower().find(shown.lower())
        said = " ".join(text[at + len(shown) : at + len(shown) + 400].split("\n---")[0].split()) if at >= 0 else ""
        found.append(Failure(*classify("", said), said, _addresses(shown)))
    return tuple(found), "" if found else "No report of a failure."


def _addresses(field: str) -> frozenset[str]:
    """ "rfc822; <Anna@Example.org>" as the one spelling that we compare."""
    try:
        return frozenset({addresses.normalise(field.rpartition(";")[2].strip().strip("<>"))})
    except addresses.BadAddress:
        return frozenset()


def _text_of(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):  # a character set that nobody knows
        return payload.decode("latin-1")


def _plain(value: object) -> str:
    try:
        return str(make_header(decode_header(str(value)))).strip()
    except (HeaderParseError, LookupError, ValueError):
        return str(value).strip()
