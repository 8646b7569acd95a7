"""Issues: one row for each sending that began in the window, with what became of its mails and what came back."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import QuerySet

from reports.datasets.numbers import percent
from reports.datasets.registry import Column, DataSet, Kind, Total
from reports.periods import Window

_COUNTED = (Total.SUM, Total.AVERAGE, Total.LEAST, Total.MOST)
_RATE = (Total.AVERAGE, Total.LEAST, Total.MOST)


def queryset(window: Window) -> QuerySet[Any]:
    """By the moment at which its sending began."""
    issues = apps.get_model("newsletters", "Issue")._default_manager
    return issues.filter(started_at__gte=window.start, started_at__lt=window.end)


ISSUES = DataSet(
    key="issues",
    label="Issues: deliveries and what came back",
    description="One row for each issue whose sending began in these days: how many got it, bounced, left and clicked.",
    permission="newsletters.view_issue",
    columns=(
        Column("started", "Sending began", Kind.MOMENT, "started_at", is_group=True),
        Column("newsletter", "Newsletter", source="newsletter__name", is_group=True),
        Column("subject", "Subject"),
        Column("state", "State", choices=(
            ("preparing", "Being prepared"), ("running", "Being sent"), ("paused", "Paused"), ("sent", "Sent"),
            ("sent_with_problems", "Sent, with problems"), ("cancelled", "Cancelled"),
        ), is_group=True),
        Column("planned", "Planned", Kind.INTEGER, totals=_COUNTED),
        Column("sent", "Sent", Kind.INTEGER, totals=_COUNTED),
        Column("failed", "Failed", Kind.INTEGER, totals=_COUNTED),
        Column("skipped", "Left out", Kind.INTEGER, totals=_COUNTED),
        Column("uncertain", "Uncertain", Kind.INTEGER, totals=_COUNTED),
        Column("bounced", "Bounced", Kind.INTEGER, totals=_COUNTED),
        Column("complained", "Marked as spam", Kind.INTEGER, totals=_COUNTED),
        Column("unsubscribed", "Unsubscribed", Kind.INTEGER, totals=_COUNTED),
        Column("clicks", "Clicks", Kind.INTEGER, totals=_COUNTED),
        Column("sent_rate", "Sent (%)", Kind.DECIMAL, percent("sent", "planned"), totals=_RATE),
        Column("bounce_rate", "Bounced (%)", Kind.DECIMAL, percent("bounced", "sent"), totals=_RATE),
        Column("leaving_rate", "Unsubscribed (%)", Kind.DECIMAL, percent("unsubscribed", "sent"), totals=_RATE),
        Column("click_rate", "Clicks (% of sent)", Kind.DECIMAL, percent("clicks", "sent"), totals=_RATE),
    ),
    queryset=queryset,
    order=("started",),
)  # fmt: skip
