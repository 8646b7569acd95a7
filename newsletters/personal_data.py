"""A copy of everything that we hold of one person, as plain values."""

from __future__ import annotations

from typing import Any

from newsletters import suppressions
from newsletters.models import Delivery, FeedbackMessage, ReaderEvent, Subscriber


def copy_of(subscriber: Subscriber) -> dict[str, Any]:
    """The person's row, lists, mails, events and messages; what staff noted about changes is not in it."""
    suppressed = suppressions.of(subscriber.email_norm).first()
    return {
        "subscriber": _plain(subscriber, "public_id", "email", "name", "language", "attributes", "created_at", "soft_bounces"),
        "lists": [
            {"list": row.list.name, **_plain(row, "state", "source", "created_at", "mailed_at", "confirmed_at",
                "welcomed_at", "unsubscribed_at", "consent_ip", "consent_text")}
            for row in subscriber.subscriptions.select_related("list")
        ],
        "suppressed": _plain(suppressed, "reason", "note", "created_at") if suppressed else None,
        "mails": [
            {"issue": str(row.issue), "subject": row.issue.subject, "state": row.get_state_display(),
                **_plain(row, "email", "name", "merge", "attempts", "code", "text", "sent_at")}
            for row in _deliveries(subscriber).iterator(chunk_size=500)
        ],
        "events": [
            {"event": row.get_kind_display(), **_plain(row, "status", "text", "at")}
            for row in ReaderEvent.objects.filter(subscriber=subscriber).order_by("pk")
        ],
        "messages": [
            _plain(row, "name", "email", "text", "created_at")
            for row in FeedbackMessage.objects.filter(email__iexact=subscriber.email).order_by("pk")
        ],
    }  # fmt: skip


def _deliveries(subscriber: Subscriber) -> Any:
    rows = Delivery.objects.filter(subscriber=subscriber).select_related("issue__newsletter").order_by("pk")
    return rows.defer("issue__html", "issue__text", "issue__body")


def _plain(row: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
