"""Deliveries: one row for each recipient of the issues whose sending began in the window. May be millions."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Case, CharField, QuerySet, Value, When
from django.db.models.expressions import Combinable

from reports.datasets.registry import Column, DataSet, Kind, Total
from reports.periods import Window

_STATES = {
    0: ("waiting", "Waiting"), 1: ("sending", "Being sent"), 2: ("deferred", "Trying again later"),
    3: ("sent", "Sent"), 4: ("failed", "Failed"), 5: ("left_out", "Left out"), 6: ("uncertain", "Uncertain"),
}  # fmt: skip
"""Stored as small numbers, for want of space; staff see and choose words."""


def queryset(window: Window) -> QuerySet[Any]:
    """Whatever became of each: one that failed or was left out has no moment of its own, its issue has."""
    deliveries = apps.get_model("newsletters", "Delivery")._default_manager
    return deliveries.filter(issue__started_at__gte=window.start, issue__started_at__lt=window.end)


def _state() -> Combinable:
    words = [When(state=number, then=Value(value)) for number, (value, _) in _STATES.items()]
    return Case(*words, default=Value(""), output_field=CharField())


DELIVERIES = DataSet(
    key="deliveries",
    label="Deliveries, recipient by recipient",
    description="One row for each recipient of the issues whose sending began in these days, without those that a cleanup removed. It names people.",
    permission="newsletters.view_subscriber",
    columns=(
        Column("newsletter", "Newsletter", source="issue__newsletter__name", is_group=True),
        Column("subject", "Issue", source="issue__subject", is_group=True),
        Column("began", "Sending began", Kind.MOMENT, "issue__started_at", is_group=True),
        Column("email", "E-mail"),
        Column("name", "Name"),
        Column("state", "State", source=_state(), choices=tuple(_STATES.values()), is_group=True),
        Column("sent", "Sent", Kind.MOMENT, "sent_at", is_group=True),
        Column("attempts", "Attempts", Kind.INTEGER, totals=(Total.SUM, Total.AVERAGE, Total.MOST)),
        Column("reply", "Reply of the mail server", Kind.INTEGER, "code", is_group=True),
        Column("reason", "Reason", source="text"),
    ),
    queryset=queryset,
)
