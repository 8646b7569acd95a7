"""Addresses that get nothing: what is on record against one, noting it, finding and lifting it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet

from newsletters import addresses
from newsletters.models import Suppression
from runs import audit
from runs.audit import Actor

LIFT = "newsletters.delete_suppression"
Reason = Suppression.Reason
ASKED_FOR = frozenset({Reason.COMPLAINT, Reason.ERASED, Reason.UNSUBSCRIBED})
"""The reader's own wish: lifting it takes a second word that they changed their mind."""
READERS_OWN = (Reason.UNSUBSCRIBED, Reason.ERASED)
"""What readers decided themselves, they can undo themselves: by confirming a new sign-up, and in no other way."""
WARNINGS = {
    Reason.COMPLAINT: "This reader marked our mail as spam. Another mail to them harms how all our mail is received.",
    Reason.ERASED: "This person asked to be erased. The law lets you write to them again only if they ask for it.",
    Reason.UNSUBSCRIBED: "This reader left everything. They may be written to again only if they ask for it.",
    Reason.HARD_BOUNCE: "The mail server said that this address does not exist. Lift it only if that has changed.",
}


def of(email_norm: str) -> QuerySet[Suppression]:
    """What is on record against writing to this address, under the current key or a former one."""
    return Suppression.objects.filter(address_hash__in=addresses.address_hashes(email_norm))


def may_ask(email_norm: str) -> bool:
    """Whether nothing but the reader's own decision stands against a mail that they ask for."""
    return not of(email_norm).exclude(reason__in=READERS_OWN).exists()


def note(actor: Actor, email_norm: str, reason: str, words: str) -> Suppression:
    """Puts an address on record. One that is there is left as it is. Whoever calls has checked who may."""
    row, is_new = Suppression.objects.get_or_create(
        address_hash=addresses.address_hash(email_norm),
        defaults={"email_norm": email_norm, "reason": reason, "note": words},
    )
    if is_new:
        audit.record(actor, "suppressed an address", row, after={"reason": reason}, reason=words)
    return row


def search(rows: QuerySet[Suppression], typed: str) -> QuerySet[Suppression]:
    """Those whose address begins so; a whole address is found by its hash as well, erased ones included."""
    typed = typed.strip()
    found = Q(email_norm__startswith=typed.lower())
    try:
        found |= Q(address_hash__in=addresses.address_hashes(addresses.normalise(typed)))
    except addresses.BadAddress:
        pass  # not a whole address yet
    return rows.filter(found)


def lift(actor: Actor, suppression_id: int, reason: str, *, is_confirmed: bool = False) -> None:
    """Lets an address be written to again; it comes back to no list by this.

    Raises:
        ValidationError: no reason, or the reader wanted it and nobody confirmed that they changed their mind.
    """
    row = Suppression.objects.get(pk=suppression_id)
    audit.require(actor, LIFT, "lift a suppression", row)
    wrong = {}
    if not reason.strip():
        wrong["reason"] = "Say why, for whoever asks later."
    if row.reason in ASKED_FOR and not is_confirmed:
        wrong["is_confirmed"] = "Tick this only if the person asked for it. Without it nothing is lifted."
    if wrong:
        raise ValidationError(wrong)
    with transaction.atomic():
        before = {"reason": row.reason, "note": row.note, "since": row.created_at}
        audit.record(actor, "lifted a suppression", row, before=before, reason=reason.strip())
        same = Q(pk=row.pk)
        if row.email_norm:  # one per key, where the key was changed
            same |= Q(address_hash__in=addresses.address_hashes(row.email_norm))
        Suppression.objects.filter(same).delete()
