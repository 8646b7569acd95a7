"""Who got old issues, and what came back from readers. The numbers stay on the issues."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import OuterRef, Q, Subquery
from django.db.models.lookups import IsNull

from cleanup.targets import scopes
from cleanup.targets.registry import Child, Target
from runs import words

_ENDED = ("sent", "sent_with_problems", "cancelled")
_BOUNCED = ("hard", "soft")


def deliveries(keep: Callable[[Sequence[Any], datetime], None], asked_about: Callable[[], Collection[int]]) -> Target:
    """The recipients of issues that ended.

    Args:
        keep: writes their numbers down on the issues, in the batch's transaction.
        asked_about: the issues whose recipients segments ask about.
    """

    def condition(cutoff: datetime) -> Q:
        issues = apps.get_model("newsletters.Issue")._default_manager.filter(state__in=_ENDED, finished_at__lt=cutoff)
        return Q(issue__in=issues.exclude(pk__in=asked_about()).order_by().values("pk"))

    return Target(
        key="deliveries",
        label="Who got old issues",
        noun=("delivery", "deliveries"),
        model="newsletters.Delivery",
        date_field="issue__finished_at",
        order=("pk",),
        floor_days=30,
        condition=condition,
        description="The recipients of issues that ended long ago, one by one, with what the mail servers said.",
        promise="The numbers stay on each issue and in every report. Issues that are still being sent, and those that a "
        "segment asks about, keep their recipients. Nothing of a cleaned issue can be sent again.",
        children=(Child("newsletters.ReaderEvent", "delivery", "unlink"),),
        filters=(scopes.by_newsletter("issue__newsletter"),),
        scopes=(scopes.newsletter("issue__newsletter"), scopes.person("email_norm", "subscriber__email_norm")),
        describe=lambda row: f"{row.email}, {row.issue}: {row.get_state_display().lower()}",
        describe_related=("issue__newsletter",),
        before_batch=keep,
    )


def not_a_last_bounce(cutoff: datetime) -> Q:
    """Segments ask whose mail has ever bounced, and a second bounce weighs more than a first: one of each stays."""
    events = apps.get_model("newsletters.ReaderEvent")._default_manager
    later = events.filter(subscriber=OuterRef("subscriber"), kind=OuterRef("kind"), pk__gt=OuterRef("pk"))
    is_outlived = Q(IsNull(Subquery(later.order_by("pk").values("pk")[:1]), False))
    return ~Q(kind__in=_BOUNCED) | Q(subscriber=None) | is_outlived


READER_EVENTS = Target(
    key="reader_events",
    label="What came back from readers long ago",
    noun=("reader event", "reader events"),
    model="newsletters.ReaderEvent",
    date_field="at",
    order=("pk",),
    floor_days=30,
    condition=not_a_last_bounce,
    description="Bounces, complaints, confirmations, changes of preferences and unsubscriptions, one by one.",
    promise="The numbers stay on each issue, the list of addresses never to write to stays, and so does the last bounce "
    "of each reader.",
    filters=(scopes.by_newsletter("issue__newsletter"),),
    scopes=(
        scopes.newsletter("issue__newsletter"),
        scopes.person("subscriber__email_norm", "delivery__email_norm"),
    ),
    describe=lambda row: f"{row.get_kind_display()}, {words.plain_date(row.at)}",
)
