"""The registry of what may be cleaned. Nothing that is not registered here is ever deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Q, QuerySet

from runs import words


@dataclass(frozen=True)
class Target:
    """One kind of row that may be cleaned."""

    key: str
    label: str
    """What staff read when choosing: "Expired sign-in sessions"."""
    noun: tuple[str, str]
    """Singular and plural for counts: ("expired session", "expired sessions")."""
    model: str
    """The model as "app_label.ModelName"; looked up late, so that no app is imported here."""
    date_field: str
    """A row is eligible when this is before the cutoff."""
    floor_days: int
    """The least age that a policy may name."""
    condition: Q = field(default_factory=Q)
    """What else must hold for a row to be eligible."""
    describe: Callable[[Any], str] = str
    """A row in words, for samples."""

    def eligible(self, cutoff: datetime) -> QuerySet[Any]:
        """Rows that are old enough, without regard to holds."""
        model = apps.get_model(self.model)
        rows: QuerySet[Any] = model._default_manager.filter(self.condition, **{f"{self.date_field}__lt": cutoff})
        return rows

    def counted(self, count: int) -> str:
        """ "1 expired session", "1,234 expired sessions"."""
        return words.counted(count, *self.noun)


_registry: dict[str, Target] = {}


def register(target: Target) -> None:
    """Adds a target; the same key again replaces it."""
    _registry[target.key] = target


def get(key: str) -> Target:
    """The target with this key. Raises KeyError."""
    return _registry[key]


def label(key: str) -> str:
    """What staff read for this key, also when its target is no longer registered."""
    return _registry[key].label if key in _registry else key


def all_targets() -> list[Target]:
    """Every registered target, in the order they were registered."""
    return list(_registry.values())


register(
    Target(
        key="sessions",
        label="Expired sign-in sessions",
        noun=("expired session", "expired sessions"),
        model="sessions.Session",
        date_field="expire_date",
        floor_days=1,
        describe=lambda session: f"Session that expired on {session.expire_date:%d %b %Y}",
    )
)
register(
    Target(
        key="unconfirmed_subscriptions",
        label="Sign-ups that were never confirmed",
        noun=("unconfirmed subscription", "unconfirmed subscriptions"),
        model="newsletters.Subscription",
        date_field="created_at",
        floor_days=7,
        condition=Q(state="pending"),
        describe=lambda subscription: f"{subscription.subscriber}, since {subscription.created_at:%d %b %Y}",
    )
)
