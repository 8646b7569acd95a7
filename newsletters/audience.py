"""Who gets an issue: confirmed on one of the newsletter's lists and not suppressed; counted and copied in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Exists, F, JSONField, OuterRef, QuerySet, Value

from newsletters import addresses
from newsletters.models import Delivery, Issue, Newsletter, Subscriber, Subscription, Suppression

ATTRIBUTE_SAMPLE = 1000


Lists = QuerySet[Any, int] | Sequence[int]


@dataclass(frozen=True)
class Audience:
    """How many would get an issue now, and how many on the lists would not, by reason."""

    recipients: int
    unconfirmed: int
    unsubscribed: int
    suppressed: int

    @property
    def excluded(self) -> dict[str, int]:
        """The reasons that apply, in words that follow a number."""
        reasons = {
            "not confirmed": self.unconfirmed,
            "unsubscribed": self.unsubscribed,
            "suppressed": self.suppressed,
        }
        return {reason: number for reason, number in reasons.items() if number}


def recipients(list_ids: Lists) -> QuerySet[Subscriber]:
    """Each subscriber once, however many of the lists they are on."""
    return _on_lists(list_ids, Subscription.State.CONFIRMED).exclude(_suppressed())


def count(list_ids: Lists) -> Audience:
    """Counts by reason; somebody confirmed on one list and not on another counts as a recipient."""
    states = Subscription.State
    confirmed = _on_lists(list_ids, states.CONFIRMED)
    pending = _on_lists(list_ids, states.PENDING)
    left = _on_lists(list_ids, states.UNSUBSCRIBED)
    reached = recipients(list_ids).count()
    return Audience(
        recipients=reached,
        unconfirmed=pending.exclude(pk__in=confirmed.values("pk")).count(),
        unsubscribed=left.exclude(pk__in=confirmed.values("pk")).exclude(pk__in=pending.values("pk")).count(),
        suppressed=confirmed.count() - reached,
    )


def snapshot(issue: Issue, *, with_attributes: bool) -> int:
    """Copies the recipients into deliveries by one INSERT … SELECT; returns how many.

    Call it inside a transaction. The number of queries does not depend on the number of recipients.
    """
    columns = {
        "issue_id": Value(issue.pk),
        "subscriber_id": F("id"),
        "email": F("email"),
        "email_norm": F("email_norm"),
        "name": F("name"),
        "merge": F("attributes") if with_attributes else Value({}, output_field=JSONField()),
        "state": Value(int(Delivery.State.PENDING)),
        "attempts": Value(0),
        "fence": Value(0),
        "text": Value(""),
    }
    chosen = (
        recipients(lists_of(issue.newsletter))
        .order_by("pk")
        .annotate(**{f"new_{name}": value for name, value in columns.items()})
        .values_list(*[f"new_{name}" for name in columns])
    )
    select, parameters = chosen.query.sql_with_params()
    quote = connection.ops.quote_name
    names = ", ".join(quote(name) for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {quote(Delivery._meta.db_table)} ({names}) {select}", parameters)
        return int(cursor.rowcount)


def suppressed_among(email_norms: Sequence[str]) -> set[str]:
    """Those of the addresses that must not be written to, erased ones and former keys included."""
    by_hash = {digest: norm for norm in email_norms for digest in addresses.address_hashes(norm)}
    found = Suppression.objects.filter(address_hash__in=list(by_hash)).values_list("address_hash", flat=True)
    return {by_hash[digest] for digest in found}


def no_longer_subscribed(newsletter: Newsletter, subscriber_ids: Iterable[int | None]) -> set[int | None]:
    """Those of the subscribers who are on none of the newsletter's lists any more."""
    asked = set(subscriber_ids)
    still = Subscription.objects.filter(
        list_id__in=lists_of(newsletter), state=Subscription.State.CONFIRMED, subscriber_id__in=asked
    )
    return asked - set(still.values_list("subscriber_id", flat=True))


def attribute_names() -> list[str]:
    """The attributes that readers have, as seen in the latest subscribers."""
    latest = Subscriber.objects.exclude(attributes={}).order_by("-pk").values_list("attributes", flat=True)
    return sorted({str(name) for attributes in latest[:ATTRIBUTE_SAMPLE] for name in attributes})


def lists_of(newsletter: Newsletter) -> QuerySet[Any, int]:
    """The ids of the newsletter's lists, to be used inside other queries."""
    return Newsletter.lists.through.objects.filter(newsletter_id=newsletter.pk).values_list("list_id", flat=True)


def _on_lists(list_ids: Lists, state: Subscription.State) -> QuerySet[Subscriber]:
    chosen = Subscription.objects.filter(list_id__in=list_ids, state=state)
    return Subscriber.objects.filter(pk__in=chosen.values("subscriber_id"))


def _suppressed() -> Exists:
    return Exists(Suppression.objects.filter(email_norm=OuterRef("email_norm")))
