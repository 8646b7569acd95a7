"""Mails that came back: the corpus under ``mails/``, with our delivery's mark and address put in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from newsletters import message, preparing, verp
from newsletters.models import Delivery, Issue, Newsletter, Subscriber

MAILS = Path(__file__).with_name("mails")
SENT = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)


def sent_to(reader: Subscriber, newsletter: Newsletter, *, at: datetime = SENT) -> Delivery:
    """One delivery that went out at that time; the issue of each time is made once."""
    issue, _ = Issue.objects.get_or_create(
        newsletter=newsletter, scheduled_for=at,
        defaults={"state": Issue.State.SENT, "subject": "News", "from_email": "desk@example.org", "sha256": "a" * 64},
    )  # fmt: skip
    Issue.objects.filter(pk=issue.pk).update(planned=issue.planned + 1, sent=issue.sent + 1)
    return Delivery.objects.create(
        issue=issue, subscriber=reader, email=reader.email, email_norm=reader.email_norm,
        state=Delivery.State.SENT, sent_at=at, code=250,
    )  # fmt: skip


def mail(name: str, delivery: Delivery, *, mark: str = "") -> bytes:
    """One mail of the corpus as it would come back for the delivery."""
    identifier = message.message_id(preparing.envelope_of(delivery.issue), delivery.pk).strip("<>")
    text = (MAILS / f"{name}.eml").read_text()
    for placeholder, value in (
        ("%VERP%", mark or verp.address(delivery.pk)), ("%MID%", identifier), ("%READER%", delivery.email),
    ):  # fmt: skip
        text = text.replace(placeholder, value)
    return text.encode()


def weeks(number: float) -> timedelta:
    return timedelta(weeks=number)
