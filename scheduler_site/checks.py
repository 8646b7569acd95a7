"""What ``manage.py check --deploy`` says about this installation, besides Django's own checks."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.security, deploy=True)
def public_address(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warns of passwords that would travel in the clear."""
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    if settings.HTTPS or _is_loopback(host):
        return []
    hint = "Put a proxy with a certificate in front of it and set PUBLIC_URL to its https:// address."
    return [
        Warning(f"PUBLIC_URL is {settings.PUBLIC_URL}: passwords travel unprotected.", hint=hint, id="almanac.W001")
    ]


@register(Tags.security, deploy=True)
def returned_mail(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warns of bounces that nobody would read, and of a provider's password that would travel in the clear."""
    found: list[CheckMessage] = []
    if settings.BOUNCE_MAILBOX_URL and not settings.BOUNCE_DOMAIN:
        hint = "Set BOUNCE_DOMAIN to a domain whose mail goes to that mailbox; until then most bounces name no reader."
        found.append(Warning("BOUNCE_MAILBOX_URL is set and BOUNCE_DOMAIN is not.", hint=hint, id="almanac.W002"))
    if settings.MAIL_PROVIDER and not settings.HTTPS:
        hint = "Set PUBLIC_URL to the https:// address that the provider posts to."
        found.append(Warning("The mail provider's webhook would come unprotected.", hint=hint, id="almanac.W003"))
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
