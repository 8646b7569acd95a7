"""What we hold about one reader: a copy of it all, and its erasure."""

from __future__ import annotations

from typing import Any

from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Cast, Concat

from newsletters import addresses
from newsletters.models import (
    Delivery,
    FeedbackMessage,
    ReaderEvent,
    Subscriber,
    Subscription,
    Suppression,
)
from runs import audit, ledger
from runs.models import AuditEntry

MOST_ROWS = 10_000
"""Of each kind in one copy; nobody was sent more."""
ERASED = "an erased reader"
_KINDS = ("confirmation_mail", "welcome_mail", "reader_mail")


def copy_of(subscriber: Subscriber) -> dict[str, Any]:
    """Everything that we hold about the reader, as plain values."""
    places = Subscription.objects.filter(subscriber=subscriber).order_by("pk")
    mails = Delivery.objects.filter(subscriber=subscriber).order_by("pk")
    events = ReaderEvent.objects.filter(subscriber=subscriber).order_by("pk")
    written = FeedbackMessage.objects.filter(email__iexact=subscriber.email).order_by("pk")
    return {
        "subscriber": {
            "email": subscriber.email, "name": subscriber.name, "language": subscriber.language,
            "attributes": subscriber.attributes, "since": subscriber.created_at,
            "temporary_refusals": subscriber.soft_bounces,
        },
        "lists": list(places.values(
            "list__name", "state", "source", "created_at", "mailed_at", "confirmed_at", "welcomed_at",
            "unsubscribed_at", "consent_ip", "consent_text",
        )[:MOST_ROWS]),
        "not_written_to": [
            {"reason": row.get_reason_display(), "note": row.note, "since": row.created_at}
            for row in _suppressions(subscriber)
        ],
        "mails": list(mails.annotate(issue_subject=F("issue__subject")).values(
            "issue_subject", "email", "name", "merge", "sent_at", "text"
        )[:MOST_ROWS]),
        "events": list(events.values("kind", "status", "text", "at")[:MOST_ROWS]),
        "feedback": list(written.values("name", "email", "text", "created_at")[:MOST_ROWS]),
    }  # fmt: skip


def erase(subscriber: Subscriber) -> None:
    """Removes the reader and every mention of their address; what stays is a keyed hash, so that nobody adds them again.

    The counts of issues stay true: the deliveries remain, without address, name or values.
    """
    norm = subscriber.email_norm
    with transaction.atomic():
        _blank_deliveries(subscriber)
        written = FeedbackMessage.objects.filter(email__iexact=subscriber.email)
        for message_id in written.values_list("pk", flat=True):
            ledger.forget_target(("feedback_mail",), message_id, ERASED)
        written.delete()
        ReaderEvent.objects.filter(subscriber=subscriber).update(text="", subscriber=None)
        ledger.forget_target(_KINDS, subscriber.pk, ERASED)
        AuditEntry.objects.filter(object_type="newsletters.subscriber", object_id=str(subscriber.pk)).update(
            object_label=ERASED, before={}, after={}, reason=""
        )
        AuditEntry.objects.filter(object_type="newsletters.suppression", object_label=norm).update(object_label=ERASED)
        _suppressions(subscriber).delete()
        Suppression.objects.create(address_hash=addresses.address_hash(norm), reason=Suppression.Reason.ERASED)
        audit.record(None, "the reader was erased by their own wish", None, after={"subscriber": subscriber.pk})
        subscriber.delete()


def _blank_deliveries(subscriber: Subscriber) -> None:
    theirs = Delivery.objects.filter(subscriber=subscriber)
    waiting = theirs.filter(state__in=(Delivery.State.PENDING, Delivery.State.DEFERRED))
    waiting.update(state=Delivery.State.SKIPPED)
    # Unique within an issue, hence the number.
    blank = Concat(Value("erased-"), Cast(F("pk"), models.CharField(max_length=20)))
    theirs.update(email="", email_norm=blank, name="", merge={}, text="")


def _suppressions(subscriber: Subscriber) -> models.QuerySet[Suppression]:
    return Suppression.objects.filter(address_hash__in=addresses.address_hashes(subscriber.email_norm))
