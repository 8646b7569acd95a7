"""By which addresses people are and were known: their own, those that stand on what was sent to them, those in the log."""

from __future__ import annotations

from collections.abc import Collection

from newsletters import addresses
from newsletters.models import Delivery, Issue, Subscriber
from runs.models import AuditEntry

ABOUT = "newsletters.subscriber"
"""What the activity log calls a person."""


def whose(norm: str) -> int | None:
    """The number of whom this normalised address belongs to, or else belonged to last; None where nobody is known by it."""
    now = Subscriber.objects.filter(email_norm=norm).values_list("pk", flat=True).first()
    if now is not None:
        return now
    # One look into the index for each issue: addresses alone have none.
    sent = Delivery.objects.filter(issue__in=Issue.objects.order_by().values("pk"), email_norm=norm)
    last = sent.filter(subscriber__isnull=False).order_by("-pk").values_list("subscriber", flat=True).first()
    if last is not None:
        return last
    changed = AuditEntry.objects.filter(object_type=ABOUT, before__email__iexact=norm).order_by("-pk").first()
    is_there = changed is not None and Subscriber.objects.filter(pk=changed.object_id).exists()
    return int(changed.object_id) if changed is not None and is_there else None


def of(numbers: Collection[int]) -> dict[int, set[str]]:
    """Every normalised address of each of these people, former ones included."""
    found: dict[int, set[str]] = {number: set() for number in numbers}
    for number, norm in Subscriber.objects.filter(pk__in=found).values_list("pk", "email_norm"):
        found[number].add(norm)
    sent = Delivery.objects.filter(subscriber__in=found).order_by().values_list("subscriber", "email_norm")
    for reader, norm in sent.distinct():
        if reader is not None:
            found[reader].add(norm)
    entries = AuditEntry.objects.filter(object_type=ABOUT, object_id__in=[str(number) for number in found])
    for number_, *values in entries.order_by().values_list("object_id", "before", "after"):
        written = {one["email"] for one in values if isinstance(one.get("email"), str)}
        found[int(number_)] |= {norm for address in written if (norm := normal(address))}
    return found


def normal(address: str) -> str:
    """As addresses are compared; "" for what is none."""
    try:
        return addresses.normalise(address)
    except addresses.BadAddress:
        return ""
