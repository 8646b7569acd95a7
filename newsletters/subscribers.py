"""What staff do with one subscriber: save, take off a list, and everything we hold of a person as one file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from newsletters import addresses, fields, personal_data, subscriptions, suppressions
from newsletters.models import (
    List,
    Subscriber,
    Subscription,
    Suppression,
)
from runs import audit, clock
from runs.audit import Actor
from runs.models import AuditEntry

_STORED = ("email", "name", "attributes", "language")
CHANGE = "newsletters.change_subscriber"


def save_subscriber(actor: Actor, subscriber: Subscriber, lists: Iterable[List] | None = None) -> Subscriber:
    """Creates or changes a subscriber, and the lists they are on where given.

    Raises:
        ValidationError: a list that the person left, a person who asked to be erased, or a value that does not fit
            its field; by form field, attributes by their short name.
    """
    verb = "change" if subscriber.pk else "add"
    audit.require(
        actor, f"newsletters.{verb}_subscriber", f"{verb} this subscriber", subscriber if subscriber.pk else None
    )
    chosen = None if lists is None else list(lists)
    check_lists(subscriber, chosen or [])
    with transaction.atomic():
        stored = Subscriber.objects.filter(pk=subscriber.pk).values(*_STORED).first() if subscriber.pk else None
        if stored is None or addresses.normalise(stored["email"]) != addresses.normalise(subscriber.email):
            refuse_erased(subscriber.email)
        subscriber.attributes = _checked(subscriber.attributes, stored["attributes"] if stored else {})
        subscriber.save()
        after: dict[str, Any] = {name: getattr(subscriber, name) for name in _STORED}
        if chosen is not None:
            after["lists"] = subscriptions.set_lists(subscriber, chosen, source="staff")
            if not any(after["lists"].values()):
                del after["lists"]
        _record(actor, subscriber, stored, after)
    return subscriber


def check_lists(subscriber: Subscriber, lists: Iterable[List]) -> None:
    """Refuses to put a person back on a list that they left. Raises ValidationError."""
    left = subscriptions.revivals(subscriber, lists)
    if left:
        raise ValidationError(
            {
                "lists": f"This person left {', '.join(left)}. Only they can come back, on the page where readers subscribe."
            }
        )


def refuse_erased(email: str) -> None:
    """Refuses an address whose owner asked to be erased. Raises ValidationError."""
    if suppressions.of(addresses.normalise(email)).filter(reason=Suppression.Reason.ERASED).exists():
        raise ValidationError(
            {
                "email": "Whoever has this address asked to be erased. Lift the suppression first if they want to come back."
            }
        )


def unsubscribe(actor: Actor, subscription_id: int, reason: str = "") -> Subscription:
    """Takes a person off one list, as if they had left it themselves: nobody but they can come back."""
    row = Subscription.objects.select_related("subscriber", "list").get(pk=subscription_id)
    audit.require(actor, CHANGE, "take them off a list", row.subscriber)
    with transaction.atomic():
        changed = (
            Subscription.objects.filter(pk=row.pk)
            .exclude(state=Subscription.State.UNSUBSCRIBED)
            .update(state=Subscription.State.UNSUBSCRIBED, unsubscribed_at=clock.now())
        )
        if not changed:
            raise ValidationError(f"They are not on {row.list} any more.")
        audit.record(actor, "took them off a list", row.subscriber, after={"list": row.list.name}, reason=reason)
    row.refresh_from_db()
    return row


def export_person(actor: Actor, subscriber_id: int) -> dict[str, Any]:
    """Everything that we hold of one person, as plain values for a JSON file; that somebody took it is on record."""
    subscriber = Subscriber.objects.get(pk=subscriber_id)
    audit.require(actor, CHANGE, "export a person's data", subscriber)
    audit.record(actor, "exported a person's data", subscriber)
    changes = AuditEntry.objects.filter(object_type="newsletters.subscriber", object_id=str(subscriber.pk))
    rows = changes.values_list("actor_name", "at", "action", "before", "after", "reason")
    keys = ("by", "at", "action", "before", "after", "reason")
    return personal_data.copy_of(subscriber) | {
        "changes": [{**dict(zip(keys, row, strict=True)), "by": row[0] or "Almanac"} for row in rows]
    }


def _checked(attributes: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """What is not changed stays as it is, fitting or not: nobody has to repair what they did not come for."""
    changed = {key: value for key, value in attributes.items() if key not in stored or stored[key] != value}
    checked = fields.read_values(changed, fields.all_fields())
    return {key: checked.get(key, value) for key, value in attributes.items() if key not in changed or key in checked}


def _record(actor: Actor, subscriber: Subscriber, stored: dict[str, Any] | None, after: dict[str, Any]) -> None:
    before = stored or {}
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    if changed:
        audit.record(
            actor, "changed the subscriber" if stored else "added the subscriber", subscriber,
            before={name: before[name] for name in changed if name in before}, after=changed,
        )  # fmt: skip
