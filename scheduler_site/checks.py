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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
