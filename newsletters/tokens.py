"""Signed tokens in the links of mails: HMAC over purpose and ids, compared in constant time.

Former keys (SECRET_KEY_FALLBACKS) still open old links; a changed character or another purpose does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing

from newsletters import addresses, keyed
from newsletters.models import Subscriber

CONFIRMATION_SECONDS = 14 * 86_400
"""How long a confirmation link works."""
REQUEST_SECONDS = 2 * 86_400
"""How long the links work that a reader asked for: the copy of their data, to be erased, another address."""
_MARK_LENGTH = 12


NOBODY = 0
"""The subscriber in the links of a test mail: nobody leaves anything by them."""


class BadToken(ValueError):
    """The token is not one of ours, or too old."""


@dataclass(frozen=True)
class Unsubscribe:
    """Who leaves which newsletter, and the issue whose link was used (0 when none)."""

    subscriber_id: int
    newsletter_id: int
    issue_id: int = 0
    list_ids: tuple[int, ...] = ()
    """The lists that the mail went to: what the link leaves even when the newsletter is gone or goes elsewhere."""


@dataclass(frozen=True)
class Confirmation:
    """Who confirms which list."""

    subscriber_id: int
    list_ids: tuple[int, ...]


@dataclass(frozen=True)
class Reader:
    """A reader, under the address that the link was mailed to."""

    subscriber_id: int
    mark: str
    """The beginning of the address's keyed hash: a link to a former address opens nothing any more."""


@dataclass(frozen=True)
class NewAddress:
    """Who wants to get their mail at another address."""

    reader: Reader
    email: str


@dataclass(frozen=True)
class View:
    """One issue as one recipient got it; ``delivery_id`` 0 for the issue without anybody's values."""

    issue_id: int
    delivery_id: int = 0


_UNSUBSCRIBE = "newsletters.unsubscribe"
_CONFIRMATION = "newsletters.confirmation"
_PREFERENCES = "newsletters.preferences"
_NEW_ADDRESS = "newsletters.new_address"
_VIEW = "newsletters.view"
_CLICK = "newsletters.click"
DATA, ERASE = "newsletters.data", "newsletters.erase"
"""What a link that a reader asked for is good for."""


def _sign(purpose: str, *values: object) -> str:
    """What Django's Signer reads again; it would derive its key anew for each of a million mails."""
    value = ".".join(str(value) for value in values)
    digest = keyed.digest(f"{purpose}signer".encode(), str(settings.SECRET_KEY), value)
    return f"{value}.{signing.b64_encode(digest).decode()}"


def _read(purpose: str, token: str, counts: tuple[int, ...]) -> list[str]:
    try:
        parts = signing.Signer(salt=purpose, sep=".").unsign(token).split(".")
    except signing.BadSignature as error:
        raise BadToken from error
    if len(parts) not in counts:
        raise BadToken
    return parts


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BadToken
    return int(text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_number(part) for part in text.split("-"))


def _joined(numbers: tuple[int, ...]) -> str:
    return "-".join(str(number) for number in numbers)


def unsubscribe_token(claim: Unsubscribe) -> str:
    """The token of an unsubscribe link; it never expires, as the law asks of such links."""
    lists = (_joined(claim.list_ids),) if claim.list_ids else ()
    return _sign(_UNSUBSCRIBE, claim.subscriber_id, claim.newsletter_id, claim.issue_id, *lists)


def read_unsubscribe(token: str) -> Unsubscribe:
    """What the token says. Raises BadToken."""
    subscriber, newsletter, issue, *lists = _read(_UNSUBSCRIBE, token, (3, 4))
    return Unsubscribe(_number(subscriber), _number(newsletter), _number(issue), _numbers(lists[0]) if lists else ())


def confirmation_token(claim: Confirmation) -> str:
    """The token of a confirmation link; it works for :data:`CONFIRMATION_SECONDS`."""
    return signing.TimestampSigner(salt=_CONFIRMATION, sep=".").sign(f"{claim.subscriber_id}.{_joined(claim.list_ids)}")


def read_confirmation(token: str) -> Confirmation:
    """What the token says. Raises BadToken."""
    signer = signing.TimestampSigner(salt=_CONFIRMATION, sep=".")
    try:
        subscriber, lists = signer.unsign(token, max_age=CONFIRMATION_SECONDS).split(".")
    except (signing.BadSignature, ValueError) as error:
        raise BadToken from error
    return Confirmation(_number(subscriber), _numbers(lists))


def preferences_token(subscriber_id: int, email_norm: str) -> str:
    """The token of a reader's own page; it never expires, and stops working when the address changes."""
    return _sign(_PREFERENCES, subscriber_id, _mark(email_norm))


def read_preferences(token: str) -> Reader:
    """What the token says. Raises BadToken."""
    subscriber, mark = _read(_PREFERENCES, token, (2,))
    return Reader(_number(subscriber), mark)


def subscriber_of(reader: Reader) -> Subscriber:
    """The reader, as long as they still have the address that the link was mailed to.

    Raises:
        BadToken: erased, or under another address by now.
    """
    found = Subscriber.objects.filter(pk=reader.subscriber_id).first()
    if found is None or reader.mark not in {
        digest[:_MARK_LENGTH] for digest in addresses.address_hashes(found.email_norm)
    }:
        raise BadToken
    return found


def request_token(purpose: str, subscriber: Subscriber) -> str:
    """The token of a link that the reader asked for (:data:`DATA`, :data:`ERASE`)."""
    return signing.TimestampSigner(salt=purpose, sep=".").sign(f"{subscriber.pk}.{_mark(subscriber.email_norm)}")


def read_request(purpose: str, token: str) -> Reader:
    """What the token says. Raises BadToken, also when it is older than :data:`REQUEST_SECONDS`."""
    try:
        value = signing.TimestampSigner(salt=purpose, sep=".").unsign(token, max_age=timedelta(seconds=REQUEST_SECONDS))
        subscriber, mark = value.split(".")
    except (signing.BadSignature, ValueError) as error:
        raise BadToken from error
    return Reader(_number(subscriber), mark)


def new_address_token(subscriber: Subscriber, email: str) -> str:
    """The token of the link by which a reader shows that a new address is theirs."""
    return signing.dumps([subscriber.pk, _mark(subscriber.email_norm), email], salt=_NEW_ADDRESS).replace(":", ".")


def read_new_address(token: str) -> NewAddress:
    """What the token says. Raises BadToken, also when it is older than :data:`REQUEST_SECONDS`."""
    try:
        value: Any = signing.loads(token.replace(".", ":"), salt=_NEW_ADDRESS, max_age=REQUEST_SECONDS)
        subscriber_id, mark, email = value
        return NewAddress(Reader(int(subscriber_id), str(mark)), str(email))
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise BadToken from error


def view_token(claim: View) -> str:
    """The token of the link to an issue in the browser."""
    return _sign(_VIEW, claim.issue_id, claim.delivery_id)


def read_view(token: str) -> View:
    """What the token says. Raises BadToken."""
    issue, delivery = _read(_VIEW, token, (2,))
    return View(_number(issue), _number(delivery))


def click_token(issue_public_id: str, number: int) -> str:
    """The token of a counted link; the same for all readers, so that nobody is followed."""
    return _sign(_CLICK, issue_public_id.replace("-", ""), number)


def read_click(token: str) -> tuple[str, int]:
    """The issue's public id and the number of its link. Raises BadToken."""
    issue, number = _read(_CLICK, token, (2,))
    return issue, _number(number)


def _mark(email_norm: str) -> str:
    return addresses.address_hash(email_norm)[:_MARK_LENGTH]
