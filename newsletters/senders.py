"""Which sender's addresses are ours: other domains' mail servers refuse, or distrust, mail that we send in their name."""

from __future__ import annotations

import ipaddress
from email.utils import parseaddr

from django.conf import settings

from newsletters import addresses


def own_domains() -> list[str]:
    """The domains that we may send for: SENDER_DOMAINS, or that of DEFAULT_FROM_EMAIL.

    None where the installation has no name of its own yet, as on a machine to try it out: every address will do.
    """
    if settings.SENDER_DOMAINS:
        return [domain.lower().strip().removeprefix("@") for domain in settings.SENDER_DOMAINS]
    own = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2].lower()
    return [own] if "." in own and not _is_number(own) else []


def refusal(email: str) -> str:
    """Why we cannot send in the name of this address, in words; empty where we can."""
    domains = own_domains()
    try:
        domain = addresses.normalise(email).rpartition("@")[2]
    except addresses.BadAddress as error:
        return str(error)
    if not domains or any(domain == own or domain.endswith(f".{own}") for own in domains):
        return ""
    return (
        f"We cannot send for {domain}: mail programs would take the letter for a forgery. Write an address that ends in "
        f"{' or '.join(f'@{own}' for own in domains)}; answers can go anywhere."
    )


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
