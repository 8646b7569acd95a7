"""Links for people outside: made, looked up, taken back, and the short-lived addresses of the files behind them.

Only a keyed hash of a link's token is kept: who reads the database, or a backup of it, can open nothing by it.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.crypto import salted_hmac

from reports.models import Artefact, DownloadEvent, ReportDelivery, ShareLink
from runs import audit, clock
from runs.audit import Actor

PERMISSION = "reports.change_reportdefinition"
FILE_SECONDS = 3600
"""How long the address of a file works that the button on the page leads to: a broken download goes on within it."""
PER_LINK = 300
"""Downloads, or parts of them, by one link within an hour."""
PER_ADDRESS = 120
"""The same from one address of the network within ten minutes, whatever the links."""
_TOKEN, _FILE = "reports.share_links.token", "reports.share_links.file"


class TooMany(Exception):
    """Too many downloads for now; ``seconds`` says when to try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__("That was too often for now.")
        self.seconds = seconds


def make(delivery: ReportDelivery, expires_at: datetime) -> tuple[ShareLink, str]:
    """A new link for the recipient of this mail, and its token, which is nowhere else."""
    token = secrets.token_urlsafe(32)
    link = ShareLink.objects.create(
        report_run_id=delivery.report_run_id, recipient_id=delivery.recipient_id, address=delivery.address,
        token_hash=_hash(token, str(settings.SECRET_KEY)), created_at=clock.now(), expires_at=expires_at,
    )  # fmt: skip
    return link, token


def find(token: str) -> ShareLink | None:
    """The link, as long as it works. Unknown, changed, too old and taken back are all the same: None."""
    return _working(token_hash__in=list(_hashes(token)))


def files_of(link: ShareLink) -> list[Artefact]:
    """The files that are still kept, in the order in which they were made."""
    kept = link.report_run.artefacts.filter(deleted_at=None, expires_at__gt=clock.now())
    return list(kept.order_by("format", "part", "pk"))


def file_token(link: ShareLink, artefact: Artefact) -> str:
    """What stands in the address of one file for :data:`FILE_SECONDS`; it is of no use for anything else."""
    return signing.TimestampSigner(salt=_FILE, sep=".").sign(f"{link.pk}.{artefact.key.hex}")


def read_file_token(token: str) -> tuple[ShareLink, Artefact] | None:
    """The link and the file, as long as both are there; a link that was taken back ends its downloads as well."""
    try:
        number, key = signing.TimestampSigner(salt=_FILE, sep=".").unsign(token, max_age=FILE_SECONDS).split(".")
        link = _working(pk=int(number))
        found = None if link is None else next((one for one in files_of(link) if one.key == uuid.UUID(key)), None)
    except (signing.BadSignature, ValueError):
        return None
    return None if link is None or found is None else (link, found)


def admit(link: ShareLink, ip: str | None) -> None:
    """Raises TooMany where this link, or this address, took files too often. Waiting always helps."""
    limits = [(DownloadEvent.objects.filter(link=link), PER_LINK, timedelta(hours=1))]
    if ip is not None:
        limits.append((DownloadEvent.objects.filter(ip=ip), PER_ADDRESS, timedelta(minutes=10)))
    now = clock.now()
    for events, most, within in limits:
        recent = events.filter(at__gt=now - within).order_by("-at").values_list("at", flat=True)
        # The one that must grow old before there is room again; a walk of at most the limit.
        blocking = recent[most - 1 : most].first()
        if blocking is not None:
            raise TooMany(max(1, int((blocking + within - now).total_seconds())))


def record_download(link: ShareLink, artefact: Artefact, *, ip: str | None, byte_range: str) -> None:
    """Notes that whoever holds the link took the file, or a part of it."""
    DownloadEvent.objects.create(artefact=artefact, link=link, ip=ip, byte_range=byte_range, at=clock.now())


def revoke_link(actor: Actor, link_id: int) -> ShareLink:
    """Takes a link back: from now on it opens nothing, and a download that goes on is not resumed.

    Raises:
        ValidationError: it was taken back before.
        PermissionDenied: the actor may not change reports.
    """
    link = ShareLink.objects.select_related("report_run").get(pk=link_id)
    audit.require(actor, PERMISSION, "take the link back", link)
    with transaction.atomic():
        changed = ShareLink.objects.filter(pk=link_id, revoked_at=None).update(
            revoked_at=clock.now(), revoked_by_id=actor.pk if actor is not None else None
        )
        if not changed:
            raise ValidationError("This link was taken back already.")
        audit.record(actor, "took a link back", link, after={"address": link.address})
    return link


def _working(**which: object) -> ShareLink | None:
    links = ShareLink.objects.select_related("report_run").filter(revoked_at=None, expires_at__gt=clock.now())
    return links.filter(**which).first()


def _hashes(token: str) -> Iterator[str]:
    """Under the current key and every former one: a changed key does not end the links that were mailed."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        yield _hash(token, str(key))


def _hash(token: str, key: str) -> str:
    return salted_hmac(_TOKEN, token, secret=key, algorithm="sha256").hexdigest()
