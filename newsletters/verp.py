"""The mark by which a bounce names its delivery: ``b+<delivery>-<signature>@`` our bounce domain (VERP).

The same mark stands in the Message-ID, for reports that come back by another way. Former keys (SECRET_KEY_FALLBACKS)
still open old marks; a mark that we did not make opens nothing.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator

from django.conf import settings

from newsletters import keyed

_PREFIX = "b+"
_MARK = r"([0-9a-z]{1,13})-([a-z2-7]{8})"
# Between what other programs put around an address: brackets, "rfc822;", a colon of a log line.
_ADDRESS = re.compile(rf"(?<![^\s<>\"'(;:,]){re.escape(_PREFIX)}{_MARK}@([a-z0-9.-]+)", re.IGNORECASE)
_MESSAGE_ID = re.compile(rf"<{_MARK}\.[0-9a-f]{{20}}@[^<>\s]+>", re.IGNORECASE)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def mark(delivery_id: int) -> str:
    """The delivery's number in base 36 and eight letters that only we can make; small letters survive every server."""
    return f"{_base36(delivery_id)}-{_signature(str(settings.SECRET_KEY), delivery_id)}"


def address(delivery_id: int) -> str:
    """The SMTP sender of one mail, or nothing where no domain for bounces is set."""
    return f"{_PREFIX}{mark(delivery_id)}@{settings.BOUNCE_DOMAIN}" if settings.BOUNCE_DOMAIN else ""


def deliveries_in(text: str) -> Iterator[int]:
    """The deliveries that the genuine bounce addresses in the text stand for."""
    for match in _ADDRESS.finditer(text):
        if match[3].lower().rstrip(".") == settings.BOUNCE_DOMAIN:
            yield from _opened(match[1], match[2])


def deliveries_of_message_ids(text: str) -> Iterator[int]:
    """The deliveries that the genuine Message-IDs in the text stand for."""
    for match in _MESSAGE_ID.finditer(text):
        yield from _opened(match[1], match[2])


def looks_like_ours(text: str) -> bool:
    """Whether the text names a bounce address or a Message-ID in our form, genuine or not."""
    return bool(_ADDRESS.search(text) or _MESSAGE_ID.search(text))


def _opened(number: str, signature: str) -> Iterator[int]:
    delivery_id = int(number, 36)
    given = signature.lower().encode()
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if any(hmac.compare_digest(given, _signature(str(key), delivery_id).encode()) for key in keys):
        yield delivery_id


def _signature(key: str, delivery_id: int) -> str:
    digest = keyed.digest(b"newsletters.verp:", key, str(delivery_id))
    return base64.b32encode(digest[:5]).decode().lower()


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"
