"""Everything that changes a policy. Each function checks the permission and writes an audit entry."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from cleanup import approval, backlog, findings, guard, planner, policy_checks
from cleanup.drafts import PolicyDraft
from cleanup.models import CleanupApproval, CleanupPolicy, CleanupPreview
from runs import audit, clock, locking, notices, words
from runs.audit import Actor
from runs.models import RunEvent
from schedules import targets as schedule_targets

PREVIEW_LASTS = timedelta(hours=24)
CHANGE = "cleanup.change_cleanuppolicy"
RUN = "cleanup.run_cleanup"
DECIDE = (RUN, CHANGE, "cleanup.add_cleanuppolicy", approval.APPROVE)
"""Whoever may do one of these decides about cleanups; others look on."""
SECONDS = 10.0
"""How long a preview may count that is kept: longer than one that only looks on while somebody types."""
_NOTHING_WAITS = "Nothing waits for approval: the rule was changed, or somebody has decided already."
_FIRST = "Preview it first: the last preview is missing, older than 24 hours, or of another rule."


def save_policy(actor: Actor, policy: CleanupPolicy) -> CleanupPolicy:
    """Creates or changes a policy. A changed rule switches it off until it has been previewed again.

    Raises:
        ValidationError: with a message per field.
        PermissionDenied: the actor may not.
    """
    is_new = policy.pk is None
    permission = "cleanup.add_cleanuppolicy" if is_new else CHANGE
    audit.require(actor, permission, "save the policy", None if is_new else policy)
    draft = PolicyDraft.of(policy)
    with transaction.atomic():
        before = None if is_new else _locked(policy.pk)
        policy_checks.check(draft, before)
        is_same_rule = before is not None and before.rule() == policy.rule()
        policy.is_enabled = before is not None and before.is_enabled and is_same_rule
        policy.version = 1 if before is None else before.version + (not is_same_rule)
        if is_new and policy.owner_id is None:
            policy.owner_id = actor.pk if actor is not None else None
        policy.save()
        audit.record(
            actor, "created the policy" if is_new else "changed the policy", policy,
            before={**PolicyDraft.of(before).facts(), "version": before.version} if before else {}, after={**draft.facts(), "version": policy.version},
        )  # fmt: skip
        if before is not None and (lifted := approval.lifted(before, policy)):
            approval.tell_lifted(policy, actor, lifted)
    return policy


def preview_policy(actor: Actor, policy_id: int) -> CleanupPreview:
    """Counts what the policy would delete now, and keeps the answer; not for those who only look on, since by what is kept
    others switch it on."""
    policy = CleanupPolicy.objects.get(pk=policy_id)
    audit.require(actor, "cleanup.view_cleanuppolicy", "preview the policy", policy)
    policy_checks.check_rule(PolicyDraft.of(policy))
    plan = planner.preview(policy, clock.now(), seconds=SECONDS)
    preview = CleanupPreview(
        policy=policy, rule_hash=planner.rule_hash(policy), version=policy.version, findings=plan.as_json(),
        total=plan.total, is_estimate=plan.is_estimate, created_at=clock.now(),
        created_by_id=actor.pk if actor is not None else None,
    )  # fmt: skip
    with transaction.atomic():
        if actor is None or any(actor.has_perm(one) for one in DECIDE):  # type: ignore[union-attr]
            preview.save()
        audit.record(actor, "previewed the policy", policy, after={"rows": preview.total, "preview": preview.pk})
    return preview


def valid_preview(policy: CleanupPolicy) -> CleanupPreview | None:
    """The latest preview of this very rule that is under 24 hours old."""
    now = clock.now()  # one that was made while the clock was ahead is none
    fresh = policy.previews.filter(
        rule_hash=planner.rule_hash(policy), created_at__gt=now - PREVIEW_LASTS, created_at__lte=now
    )
    return fresh.select_related("created_by").order_by("-id").first()


def enable_policy(actor: Actor, policy_id: int) -> CleanupPolicy:
    """Lets schedules run it.

    Raises:
        ValidationError: it has no fresh preview of the same rule, or a second person has to agree first.
    """
    policy = CleanupPolicy.objects.get(pk=policy_id)
    audit.require(actor, RUN, "enable the policy", policy)
    with transaction.atomic():
        policy = _locked(policy_id)
        policy_checks.check_rule(PolicyDraft.of(policy))
        preview = valid_preview(policy)
        if preview is None:
            raise ValidationError(_FIRST)
        if why := unapproved(policy, preview):
            raise ValidationError(f"Somebody else has to agree first. {' '.join(why)}")
        policy.enabled_rule_hash = preview.rule_hash
        policy.previews.filter(enabled_it=True).exclude(pk=preview.pk).update(enabled_it=False)
        policy.previews.filter(pk=preview.pk).update(enabled_it=True)
        return _switch(actor, policy, True, "enabled the policy")


def unapproved(policy: CleanupPolicy, preview: CleanupPreview) -> tuple[str, ...]:
    """The limits that the preview goes over, unless somebody agreed to so many rows."""
    plan = findings.of_preview(preview)
    if guard.valid_approval(policy, clock.now(), rows=guard.capped(policy, plan)) is not None:
        return ()
    return guard.reasons_for_approval(policy, plan)


def disable_policy(actor: Actor, policy_id: int) -> CleanupPolicy:
    """Keeps schedules from running it."""
    policy = CleanupPolicy.objects.get(pk=policy_id)
    audit.require(actor, RUN, "disable the policy", policy)
    with transaction.atomic():
        backlog.forget(policy_id)
        return _switch(actor, _locked(policy_id), False, "disabled the policy")


def ask_for_approval(actor: Actor, policy_id: int) -> tuple[CleanupApproval, int]:
    """Asks those who may approve it, by a notice; returns what was asked and how many were told."""
    policy = CleanupPolicy.objects.get(pk=policy_id)
    audit.require(actor, RUN, "ask for approval of the policy", policy)
    with transaction.atomic():
        policy = _locked(policy_id)
        preview = valid_preview(policy)
        if preview is None:
            raise ValidationError(_FIRST)
        if not (why := unapproved(policy, preview)):
            raise ValidationError("Nobody has to agree: it stays within its limits. Enable it.")
        asked = approval.waiting(policy)
        if asked is not None and asked.preview_id == preview.pk:
            raise ValidationError("Somebody has asked already; whoever may approve it has been told.")
        # A newer preview is what the approver shall see.
        CleanupApproval.objects.filter(policy=policy, approved_at=None, refused_at=None).delete()
        asked = CleanupApproval.objects.create(
            policy=policy, preview=preview, rule_hash=preview.rule_hash, asked_at=clock.now(), why=" ".join(why)[:300],
            asked_by_id=actor.pk if actor is not None else None, rows_allowed=approval.allowed_rows(policy, preview),
        )  # fmt: skip
        audit.record(
            actor, "asked for approval of the policy", policy, after={"preview": preview.pk, "rows": preview.total}
        )
        told = approval.ask(policy, asked, preview.total)
    return asked, told


def approve_policy(actor: Actor, policy_id: int, seen: str, note: str = "") -> CleanupApproval:
    """Agrees to so many rows of this very rule for a week. ``seen`` names the request that was looked at.

    Raises:
        ValidationError: nothing waits, another rule does by now, or the actor asked for it or wrote the rule.
    """
    found = _decide(actor, policy_id, seen, "approve the policy")
    with transaction.atomic():
        asked = _undecided(found)
        asked.approved_by_id = actor.pk if actor is not None else None
        asked.approved_at = clock.now()
        asked.until = asked.approved_at + approval.LASTS
        asked.note = note.strip()
        asked.save()
        after = {"preview": asked.preview_id, "rows_allowed": asked.rows_allowed, "until": asked.until}
        audit.record(actor, "approved the policy", asked.policy, after=after, reason=note)
        allowed = words.counted(asked.rows_allowed, "row")
        _answer(asked, f"“{asked.policy}” was approved by {actor}, for up to {allowed} a run. It can be enabled now.")
    return asked


def refuse_policy(actor: Actor, policy_id: int, seen: str, note: str) -> CleanupApproval:
    """Says no, and why."""
    if not note.strip():
        raise ValidationError({"note": "Say why, for whoever asked."})
    found = _decide(actor, policy_id, seen, "refuse the policy")
    with transaction.atomic():
        asked = _undecided(found)
        asked.refused_at, asked.note = clock.now(), note.strip()
        asked.save()
        audit.record(actor, "refused the policy", asked.policy, reason=note)
        _answer(asked, f"“{asked.policy}” was not approved by {actor}: {note.strip()}")
    return asked


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
        audit.record(actor, "deleted the policy", policy, before=PolicyDraft.of(policy).facts())
        backlog.forget(policy.pk)
        policy.delete()


def seen_of(asked: CleanupApproval) -> str:
    """What an approver's form carries, so that nothing else can be approved than what was shown."""
    return f"{asked.pk}-{asked.rule_hash[:16]}"


