"""Writes the audit trail: one entry per change and per refused attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from runs.models import AuditEntry

Actor = AbstractBaseUser | AnonymousUser | None

REPEAT = timedelta(minutes=1)
"""The same refused attempt within this time is counted in the entry that is there."""
MOST_PER_HOUR = 60
"""Further refused attempts of one person within the hour are only counted, in one entry."""
FURTHER = "made further attempts"
_LOOKED_BACK = 200


@dataclass(frozen=True)
class Attempt:
    """What somebody tried and may not."""

    actor: Actor
    action: str
    object_type: str = ""
    object_id: str = ""
    object_label: str = ""
    reason: str = ""

    @classmethod
    def on(cls, actor: Actor, action: str, target: models.Model | None, reason: str) -> Attempt:
        """An attempt on one row, or on none in particular; the row is called as it is stored, not as somebody typed."""
        stored = None if target is None else type(target)._default_manager.filter(pk=target.pk).first()
        object_type, object_id, _ = _said(target)
        return cls(actor, action[:60], object_type, object_id, _said(stored)[2], reason[:300])


class Refused(PermissionDenied):
    """A refusal that was recorded; it carries what was tried, for when a transaction takes the entry back."""

    def __init__(self, words: str, attempt: Attempt, entry: AuditEntry) -> None:
        super().__init__(words)
        self.attempt = attempt
        self.entry_id, self.at, self.count = entry.pk, entry.at, attempts(entry)


def record(
    actor: Actor,
    action: str,
    target: models.Model | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    was_refused: bool = False,
) -> AuditEntry:
    """Adds one entry; ``actor`` is None when the system itself acted."""
    object_type, object_id, object_label = _said(target)
    return AuditEntry.objects.create(
        **_who(actor),
        action=action,
        object_type=object_type,
        object_id=object_id,
        object_label=object_label,
        reason=reason[:300],
        before=_plain(before),
        after=_plain(after),
        was_refused=was_refused,
    )


def require(actor: Actor, permission: str, action: str, target: models.Model | None = None) -> None:
    """Checks a permission in the service layer; ``actor`` None is the system and may do all.

    Raises:
        Refused: the actor lacks it; the attempt is recorded first.
    """
    if actor is None or (isinstance(actor, models.Model) and actor.has_perm(permission)):  # type: ignore[attr-defined]
        return
    attempt = Attempt.on(actor, action, target, f"lacks {permission}")
    words = f"You may not do this ({action}). An administrator can give you the permission."
    raise Refused(words, attempt, record_refusal(attempt))


def record_refusal(attempt: Attempt) -> AuditEntry:
    """Adds an entry, or counts the attempt in the one that is there: a flood never fills the table."""
    now = timezone.now()
    who = _who(attempt.actor)
    latest = AuditEntry.objects.order_by("-id")[:_LOOKED_BACK]
    recent = [
        entry
        for entry in latest
        if entry.was_refused and entry.at > now - timedelta(hours=1)
        and (entry.actor_id, entry.actor_name) == (who["actor_id"], who["actor_name"])
    ]  # fmt: skip
    same = (attempt.action, attempt.object_type, attempt.object_id, attempt.reason)
    for entry in recent:
        is_same = (entry.action, entry.object_type, entry.object_id, entry.reason) == same
        if (is_same and entry.at > now - REPEAT) or entry.action == FURTHER:
            entry.after = {"attempts": attempts(entry) + 1}
            entry.save(update_fields=["after"])
            return entry
    if len(recent) >= MOST_PER_HOUR:
        reason = f"After {MOST_PER_HOUR} refused attempts within an hour, the rest is only counted."
        return AuditEntry.objects.create(**who, action=FURTHER, reason=reason, was_refused=True)
    return AuditEntry.objects.create(
        **who, action=attempt.action, object_type=attempt.object_type, object_id=attempt.object_id,
        object_label=attempt.object_label, reason=attempt.reason, was_refused=True,
    )  # fmt: skip


def keep_refusal(refused: Refused) -> None:
    """Writes the entry of a refusal again where the transaction around it was rolled back."""
    # The number alone says nothing: after a rollback another row may get it.
    entry = AuditEntry.objects.filter(pk=refused.entry_id, at=refused.at, was_refused=True).first()
    if entry is None or attempts(entry) < refused.count:
        record_refusal(refused.attempt)


def attempts(entry: AuditEntry) -> int:
    """How many times in a row this was tried."""
    return int(entry.after.get("attempts", 1))


def _who(actor: Actor) -> dict[str, Any]:
    return {
        "actor_id": actor.pk if actor is not None and actor.is_authenticated else None,
        "actor_name": str(actor)[:150] if actor is not None else "",
    }


def _said(target: models.Model | None) -> tuple[str, str, str]:
    if target is None:
        return "", "", ""
    return target._meta.label_lower, str(target.pk or ""), str(target)[:200]


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(values or {}), cls=DjangoJSONEncoder, default=str))
    return plain
