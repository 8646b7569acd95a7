"""Who gets an issue: confirmed on one of its lists, in its segment, not suppressed; counted and copied in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Exists, F, JSONField, OuterRef, QuerySet, Value

from newsletters import addresses, segments
from newsletters.models import Delivery, Issue, Newsletter, Subscriber, SubscriberField, Subscription, Suppression
from runs.id_lists import rows_of

ATTRIBUTE_SAMPLE = 1000


Lists = QuerySet[Any, int] | Sequence[int]


@dataclass(frozen=True)
class Audience:
    """How many would get an issue now, and how many on the lists would not, by reason."""

    recipients: int
    unconfirmed: int
    unsubscribed: int
    suppressed: int
    not_in_segment: int = 0
    """Confirmed and not suppressed, but none of those that the segment asks for."""

    @property
    def excluded(self) -> dict[str, int]:
        """The reasons that apply, in words that follow a number."""
        reasons = {
            "not confirmed": self.unconfirmed,
            "unsubscribed": self.unsubscribed,
            "suppressed": self.suppressed,
            "not in the segment": self.not_in_segment,
        }
        return {reason: number for reason, number in reasons.items() if number}


@dataclass(frozen=True)
class Reach:
    """Whom an issue is meant for: everybody on these lists, or only a segment of them."""

    list_ids: Lists
    rule: Any = None
    """A segment's rule (see segments.py); None for everybody on the lists."""

    @classmethod
    def of(cls, newsletter: Newsletter) -> Reach:
        """As the newsletter says now."""
        return cls(lists_of(newsletter), newsletter.segment.rule if newsletter.segment else None)


def recipients(reach: Reach | Lists) -> QuerySet[Subscriber]:
    """Each subscriber once, however many of the lists they are on.

    Raises:
        segments.BadRule: the segment cannot be used as it stands; it never means everybody.
    """
    reach = _reach(reach)
    found = _reachable(reach.list_ids)
    return found if reach.rule is None else found.filter(segments.condition(reach.rule))


def count(reach: Reach | Lists) -> Audience:
    """Counts by reason; somebody confirmed on one list and not on another counts as a recipient.

    Raises:
        segments.BadRule: as :func:`recipients`.
    """
    reach = _reach(reach)
    states = Subscription.State
    confirmed = _on_lists(reach.list_ids, states.CONFIRMED)
    pending = _on_lists(reach.list_ids, states.PENDING)
    left = _on_lists(reach.list_ids, states.UNSUBSCRIBED)
    reached = recipients(reach).count()
    reachable = reached if reach.rule is None else _reachable(reach.list_ids).count()
    return Audience(
        recipients=reached,
        unconfirmed=pending.exclude(pk__in=confirmed.values("pk")).count(),
        unsubscribed=left.exclude(pk__in=confirmed.values("pk")).exclude(pk__in=pending.values("pk")).count(),
        suppressed=confirmed.count() - reachable,
        not_in_segment=reachable - reached,
    )


def snapshot(issue: Issue, *, with_attributes: bool) -> int:
    """Copies the recipients into deliveries by one INSERT … SELECT; returns how many.

    Call it inside a transaction. The number of queries does not depend on the number of recipients.

    Raises:
        segments.BadRule: the newsletter's segment cannot be used as it stands.
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
        recipients(Reach.of(issue.newsletter))
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
    found = Suppression.objects.filter(address_hash__in=rows_of(list(by_hash))).values_list("address_hash", flat=True)
    return {by_hash[digest] for digest in found}


def no_longer_subscribed(newsletter: Newsletter, subscriber_ids: Iterable[int | None]) -> set[int | None]:
    """Those of the subscribers who are on none of the newsletter's lists any more."""
    asked = set(subscriber_ids)
    still = Subscription.objects.filter(
        list_id__in=lists_of(newsletter),
        state=Subscription.State.CONFIRMED,
        subscriber_id__in=rows_of([one for one in asked if one is not None]),
    )
    return asked - set(still.values_list("subscriber_id", flat=True))


def attribute_names() -> list[str]:
    """The short names of the fields, and of what the latest subscribers have besides."""
    named = set(SubscriberField.objects.values_list("key", flat=True))
    latest = Subscriber.objects.exclude(attributes={}).order_by("-pk").values_list("attributes", flat=True)
    return sorted(named | {str(name) for attributes in latest[:ATTRIBUTE_SAMPLE] for name in attributes})


def lists_of(newsletter: Newsletter) -> QuerySet[Any, int]:
    """The ids of the newsletter's lists, to be used inside other queries."""
    return Newsletter.lists.through.objects.filter(newsletter_id=newsletter.pk).values_list("list_id", flat=True)


def _reach(reach: Reach | Lists) -> Reach:
    return reach if isinstance(reach, Reach) else Reach(reach)


def _reachable(list_ids: Lists) -> QuerySet[Subscriber]:
    return _on_lists(list_ids, Subscription.State.CONFIRMED).exclude(_suppressed())


def _on_lists(list_ids: Lists, state: Subscription.State) -> QuerySet[Subscriber]:
    chosen = Subscription.objects.filter(list_id__in=list_ids, state=state)
    return Subscriber.objects.filter(pk__in=chosen.values("subscriber_id"))


def _suppressed() -> Exists:
    return Exists(Suppression.objects.filter(email_norm=OuterRef("email_norm")))
