"""Deliveries and subscribers per day: one row for every day of the window, also for days on which nothing happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate

from reports.datasets.registry import Column, DataSet, Kind, Row, Total
from reports.periods import Window

_IS_CLEANED = Q(recipients_removed_at__isnull=False)
"""Who got these issues was removed by a cleanup; what they added up to is kept on them, by the quarter of an hour."""
_COUNTED = (Total.SUM, Total.AVERAGE, Total.LEAST, Total.MOST)


def rows(window: Window) -> Iterator[Row]:
    """(day, sent, failed, new subscribers), in order of days; counted by the database."""
    delivery = apps.get_model("newsletters", "Delivery")
    subscriber = apps.get_model("newsletters", "Subscriber")
    states = delivery._meta.get_field("state").choices or []
    numbers = {str(label): value for value, label in states}
    issues = apps.get_model("newsletters", "Issue")._default_manager
    there = delivery._default_manager.exclude(issue__in=issues.filter(_IS_CLEANED).values("pk"))
    kept = issues.filter(_IS_CLEANED, started_at__lt=window.end).values_list("started_at", "kept_counts")
    sent = _per_day(there.filter(state=numbers["Sent"]), "sent_at", window)
    # A failed delivery has no time of its own: it counts on the day on which its issue started.
    failed = _per_day(there.filter(state=numbers["Failed"]), "issue__started_at", window)
    for started_at, counts in kept.iterator(chunk_size=500):
        for quarter, number in counts.get("sent", {}).items():
            sent[_day(datetime.fromisoformat(quarter), window)] += number
        if started_at is not None:
            failed[_day(started_at, window)] += counts.get("failed", 0)
    new = _per_day(subscriber._default_manager.all(), "created_at", window)
    for day in window.days:
        yield (day, sent.get(day, 0), failed.get(day, 0), new.get(day, 0))


def count(window: Window) -> int:
    """One row a day."""
    return (window.beyond - window.first).days


def _day(moment: datetime, window: Window) -> date:
    return moment.astimezone(ZoneInfo(window.zone)).date()


def _per_day(queryset: QuerySet[Any], moment: str, window: Window) -> Counter[date]:
    in_window = queryset.filter(**{f"{moment}__gte": window.start, f"{moment}__lt": window.end})
    counted = in_window.order_by().values(day=TruncDate(moment, tzinfo=ZoneInfo(window.zone))).annotate(n=Count("pk"))
    return Counter({row["day"]: row["n"] for row in counted})


DELIVERIES_PER_DAY = DataSet(
    key="deliveries_per_day",
    label="Deliveries and subscribers per day",
    description="One row for each day, also those on which nothing happened: mails sent and failed, people who joined.",
    columns=(
        Column("day", "Day", Kind.DATE),
        Column("sent", "Sent", Kind.INTEGER, totals=_COUNTED),
        Column("failed", "Failed", Kind.INTEGER, totals=_COUNTED),
        Column("new", "New subscribers", Kind.INTEGER, totals=_COUNTED),
    ),
    rows=rows,
    count=count,
)
