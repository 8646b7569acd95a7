"""Writes the audit trail: one entry per change and per refused attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from runs.models import AuditEntry

Actor = AbstractBaseUser | AnonymousUser | None


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
    return AuditEntry.objects.create(
        actor_id=actor.pk if actor is not None and actor.is_authenticated else None,
        actor_name=str(actor)[:150] if actor is not None else "",
        action=action,
        object_type=target._meta.label_lower if target is not None else "",
        object_id=str(target.pk or "") if target is not None else "",
        object_label=str(target)[:200] if target is not None else "",
        reason=reason[:300],
        before=_plain(before),
        after=_plain(after),
        was_refused=was_refused,
    )


def require(actor: Actor, permission: str, action: str, target: models.Model | None = None) -> None:
    """Checks a permission in the service layer; ``actor`` None is the system and may do all.

    Raises:
        PermissionDenied: the actor lacks it; the attempt is recorded first.
    """
    if actor is None or (isinstance(actor, models.Model) and actor.has_perm(permission)):  # type: ignore[attr-defined]
        return
    record(actor, action, target, was_refused=True, reason=f"lacks {permission}")
    raise PermissionDenied(f"You may not do this ({action}). An administrator can give you the permission.")


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(values or {}), cls=DjangoJSONEncoder, default=str))
    return plain
