"""Counts clicks on an issue's links, people and programs apart, without keeping who clicked."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import F

from newsletters.models import Issue, Link, Newsletter
from runs import clock

AT_ONCE = timedelta(seconds=10)
"""Nobody reads so fast: what is opened this soon after the sending began is opened by a filter."""
BURST_SECONDS = 2.0
BURST_LINKS = 3
"""So many different links from one place within the time: a program that opens them all."""
REMEMBERED = 5000

_PROGRAMS = re.compile(
    r"bot\b|crawl|spider|scan|preview|proofpoint|barracuda|mimecast|safelinks|symantec|trendmicro|fireeye|sophos|"
    r"ironport|forcepoint|urldefense|avanan|cloudmark|headless|phantomjs|python|curl|wget|go-http|java/|okhttp|"
    r"libwww|httpclient|axios|node-fetch|facebookexternalhit|slackbot|whatsapp|telegram|skypeuripreview|imageproxy",
    re.IGNORECASE,
)
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True)
class Visit:
    """One opening of a link; the place is only ever seen as a keyed hash, in memory, for two seconds."""

    is_head: bool
    user_agent: str
    ip: str | None


@dataclass
class _Burst:
    began: float
    links: set[int] = field(default_factory=set)
    counted: list[int] = field(default_factory=list)
    """Openings that were counted as people's before it was clear what this is."""


_bursts: OrderedDict[str, _Burst] = OrderedDict()
_lock = threading.Lock()
_salt = secrets.token_bytes(16)


def destination(link: Link) -> str | None:
    """Where the link leads, if that is a web address; whatever else is in the table leads nowhere."""
    parts = urlsplit(link.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or _UNSAFE.search(link.url):
        return None
    return link.url


def find_link(issue_public_id: str, number: int) -> Link | None:
    """The link that a token names, with what is needed to count."""
    return (
        Link.objects.select_related("issue__newsletter")
        .only("url", "number", "issue__started_at", "issue__newsletter__tracking")
        .filter(issue__public_id=issue_public_id, number=number)
        .first()
    )


def count(link: Link, visit: Visit) -> None:
    """Counts one opening, unless the newsletter does not count any more."""
    if link.issue.newsletter.tracking == Newsletter.Tracking.OFF:
        return
    if visit.is_head or _is_program(visit.user_agent) or _is_at_once(link.issue.started_at):
        _add(link, machine=1)
        return
    is_burst, before = _see(link, visit)
    with transaction.atomic():
        for link_id in before:  # those of the burst that were taken for people's
            _shift(link_id, link.issue_id)
        _add(link, machine=1) if is_burst else _add(link, people=1)


def _is_program(user_agent: str) -> bool:
    return not user_agent or _PROGRAMS.search(user_agent) is not None


def _is_at_once(started_at: datetime | None) -> bool:
    return started_at is None or clock.now() - started_at < AT_ONCE


def _see(link: Link, visit: Visit) -> tuple[bool, list[int]]:
    """Whether this opening is part of a burst, and the openings before it that must be counted anew."""
    if visit.ip is None:
        return False, []
    place = hashlib.blake2b(f"{link.issue_id} {visit.ip}".encode(), key=_salt, digest_size=12).hexdigest()
    now = time.monotonic()
    with _lock:
        while _bursts and (next(iter(_bursts.values())).began < now - BURST_SECONDS or len(_bursts) > REMEMBERED):
            _bursts.popitem(last=False)
        burst = _bursts.setdefault(place, _Burst(now))
        burst.links.add(link.pk)
        if len(burst.links) < BURST_LINKS:
            burst.counted.append(link.pk)
            return False, []
        before, burst.counted = burst.counted, []
        return True, before


def _add(link: Link, *, people: int = 0, machine: int = 0) -> None:
    with transaction.atomic():
        Link.objects.filter(pk=link.pk).update(
            clicks=F("clicks") + people, machine_clicks=F("machine_clicks") + machine
        )
        if people:
            Issue.objects.filter(pk=link.issue_id).update(clicks=F("clicks") + people)


def _shift(link_id: int, issue_id: int) -> None:
    Link.objects.filter(pk=link_id, clicks__gt=0).update(clicks=F("clicks") - 1, machine_clicks=F("machine_clicks") + 1)
    Issue.objects.filter(pk=issue_id, clicks__gt=0).update(clicks=F("clicks") - 1)
