"""Subscriber growth: one row for every day, with who joined, left and bounced out, and how many there were at its end.

A subscriber is somebody who confirmed at least one list and may still be written to. Somebody whose address was erased
since is no longer counted anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db.models import Case, Count, DateTimeField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Greatest, TruncDate

from reports.datasets.registry import Column, DataSet, Kind, Row
from reports.periods import Window

_BOUNCED = "hard_bounce"


def rows(window: Window) -> Iterator[Row]:
    """(day, joined, left, bounced out, at the end), in order of days; counted by the database."""
    joined = _per_day(_joined(window.start, window.end), "joined", window)
    ended = _ended(window.start, window.end)
    left = _per_day(ended.filter(is_bounce=False), "ended", window)
    bounced = _per_day(ended.filter(is_bounce=True), "ended", window)
    number = _joined(None, window.start).count() - _ended(None, window.start).count()
    for day in window.days:
        came, went, lost = joined.get(day, 0), left.get(day, 0), bounced.get(day, 0)
        number += came - went - lost
        yield (day, came, went, lost, number)


def count(window: Window) -> int:
    """One row a day."""
    return (window.beyond - window.first).days


def _people() -> QuerySet[Any]:
    """Everybody who ever joined, with when they did and, where they are gone, when that was and why."""
    own = apps.get_model("newsletters", "Subscription")._default_manager.filter(subscriber=OuterRef("pk"))
    blocks = apps.get_model("newsletters", "Suppression")._default_manager.filter(email_norm=OuterRef("email_norm"))
    confirmed, left = own.exclude(confirmed_at=None), own.exclude(unsubscribed_at=None)
    people: QuerySet[Any] = (
        apps.get_model("newsletters", "Subscriber")
        ._default_manager.order_by()
        .annotate(
            joined=Subquery(confirmed.order_by("confirmed_at").values("confirmed_at")[:1]),
            is_on=Exists(own.filter(state="confirmed")),
            last_left=Subquery(left.order_by("-unsubscribed_at").values("unsubscribed_at")[:1]),
            blocked=Subquery(blocks.order_by("created_at", "pk").values("created_at")[:1]),
            blocked_why=Subquery(blocks.order_by("created_at", "pk").values("reason")[:1]),
        )
        .annotate(gone=Case(When(is_on=False, then=F("last_left")), default=None, output_field=DateTimeField()))
        .annotate(
            first=Case(
                When(gone=None, then=F("blocked")),
                When(blocked=None, then=F("gone")),
                When(blocked__lt=F("gone"), then=F("blocked")),
                default=F("gone"),
                output_field=DateTimeField(),
            )
        )
        .filter(joined__isnull=False)
    )
    return people


def _joined(start: datetime | None, end: datetime) -> QuerySet[Any]:
    subscriptions = apps.get_model("newsletters", "Subscription")._default_manager
    candidates = subscriptions.filter(_between("confirmed_at", start, end)).values("subscriber")
    return _people().filter(_between("joined", start, end), pk__in=candidates)


def _ended(start: datetime | None, end: datetime) -> QuerySet[Any]:
    subscriptions = apps.get_model("newsletters", "Subscription")._default_manager
    suppressions = apps.get_model("newsletters", "Suppression")._default_manager
    # Whoever joined after the end that is on record for them ended when they joined, so that no day is below nothing.
    bounced = When(blocked_why=_BOUNCED, blocked=F("first"), then=Value(True))
    people: QuerySet[Any] = (
        _people()
        .filter(first__isnull=False)
        .annotate(ended=Greatest("first", "joined"), is_bounce=Case(bounced, default=Value(False)))
    )
    candidates = (
        Q(pk__in=subscriptions.filter(unsubscribed_at__lt=end).values("subscriber"))
        | Q(email_norm__in=suppressions.filter(created_at__lt=end).exclude(email_norm="").values("email_norm"))
    )  # fmt: skip
    return people.filter(candidates, _between("ended", start, end))


def _between(name: str, start: datetime | None, end: datetime) -> Q:
    return Q(**{f"{name}__lt": end}) & (Q(**{f"{name}__gte": start}) if start is not None else Q())


def _per_day(people: QuerySet[Any], moment: str, window: Window) -> dict[date, int]:
    days = people.annotate(day=TruncDate(moment, tzinfo=ZoneInfo(window.zone))).values("day").annotate(n=Count("pk"))
    return {row["day"]: row["n"] for row in days}


SUBSCRIBER_GROWTH = DataSet(
    key="subscriber_growth",
    label="Subscriber growth",
    description="For every day, how many people joined, left and bounced out, and how many there were at its end.",
    permission="newsletters.view_list",
    columns=(
        Column("day", "Day", Kind.DATE),
        Column("joined", "Joined", Kind.INTEGER),
        Column("left", "Left", Kind.INTEGER),
        Column("bounced", "Bounced out", Kind.INTEGER),
        Column("at_end", "Subscribers at the end of the day", Kind.INTEGER),
    ),
    rows=rows,
    count=count,
)
