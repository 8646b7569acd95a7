"""Slows floods of the readers' forms down: limits per network, per address written to, and for everybody together.

What is kept is a form's name, where it came from and when; the first post after a day removes it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from django.conf import settings
from django.core import signing
from django.db import transaction

from newsletters.models import FormPost
from runs import clock

KEPT = timedelta(days=1)
LEAST_SECONDS = 2.0
"""People need longer than this to fill a form in; programs do not."""
MOST_SECONDS = 86_400
"""How long a form can stay open before it has to be sent a second time."""
LEAST_ANSWER_SECONDS = 0.25
"""Every answer to an address takes this long, so that its time tells nothing about the address."""

_FORM = "newsletters.form"


@dataclass(frozen=True)
class Limit:
    """At most so many posts within a time."""

    posts: int
    within: timedelta


PER_NETWORK = (Limit(30, timedelta(minutes=10)), Limit(150, timedelta(days=1)))
"""From one address (IPv6: one /64, which is what one household or server gets). An office shares one."""
OVERALL = Limit(3000, timedelta(hours=1))
"""From everybody together, for each form."""


class TooMany(Exception):
    """The form was sent too often; the message says when to try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"That was too often for now. Please try again in {_in_words(seconds)}.")
        self.seconds = seconds


class Freshness(Enum):
    """What the hidden token of a form says."""

    GOOD = "good"
    FAST = "fast"
    """Sent quicker than people can."""
    STALE = "stale"
    """Open for too long."""
    FOREIGN = "foreign"
    """Missing, or not ours: not sent from our page."""


def form_token(form: str) -> str:
    """What a form carries hidden: that it is ours, and when it was shown. It needs no cookie."""
    return signing.TimestampSigner(salt=_FORM, sep=".").sign(form)


def freshness(form: str, token: str) -> Freshness:
    """What the token of a form that was sent says about it."""
    signer = signing.TimestampSigner(salt=_FORM, sep=".")
    try:
        if signer.unsign(token) != form:
            return Freshness.FOREIGN
        signer.unsign(token, max_age=MOST_SECONDS)
    except signing.SignatureExpired:
        return Freshness.STALE
    except signing.BadSignature:
        return Freshness.FOREIGN
    try:
        signer.unsign(token, max_age=timedelta(seconds=LEAST_SECONDS))
    except signing.SignatureExpired:
        return Freshness.GOOD
    return Freshness.FAST


def admit(form: str, ip: str | None) -> None:
    """Counts one post of the form.

    Raises:
        TooMany: a limit is reached. Such a post is not counted, so a flood fills no table and waiting always helps.
    """
    now = clock.now()
    network = network_of(ip)
    for limit in PER_NETWORK:
        _check(limit, now, form=form, ip=network)
    _check(OVERALL, now, form=form)
    with transaction.atomic():
        FormPost.objects.filter(at__lt=now - KEPT).delete()
        FormPost.objects.create(form=form, ip=network, at=now)


def may_mail(purpose: str, email_norm: str, every: timedelta, most_per_day: int = 3) -> bool:
    """Whether a mail of this purpose may go to the address now; if so, it counts as sent.

    Call it inside a transaction. Kept is a keyed hash of the address, never the address.
    """
    now = clock.now()
    key = _address_key(purpose, email_norm)
    recent = list(FormPost.objects.filter(form=key, ip=None, at__gt=now - KEPT).values_list("at", flat=True))
    if len(recent) >= most_per_day or any(at > now - every for at in recent):
        return False
    FormPost.objects.create(form=key, ip=None, at=now)
    return True


@contextmanager
def even_time() -> Iterator[None]:
    """What happens inside takes at least :data:`LEAST_ANSWER_SECONDS`, whatever it finds."""
    started = time.monotonic()
    yield
    time.sleep(max(0.0, LEAST_ANSWER_SECONDS - (time.monotonic() - started)))


def network_of(ip: str | None) -> str | None:
    """The address that limits count by: an IPv4 address, or the /64 of an IPv6 one."""
    if ip is None:
        return None
    found = ipaddress.ip_address(ip)
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found.packed[:8] + bytes(8), 64)).network_address)
    return str(found)


def _check(limit: Limit, now: datetime, **which: str | None) -> None:
    posts = FormPost.objects.filter(at__gt=now - limit.within, **which).order_by("-at")
    # The post that must grow old before there is room again; an index walk of at most the limit.
    blocking = posts.values_list("at", flat=True)[limit.posts - 1 : limit.posts].first()
    if blocking is not None:
        raise TooMany(max(1, int((blocking + limit.within - now).total_seconds())))


def _address_key(purpose: str, email_norm: str) -> str:
    derived = hashlib.sha256(b"newsletters.floods:" + str(settings.SECRET_KEY).encode()).digest()
    return "@" + hmac.new(derived, f"{purpose}:{email_norm}".encode(), hashlib.sha256).hexdigest()[:19]


def _in_words(seconds: int) -> str:
    if seconds <= 90:
        return "a minute"
    if seconds < 5400:
        return f"{-(-seconds // 60)} minutes"
    return f"{-(-seconds // 3600)} hours"
