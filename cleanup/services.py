"""Everything that changes a policy or a hold. Each function checks the permission and writes an audit entry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from cleanup import planner, targets
from cleanup.models import MAX_DAYS, CleanupPolicy, CleanupPreview, Hold
from runs import audit, clock, words
from runs.audit import Actor
from schedules import targets as schedule_targets

PREVIEW_LASTS = timedelta(hours=24)


def check_rule(keys: Sequence[str], days: int | None, max_rows: int | None) -> None:
    """Raises ValidationError with a message per field for a rule that must not run."""
    errors: dict[str, str] = {}
    known = {target.key: target for target in targets.all_targets()}
    unknown = [key for key in keys if key not in known]
    if not keys:
        errors["targets"] = "Choose at least one thing to clean."
    elif unknown:
        errors["targets"] = f"“{unknown[0]}” cannot be cleaned here. Choose from the list."
    else:
        floor = max(known[key].floor_days for key in keys)
        strictest = next(known[key] for key in keys if known[key].floor_days == floor)
        if days is None or days < floor:
            errors["days"] = (
                f"{strictest.label} are kept for at least {words.counted(floor, 'day')}. Write {floor} or more."
            )
        elif days > MAX_DAYS:
            errors["days"] = f"Write at most {MAX_DAYS} days."
    if max_rows is not None and max_rows < 1:
        errors["max_rows"] = "Write at least 1, or leave it empty for no limit."
    if errors:
        raise ValidationError(errors)


def save_policy(actor: Actor, policy: CleanupPolicy) -> CleanupPolicy:
    """Creates or changes a policy. A changed rule switches it off until it has been previewed again."""
    is_new = policy.pk is None
    permission = "cleanup.add_cleanuppolicy" if is_new else "cleanup.change_cleanuppolicy"
    audit.require(actor, permission, "save the policy", None if is_new else policy)
    check_rule(policy.targets, policy.days, policy.max_rows)
    with transaction.atomic():
        before = CleanupPolicy.objects.filter(pk=policy.pk).first()
        policy.is_enabled = before is not None and before.is_enabled and before.rule() == policy.rule()
        if is_new:
            policy.owner_id = actor.pk if actor is not None else None
        policy.save()
        audit.record(
            actor, "created the policy" if is_new else "changed the policy", policy,
            before=before.rule() if before else {}, after=policy.rule(),
        )  # fmt: skip
    return policy


def preview_policy(actor: Actor, policy_id: int) -> CleanupPreview:
    """Counts what the policy would delete now, and keeps the answer."""
    policy = CleanupPolicy.objects.get(pk=policy_id)
    audit.require(actor, "cleanup.view_cleanuppolicy", "preview the policy", policy)
    check_rule(policy.targets, policy.days, policy.max_rows)
    findings = planner.find(policy, clock.now())
    with transaction.atomic():
        preview = CleanupPreview.objects.create(
            policy=policy,
            rule_hash=planner.rule_hash(policy),
            findings=planner.as_json(findings),
            created_at=clock.now(),
            created_by_id=actor.pk if actor is not None else None,
        )
        audit.record(actor, "previewed the policy", policy, after={"rows": preview.total})
    return preview


def valid_preview(policy: CleanupPolicy) -> CleanupPreview | None:
    """The latest preview of this very rule that is under 24 hours old."""
    fresh = policy.previews.filter(rule_hash=planner.rule_hash(policy), created_at__gt=clock.now() - PREVIEW_LASTS)
    return fresh.order_by("-id").first()


def enable_policy(actor: Actor, policy_id: int) -> CleanupPolicy:
    """Lets schedules run it. Refused without a fresh preview of the same rule."""
    policy = CleanupPolicy.objects.get(pk=policy_id)
    audit.require(actor, "cleanup.run_cleanup", "enable the policy", policy)
    check_rule(policy.targets, policy.days, policy.max_rows)
    if valid_preview(policy) is None:
        raise ValidationError("Preview it first: the last preview is missing, older than 24 hours, or of another rule.")
    return _switch(actor, policy, True, "enabled the policy")


def disable_policy(actor: Actor, policy_id: int) -> CleanupPolicy:
    """Keeps schedules from running it."""
    policy = CleanupPolicy.objects.get(pk=policy_id)
    audit.require(actor, "cleanup.run_cleanup", "disable the policy", policy)
    return _switch(actor, policy, False, "disabled the policy")


def delete_policy(actor: Actor, policy_id: int) -> None:
    """Removes the policy; what its runs deleted stays recorded.

    Raises:
        ValidationError: schedules still run it.
        PermissionDenied: the actor may not.
    """
    policy = CleanupPolicy.objects.get(pk=policy_id)
    audit.require(actor, "cleanup.delete_cleanuppolicy", "delete the policy", policy)
    with transaction.atomic():
        schedule_targets.require_unused(policy)
        audit.record(actor, "deleted the policy", policy, before=policy.rule())
        policy.delete()


def add_hold(actor: Actor, *, target: str, object_id: str, reason: str, until: datetime | None = None) -> Hold:
    """Keeps a row, or all rows of a target, from being cleaned."""
    audit.require(actor, "cleanup.add_hold", "add a hold")
    if target not in {known.key for known in targets.all_targets()}:
        raise ValidationError({"target": "Choose what to hold from the list."})
    if not reason.strip():
        raise ValidationError({"reason": "Say why it must be kept."})
    if until is not None and until <= clock.now():
        raise ValidationError({"until": "That time has passed. Choose a later one, or leave it empty."})
    with transaction.atomic():
        hold = Hold.objects.create(
            target=target, object_id=object_id.strip(), reason=reason.strip(), until=until,
            created_by_id=actor.pk if actor is not None else None,
        )  # fmt: skip
        audit.record(actor, "added a hold", hold, reason=reason)
    return hold


def release_hold(actor: Actor, hold_id: int) -> None:
    """Lets what was held be cleaned again."""
    hold = Hold.objects.get(pk=hold_id)
    audit.require(actor, "cleanup.delete_hold", "release the hold", hold)
    with transaction.atomic():
        audit.record(actor, "released the hold", hold, before={"target": hold.target, "object_id": hold.object_id})
        hold.delete()


def _switch(actor: Actor, policy: CleanupPolicy, enabled: bool, action: str) -> CleanupPolicy:
    with transaction.atomic():
        before = {"is_enabled": policy.is_enabled}
        policy.is_enabled = enabled
        policy.save(update_fields=["is_enabled", "changed_at"])
        audit.record(actor, action, policy, before=before, after={"is_enabled": enabled})
    return policy
