"""E-mail addresses: the one spelling we compare, and the keyed hash that outlives an erased address."""

from __future__ import annotations

import re

import idna
from django.conf import settings

from newsletters import keyed

_LOCAL = re.compile(r"[^\s@\"(),:;<>\[\]\\\x00-\x1f\x7f]+")
_ASCII_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")


class BadAddress(ValueError):
    """The text is no e-mail address that we can write to; the message says so in words."""


def normalise(email: str) -> str:
    """Lower case, without spaces around it, the domain in its ASCII form (RFC 5890).

    Raises:
        BadAddress: the text is no address. Quoted local parts and domain literals are not accepted.
    """
    cleaned = email.strip()
    local, at, domain = cleaned.rpartition("@")
    refusal = f"“{cleaned[:100]}” is not an e-mail address. Write one such as anna@example.org."
    if not at or len(cleaned) > 254 or not _LOCAL.fullmatch(local) or len(local.encode()) > 64:
        raise BadAddress(refusal)
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise BadAddress(refusal)
    domain = domain.lower().rstrip(".")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise BadAddress(refusal) from error
    if not _ASCII_DOMAIN.fullmatch(domain):
        raise BadAddress(refusal)
    return f"{local.lower()}@{domain}"


def address_hash(email_norm: str) -> str:
    """The keyed hash to store for an address (hex SHA-256 HMAC under the current key)."""
    return _keyed(str(settings.SECRET_KEY), email_norm)


def address_hashes(email_norm: str) -> list[str]:
    """The hashes under the current and every former key: a changed key must not revive an opt-out."""
    return [_keyed(str(key), email_norm) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _keyed(key: str, email_norm: str) -> str:
    return keyed.digest(b"newsletters.suppression:", key, email_norm).hex()
