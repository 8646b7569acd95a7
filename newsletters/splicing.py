"""The mails of one issue: encoded once, and for each reader only joined with what is their own.

What is the same for everybody goes through quoted-printable a single time. A reader's value stands between two soft
line breaks (RFC 2045 6.7), so that no line gets longer than is allowed wherever it lands.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from email.utils import formatdate

from newsletters import dkim_signing, links, mergetags, message, reader_words
from newsletters.content import Frozen
from newsletters.deliveries import Row
from newsletters.mergetags import Place, Slot
from newsletters.message import Envelope, Own

_SOFT_BREAK = b"=\r\n"
_LONGEST_PLAIN = 70
_LONGEST_LINE = 76
_HEAD = ("to", "subject", "date", "message_id", "unsubscribe_url")
_MARKS = {name: f"\x00{name}\x00" for name in (*_HEAD, "text", "html")}
"""No header and no encoded part can hold these."""


class Mould:
    """One issue's mail, ready for each reader's values."""

    def __init__(
        self, envelope: Envelope, frozen: Frozen, *, newsletter_id: int, list_ids: tuple[int, ...],
        kinds: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._envelope = envelope
        self._newsletter_id = newsletter_id
        self._list_ids = list_ids
        self._kinds = kinds
        self._subject = mergetags.Template(frozen.subject, Place.LINE)
        self._has_same_subject = not any(isinstance(part, Slot) for part in self._subject.parts)
        parts = {
            "text": mergetags.Template(frozen.text, Place.TEXT), "html": mergetags.Template(frozen.html, Place.HTML)
        }  # fmt: skip
        self._used = {
            part.tag.name for one in (self._subject, *parts.values()) for part in one.parts if isinstance(part, Slot)
        }
        self._has_attributes = bool(self._used - set(mergetags.KNOWN))
        self._slots: dict[Slot, int] = {}
        pieces = self._compiled({name: self._encoded(part) for name, part in parts.items()})
        self._pieces = [piece if isinstance(piece, bytes) else b"" for piece in pieces]
        self._places = [(index, piece) for index, piece in enumerate(pieces) if not isinstance(piece, bytes)]
        self._date = ("", 0)

    def _compiled(self, parts: dict[str, list[bytes | int]]) -> list[bytes | int]:
        """The whole mail: what is the same for everybody, and the places of what :meth:`mail` makes."""
        subject = (
            message.unstructured(self._subject.render({}), "Subject") if self._has_same_subject else _MARKS["subject"]
        )
        own = Own(_MARKS["to"], subject, _MARKS["date"], _MARKS["message_id"], _MARKS["unsubscribe_url"])
        whole = message.compose(self._envelope, own, _MARKS["text"].encode(), _MARKS["html"].encode())
        pieces: list[bytes | int] = []
        for index, piece in enumerate(whole.split(b"\x00")):
            name = piece.decode() if index % 2 else ""
            if not name:
                pieces.append(piece)
            elif name in parts:
                pieces += parts[name]
            else:
                pieces.append(len(self._slots) + _HEAD.index(name))
        return _joined(pieces)

    def _encoded(self, template: mergetags.Template) -> list[bytes | int]:
        """The literal text in quoted-printable, a soft break wherever a value begins or ends; the places of values."""
        pieces: list[bytes | int] = []
        for part in template.parts:
            if isinstance(part, Slot):
                pieces += [_SOFT_BREAK, self._slots.setdefault(part, len(self._slots)), _SOFT_BREAK]
            elif part:
                pieces.append(_quoted(part))
        return pieces

    def mail(self, row: Row, recipient: str) -> bytes:
        """The reader's mail, signed where this installation signs (DKIM)."""
        url = links.unsubscribe_url(row.subscriber_id, self._newsletter_id, self._envelope.issue_id, self._list_ids)
        values = self._values(row, url)
        # Each once, however often it stands in the text.
        made = [_own(slot.value(values), slot.place) for slot in self._slots]
        subject = "" if self._has_same_subject else message.unstructured(self._subject.render(values), "Subject")
        # In the order of _HEAD.
        made += [
            message.address(row.name, recipient, "To").encode(), subject.encode(), self._now(),
            message.message_id(self._envelope, row.id).encode(), url.encode(),
        ]  # fmt: skip
        pieces = self._pieces.copy()
        for index, number in self._places:
            pieces[index] = made[number]
        return dkim_signing.sign(b"".join(pieces))

    def _values(self, row: Row, unsubscribe_url: str) -> dict[str, str]:
        urls = {"unsubscribe_url": unsubscribe_url}
        if "view_url" in self._used:
            urls["view_url"] = links.view_url(self._envelope.issue_id, row.id)
        if "preferences_url" in self._used:
            urls["preferences_url"] = links.preferences_url(row.subscriber_id, row.email_norm)
        attributes = row.merge if self._has_attributes else {}
        return reader_words.merge_values(row.name, row.email, attributes, urls, self._kinds)

    def _now(self) -> bytes:
        """The time as RFC 5322 writes it; the same for all mails of one second."""
        second = int(time.time())
        if self._date[1] != second:
            self._date = (formatdate(second), second)
        return self._date[0].encode()


@functools.lru_cache(maxsize=1024)
def _own(value: str, place: Place) -> bytes:
    """One reader's name stands in a mail in several ways, and fallbacks are the same for all readers."""
    value = mergetags.escape(value, place)
    if value.isascii() and value.isprintable() and "=" not in value:  # quoted-printable leaves it as it is
        lines = [value[start : start + _LONGEST_PLAIN] for start in range(0, len(value), _LONGEST_PLAIN)]
        if not any(line.startswith(".") for line in lines):
            return _SOFT_BREAK.join([line.encode() for line in lines])
    return _quoted(value)


def _quoted(text: str) -> bytes:
    """In quoted-printable, with room in its last line for the soft break that may follow."""
    encoded = message.quoted_printable(text)
    if len(encoded) - (encoded.rfind(b"\n") + 1) < _LONGEST_LINE:
        return encoded
    return encoded[:-1] + _SOFT_BREAK + (b"=2E" if encoded.endswith(b".") else encoded[-1:])


def _joined(pieces: list[bytes | int]) -> list[bytes | int]:
    """Neighbours that are the same for everybody, as one."""
    joined: list[bytes | int] = []
    for piece in pieces:
        if joined and isinstance(piece, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined
