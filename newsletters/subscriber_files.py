"""Subscribers as a CSV file: all, those on a list or in a segment; it can be imported again."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet

from newsletters import fields, segments
from newsletters.models import List, Segment, Subscriber, SubscriberField, Subscription, Suppression
from runs import audit, csv_lines
from runs.audit import Actor

EXPORT = "newsletters.export_subscriber"
"""For every file that takes many readers' addresses out of the house."""
PERMISSIONS = ("newsletters.view_subscriber", EXPORT)
AT_ONCE = 1000
FIRST, LAST = ("email", "name", "language"), ("on lists", "left lists", "suppressed", "since")


@dataclass(frozen=True)
class Wanted:
    """Whose lines the file holds; everybody's where neither is given."""

    of_list: List | None = None
    of_segment: Segment | None = None

    def __str__(self) -> str:
        parts = [
            f"the list {self.of_list}" if self.of_list else "",
            f"the segment {self.of_segment}" if self.of_segment else "",
        ]
        return " and ".join(part for part in parts if part) or "all subscribers"


def may_export(actor: Any) -> bool:
    """Whether this person may take such a file."""
    return all(actor.has_perm(permission) for permission in PERMISSIONS)


def export_subscribers(actor: Actor, wanted: Wanted) -> Iterator[str]:
    """The lines of the file; that somebody took it is an entry in the activity log.

    Raises:
        ValidationError: the segment cannot be used as it stands.
    """
    for permission in PERMISSIONS:
        audit.require(actor, permission, "export subscribers")
    try:
        rows = chosen(Subscriber.objects.all(), wanted)
    except segments.BadRule as error:
        raise ValidationError(f"The segment {wanted.of_segment} cannot be used. {error}") from error
    # Eight bytes for each: a million take 8 MB, and the segment is asked only once.
    ids = array("q", rows.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=5000))
    audit.record(actor, "exported subscribers", None, after={"of": str(wanted), "lines": len(ids)})
    return _lines(ids)


def chosen(rows: QuerySet[Subscriber], wanted: Wanted) -> QuerySet[Subscriber]:
    """Those on the list and in the segment, where they are given. Raises segments.BadRule."""
    if wanted.of_list is not None:
        on_it = Subscription.objects.filter(
            subscriber=OuterRef("pk"), list=wanted.of_list, state=Subscription.State.CONFIRMED
        )
        rows = rows.filter(Exists(on_it))
    return rows.filter(segments.condition(wanted.of_segment.rule)) if wanted.of_segment is not None else rows


def _lines(ids: Sequence[int]) -> Iterator[str]:
    typed = fields.all_fields()
    pieces = (list(ids[start : start + AT_ONCE]) for start in range(0, len(ids), AT_ONCE))
    rows = (row for piece in pieces for row in _rows(piece, typed))
    return csv_lines.lines([*FIRST, *typed, *LAST], rows)


def _rows(ids: list[int], typed: dict[str, SubscriberField]) -> Iterator[list[str]]:
    readers = list(
        Subscriber.objects.filter(pk__in=ids)
        .order_by("pk")
        .values_list("pk", "email", "name", "language", "attributes", "created_at", "email_norm")
    )
    states: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    on = Subscription.objects.filter(subscriber__in=ids).order_by("list__name")
    for number, name, state in on.values_list("subscriber_id", "list__name", "state"):
        states[number][state].append(name)
    norms = [reader[-1] for reader in readers]
    suppressed = set(Suppression.objects.filter(email_norm__in=norms).values_list("email_norm", flat=True))
    for number, email, name, language, attributes, since, norm in readers:
        values = [fields.in_words(field, attributes.get(key)) for key, field in typed.items()]
        lists = ["; ".join(states[number][state]) for state in ("confirmed", "unsubscribed")]
        yield [email, name, language, *values, *lists, "yes" if norm in suppressed else "", since.date().isoformat()]
