"""Sign-ups that were never confirmed, and the people who are left on no list."""

from __future__ import annotations

from datetime import datetime

from django.apps import apps
from django.db.models import Exists, OuterRef, Q

from cleanup.targets import scopes
from cleanup.targets.registry import Child, Target
from runs import words

UNCONFIRMED_SUBSCRIPTIONS = Target(
    key="unconfirmed_subscriptions",
    label="Sign-ups that were never confirmed",
    noun=("unconfirmed subscription", "unconfirmed subscriptions"),
    model="newsletters.Subscription",
    date_field="created_at",
    floor_days=7,
    # Whoever was asked again a moment ago still has time to answer.
    condition=lambda cutoff: Q(state="pending") & (Q(mailed_at=None) | Q(mailed_at__lt=cutoff)),
    description="Someone wrote an address on the sign-up page and never opened the link in the mail.",
    promise="Confirmed readers stay, and so does everybody who left: their wish must not be forgotten.",
    filters=(scopes.by_list("list"),),
    scopes=(scopes.person("subscriber__email_norm"),),
    describe=lambda row: f"{row.subscriber}, since {words.plain_date(row.created_at)}",
    describe_related=("subscriber",),
)


def on_no_list(cutoff: datetime) -> Q:
    """Nothing was ever sent to them, nothing came from them, and no list has them, not even as somebody who left."""
    own = {
        name: apps.get_model(f"newsletters.{name}")._default_manager.filter(subscriber=OuterRef("pk"))
        for name in ("Subscription", "Delivery", "ReaderEvent")
    }
    return ~Q(Exists(own["Subscription"])) & ~Q(Exists(own["Delivery"])) & ~Q(Exists(own["ReaderEvent"]))


LEFT_ON_NO_LIST = Target(
    key="people_on_no_list",
    label="People on no list who never got anything",
    noun=("person on no list", "people on no list"),
    model="newsletters.Subscriber",
    date_field="created_at",
    floor_days=30,
    condition=on_no_list,
    description="What sign-ups leave behind when they are cleaned. They can sign up again at any time.",
    promise="Whoever is or was on a list stays, and so does who got a mail or answered, as long as that is on record.",
    children=(
        Child("newsletters.Subscription", "subscriber"),
        Child("newsletters.Delivery", "subscriber", "unlink"),
        Child("newsletters.ReaderEvent", "subscriber", "unlink"),
    ),
    scopes=(scopes.person("email_norm"),),
    describe=lambda row: f"{row}, since {words.plain_date(row.created_at)}",
)