def _decide(actor: Actor, policy_id: int, seen: str, action: str) -> CleanupApproval:
    """What is decided about, once it is sure that this actor may."""
    policy = CleanupPolicy.objects.get(pk=policy_id)
    audit.require(actor, approval.APPROVE, action, policy)
    asked = approval.waiting(policy)
    if asked is None:
        raise ValidationError(_NOTHING_WAITS)
    if seen != seen_of(asked):
        raise ValidationError("It was asked for anew while you looked. Look at what is shown now.")
    if actor is not None and (problem := approval.why_not(policy, asked, actor)):  # type: ignore[arg-type]
        audit.record(actor, action, policy, reason=problem, was_refused=True)
        raise ValidationError(problem)
    return asked


def _undecided(asked: CleanupApproval) -> CleanupApproval:
    """The same, locked: whoever decides at the same moment waits, and learns that it was decided."""
    same = locking.locked(CleanupApproval.objects.filter(pk=asked.pk, approved_at=None, refused_at=None)).first()
    if same is None:
        raise ValidationError(_NOTHING_WAITS)
    return same


def _answer(asked: CleanupApproval, text: str) -> None:
    notices.tell(asked.asked_by_id, text, url=approval.page_of(asked.policy), level=RunEvent.Level.INFO)


def _locked(policy_id: int) -> CleanupPolicy:
    return locking.locked(CleanupPolicy.objects.filter(pk=policy_id)).get()


def _switch(actor: Actor, policy: CleanupPolicy, enabled: bool, action: str) -> CleanupPolicy:
    before = {"is_enabled": policy.is_enabled}
    policy.is_enabled = enabled
    policy.save(update_fields=["is_enabled", "enabled_rule_hash", "changed_at"])
    audit.record(actor, action, policy, before=before, after={"is_enabled": enabled, "version": policy.version})
    return policy
