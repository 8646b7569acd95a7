"""When a second person must agree to a cleanup, who that may be, and to what exactly they agree."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.urls import reverse

from cleanup import findings, guard, planner
from cleanup.models import CleanupApproval, CleanupPolicy, CleanupPreview
from runs import approvers, words
from runs.audit import Actor
from runs.models import AuditEntry

APPROVE = "cleanup.approve_cleanup"
LASTS = timedelta(days=7)
"""How long an approval lets runs delete so many rows."""
LEEWAY = 1.1
"""Rows go on growing old between the preview and the run."""
_CHANGED = ("created the policy", "changed the policy")
_LIMITS = {
    "approve_above_rows": "above {} rows",
    "approve_above_percent": "above {} % of a table",
    "approve_above_times": "above {} times the usual",
}


def allowed_rows(policy: CleanupPolicy, preview: CleanupPreview) -> int:
    """How many rows an approval of this preview lets a run delete: what was counted, and a little more."""
    rows = guard.capped(policy, findings.of_preview(preview))
    return max(rows, round(rows * LEEWAY))


def waiting(policy: CleanupPolicy) -> CleanupApproval | None:
    """What somebody asked for and nobody has answered, of the rule as it stands."""
    found = CleanupApproval.objects.filter(
        policy=policy, rule_hash=planner.rule_hash(policy), approved_at=None, refused_at=None
    )
    return found.select_related("asked_by", "preview").order_by("-id").first()


def refused(policy: CleanupPolicy) -> CleanupApproval | None:
    """The last answer, where it was no, of the rule as it stands."""
    found = CleanupApproval.objects.filter(policy=policy, rule_hash=planner.rule_hash(policy)).order_by("-id").first()
    return found if found is not None and found.refused_at is not None else None


def makers(policy: CleanupPolicy, asked_by_id: int | None) -> set[int]:
    """Who cannot approve the rule: whoever asked, and whoever wrote it last. A new name or another limit is no new rule."""
    found = {asked_by_id} if asked_by_id else set()
    entries = AuditEntry.objects.filter(
        object_type=policy._meta.label_lower, object_id=str(policy.pk), was_refused=False, action__in=_CHANGED
    )
    for actor_id, before, after in entries.order_by("-id").values_list("actor_id", "before", "after").iterator():
        if "days" in after and before.get("version") != after.get("version"):
            if actor_id:
                found.add(actor_id)
            break
    return found


def why_not(policy: CleanupPolicy, asked: CleanupApproval | None, person: AbstractBaseUser) -> str:
    """Why this person may not approve it, in words; empty when they may."""
    if not person.has_perm(APPROVE):  # type: ignore[attr-defined]
        return "You may not approve cleanups. An administrator can give you the permission."
    if asked is not None and person.pk == asked.asked_by_id:
        return "You asked for this approval, so somebody else must give it."
    if person.pk in makers(policy, None):
        return "You wrote this rule last, so somebody else must approve it."
    return ""


def ask(policy: CleanupPolicy, asked: CleanupApproval, rows: int) -> int:
    """Leaves a notice for everybody who may approve it; returns how many were told."""
    text = f"The cleanup “{policy}” waits for your approval: it would delete {words.counted(rows, 'row')}."
    return approvers.tell(APPROVE, text, url=page_of(policy), but=makers(policy, asked.asked_by_id))


def lifted(before: CleanupPolicy, after: CleanupPolicy) -> list[str]:
    """Each limit that asks for less than it did, in words."""
    found = []
    for name, noun in _LIMITS.items():
        old, new = getattr(before, name), getattr(after, name)
        if old is not None and (new is None or new > old):
            found.append(f"{noun.format(f'{old:,}')} before, {'never' if new is None else noun.format(f'{new:,}')} now")
    return found


def tell_lifted(policy: CleanupPolicy, actor: Actor, changes: Sequence[str]) -> None:
    """Leaves a notice for everybody else who may approve: nobody lifts a limit unseen."""
    text = f"{actor or 'Almanac'} changed when “{policy}” asks for approval: {'; '.join(changes)}."
    approvers.tell(APPROVE, text, url=page_of(policy), but=[getattr(actor, "pk", None)])


def page_of(policy: CleanupPolicy) -> str:
    """The address of the policy's page."""
    return reverse("admin:cleanup_cleanuppolicy_detail", args=[policy.pk])
