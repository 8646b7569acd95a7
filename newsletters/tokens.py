"""Signed tokens in the links of mails: HMAC over purpose and ids, compared in constant time.

Former keys (SECRET_KEY_FALLBACKS) still open old links; a changed character or another purpose does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core import signing

CONFIRMATION_SECONDS = 14 * 86_400
"""How long a confirmation link works."""


class BadToken(ValueError):
    """The token is not one of ours, or too old."""


@dataclass(frozen=True)
class Unsubscribe:
    """Who leaves which newsletter, and the issue whose link was used (0 when none)."""

    subscriber_id: int
    newsletter_id: int
    issue_id: int = 0


@dataclass(frozen=True)
class Confirmation:
    """Who confirms which list."""

    subscriber_id: int
    list_ids: tuple[int, ...]


_UNSUBSCRIBE = "newsletters.unsubscribe"
_CONFIRMATION = "newsletters.confirmation"


def unsubscribe_token(claim: Unsubscribe) -> str:
    """The token of an unsubscribe link; it never expires, as the law asks of such links."""
    return signing.Signer(salt=_UNSUBSCRIBE, sep=".").sign(
        f"{claim.subscriber_id}.{claim.newsletter_id}.{claim.issue_id}"
    )


def read_unsubscribe(token: str) -> Unsubscribe:
    """What the token says. Raises BadToken."""
    try:
        subscriber, newsletter, issue = signing.Signer(salt=_UNSUBSCRIBE, sep=".").unsign(token).split(".")
        return Unsubscribe(int(subscriber), int(newsletter), int(issue))
    except (signing.BadSignature, ValueError) as error:
        raise BadToken from error


def confirmation_token(claim: Confirmation) -> str:
    """The token of a confirmation link; it works for :data:`CONFIRMATION_SECONDS`."""
    lists = "-".join(str(list_id) for list_id in claim.list_ids)
    return signing.TimestampSigner(salt=_CONFIRMATION, sep=".").sign(f"{claim.subscriber_id}.{lists}")


def read_confirmation(token: str) -> Confirmation:
    """What the token says. Raises BadToken."""
    signer = signing.TimestampSigner(salt=_CONFIRMATION, sep=".")
    try:
        subscriber, lists = signer.unsign(token, max_age=CONFIRMATION_SECONDS).split(".")
        return Confirmation(int(subscriber), tuple(int(list_id) for list_id in lists.split("-")))
    except (signing.BadSignature, ValueError) as error:
        raise BadToken from error
