"""Who got a report, and who holds links to it, for the page of one report run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import template
from django.db.models import Count
from django.utils.safestring import SafeString

from reports import mailing, recipients, share_links
from reports.models import ReportDelivery, ReportRun, ShareLink
from runs import clock
from runs.pages import chip

register = template.Library()

LISTED = 100
"""Rows on the page; those that need somebody come first."""
_URGENT = (ReportDelivery.State.FAILED, ReportDelivery.State.LEFT_OUT, ReportDelivery.State.WAITING)
_CHIPS = {
    ReportDelivery.State.SENT: "good",
    ReportDelivery.State.FAILED: "bad",
    ReportDelivery.State.LEFT_OUT: "warn",
    ReportDelivery.State.WAITING: "live",
}


@dataclass(frozen=True)
class Deliveries:
    """The rows that are shown, and how many more there are."""

    rows: list[ReportDelivery]
    more: int
    can_mail_again: bool
    most_attempts: int = mailing.MOST_ATTEMPTS


@register.simple_tag
def deliveries_of(report_run: ReportRun) -> Deliveries:
    """Everybody who was told of the report, with what became of it; those whom it did not reach come first."""
    all_rows = ReportDelivery.objects.filter(report_run=report_run).select_related("user")
    counts = dict(all_rows.order_by().values_list("state").annotate(Count("pk")))
    rows: list[ReportDelivery] = []
    for state in (*_URGENT, ReportDelivery.State.SENT):
        rows += all_rows.filter(state=state).order_by("pk")[: LISTED - len(rows)] if len(rows) < LISTED else []
    unreached = all_rows.filter(state__in=(ReportDelivery.State.FAILED, ReportDelivery.State.LEFT_OUT))
    unreached = unreached.exclude(address="").exclude(why=recipients.UNSUBSCRIBED)
    return Deliveries(rows, sum(counts.values()) - len(rows), unreached.exists())


@register.simple_tag
def links_of(report_run: ReportRun) -> list[ShareLink]:
    """The links that were mailed outside, newest first, each with how often files were taken by it."""
    links = ShareLink.objects.filter(report_run=report_run).select_related("revoked_by")
    return list(links.annotate(taken=Count("downloads")).order_by("-id")[:LISTED])


@register.filter
def delivery_chip(delivery: ReportDelivery) -> SafeString:
    """ "Sent", "Failed", "Left out", "Will try again"."""
    state = ReportDelivery.State(delivery.state)
    is_again = state == ReportDelivery.State.WAITING and delivery.attempts > 0
    return chip(_CHIPS[state], "Will try again" if is_again else state.label)


@register.filter
def link_chip(link: ShareLink) -> SafeString:
    """ "Works", "Taken back", "Over"."""
    if link.revoked_at is not None:
        return chip("quiet", "Taken back")
    return chip("good", "Works") if link.expires_at > clock.now() else chip("quiet", "Over")


@register.filter
def still_works(link: ShareLink) -> bool:
    """Whether there is anything to take back."""
    return link.revoked_at is None and link.expires_at > clock.now()


@register.simple_tag(takes_context=True)
def may_take_back(context: dict[str, Any]) -> bool:
    """Whether the reader of the page may take links back."""
    return _may(context, (share_links.PERMISSION,))


def _may(context: dict[str, Any], permissions: Iterable[str]) -> bool:
    request = context.get("request")
    return request is not None and all(request.user.has_perm(one) for one in permissions)
