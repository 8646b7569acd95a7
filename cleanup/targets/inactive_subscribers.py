"""People who have not been readers for a long time: erased, with a keyed hash kept so that nobody adds them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Exists, OuterRef, Q

from cleanup.targets import scopes
from cleanup.targets.registry import Target, Touched
from runs import words


def is_inactive(cutoff: datetime) -> Q:
    """They left every list they were on, or their mailbox does not exist; and since the cutoff nothing happened at all.

    Clicks are counted without knowing whose they are, so reading or not reading decides nothing here.
    """
    subscriptions, deliveries, events, suppressions = (
        apps.get_model(f"newsletters.{name}")._default_manager
        for name in ("Subscription", "Delivery", "ReaderEvent", "Suppression")
    )
    own = subscriptions.filter(subscriber=OuterRef("pk"))
    has_left = Q(Exists(own)) & ~Q(Exists(own.exclude(state="unsubscribed")))
    gone = suppressions.filter(email_norm=OuterRef("email_norm"), reason="hard_bounce", created_at__lt=cutoff)
    moments = ("created_at", "confirmed_at", "unsubscribed_at", "mailed_at")
    recent = Q()
    for name in moments:
        recent |= Q(**{f"{name}__gte": cutoff})
    sent = deliveries.filter(subscriber=OuterRef("pk")).filter(
        Q(sent_at__gte=cutoff) | Q(issue__finished_at=None) | Q(issue__finished_at__gte=cutoff)
    )
    return (
        (has_left | Q(Exists(gone)))
        & ~Q(Exists(own.filter(recent)))
        & ~Q(Exists(sent))
        & ~Q(Exists(events.filter(subscriber=OuterRef("pk"), at__gte=cutoff)))
    )


def _on(list_id: str) -> Q:
    return Q(
        pk__in=apps.get_model("newsletters.Subscription")
        ._default_manager.filter(list=int(list_id))
        .values("subscriber")
    )


def inactive_subscribers(
    erase: Callable[[Sequence[Any], datetime], Mapping[str, int]], touches: tuple[Touched, ...] = ()
) -> Target:
    """Such people.

    Args:
        erase: erases these, everywhere, in the batch's transaction, and says what it deleted.
        touches: what that changes elsewhere.
    """
    return Target(
        key="inactive_subscribers",
        label="People who left long ago, or whose mailbox is gone",
        noun=("person", "people"),
        model="newsletters.Subscriber",
        date_field="created_at",
        order=("pk",),
        floor_days=180,
        condition=is_inactive,
        description="They left every list they were on, or their address does not exist, and nothing was sent to them and "
        "nothing came from them in all that time. They are erased like somebody who asked for it: what names them goes "
        "everywhere but from copies that earlier cleanups kept, which name them until they go themselves. A hash of the address "
        "is kept so that no import brings them back.",
        promise="Whoever is on a list and can be reached stays, whether they read or not: clicks are counted without "
        "knowing whose. Whoever is named in something that is held stays with it. A copy of them would keep what must be "
        "forgotten, so there is none.",
        scopes=(scopes.person("email_norm"),),
        filters=(scopes.by("list", "Only who was on the list", scopes.LISTS, _on),),
        describe=lambda row: f"{row}, since {words.plain_date(row.created_at)}",
        may_archive=False,
        most_per_batch=5,
        remove=erase,
        touches=touches,
    )
