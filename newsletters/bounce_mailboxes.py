"""What staff do with the mailbox that bounces go to: name it so that schedules can read it, or remove it."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from newsletters.models import BounceMailbox
from runs import audit
from runs.audit import Actor
from schedules import targets


def save_mailbox(actor: Actor, mailbox: BounceMailbox) -> BounceMailbox:
    """Adds the mailbox, or gives it another name."""
    verb = "change" if mailbox.pk else "add"
    audit.require(actor, f"newsletters.{verb}_bouncemailbox", f"{verb} this mailbox", mailbox if mailbox.pk else None)
    with transaction.atomic():
        before = BounceMailbox.objects.filter(pk=mailbox.pk).values("name").first()
        mailbox.save()
        if before != {"name": mailbox.name}:
            action = f"{'changed' if before else 'added'} the mailbox of bounces"
            audit.record(actor, action, mailbox, before=before, after={"name": mailbox.name})
    return mailbox


def delete_mailbox(actor: Actor, mailbox: BounceMailbox) -> None:
    """Removes the mailbox from Almanac; the mails in it stay where they are.

    Raises:
        ValidationError: schedules still read it.
    """
    audit.require(actor, "newsletters.delete_bouncemailbox", "delete this mailbox", mailbox)
    with transaction.atomic():
        targets.require_unused(mailbox)
        audit.record(actor, "deleted the mailbox of bounces", mailbox, before={"name": mailbox.name})
        mailbox.delete()


def address() -> str:
    """Which mailbox is read, without its password; empty where none is set."""
    parts = urlsplit(settings.BOUNCE_MAILBOX_URL)
    return f"{parts.username} at {parts.hostname}" if parts.hostname else ""
