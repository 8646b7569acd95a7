"""Where a request comes from, also behind proxies."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def of(request: HttpRequest) -> str | None:
    """The address of the reader's side.

    ``TRUSTED_PROXIES`` proxies in front of us each add one address at the end of X-Forwarded-For; what stands further
    to the left was written by the reader and is not believed.
    """
    chain = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if settings.TRUSTED_PROXIES else []
    chain.append(request.META.get("REMOTE_ADDR", ""))
    hops = [hop.strip() for hop in chain if hop.strip()]
    if not hops:
        return None
    found = hops[max(0, len(hops) - 1 - settings.TRUSTED_PROXIES)]
    try:
        return str(ipaddress.ip_address(found))
    except ValueError:
        return None
