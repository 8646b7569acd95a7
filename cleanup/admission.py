"""Whether a cleaning may begin; what it may do is frozen then, for all attempts of its run."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from cleanup import guard, planner, policy_checks, reasons, targets
from cleanup.archive_file import ArchiveError, require_room
from cleanup.findings import Plan
from cleanup.models import Archiving, CleanupApproval, CleanupPolicy, CleanupRun
from cleanup.targets import Target
from runs import clock
from runs.tasks import RunContext

COUNT_SECONDS = 30.0
"""A run may count so long before its first batch; what is not counted by then is estimated."""
_ROW_BYTES = 100
"""What a row takes in a compressed archive, generously."""


class Refused(Exception):
    """It must not begin, in words. Nothing was deleted."""


def admit(run: RunContext, policy: CleanupPolicy | None, cleanup_run: CleanupRun) -> None:
    """Freezes the cutoff and how far the run may go; an attempt that goes on has been admitted already, and each of its
    batches asks whether it still may. That the clock went back is found out by the first of either.

    Raises:
        Refused: nothing may be deleted.
    """
    if cleanup_run.started_at > clock.now():
        # The cutoff hangs on when it began: then it lies too late, also one that was frozen by a clock that was ahead.
        raise Refused(reasons.CLOCK_WENT_BACK)
    if cleanup_run.cutoff is not None:
        return
    if policy is None:
        raise Refused("The policy was deleted.")
    _require_enabled(policy, cleanup_run)
    plan = _count(cleanup_run)
    rows = guard.capped(policy, plan)
    _require_room(cleanup_run, rows)
    if why := guard.why_refused(policy, plan, clock.now()):
        raise Refused(why)
    preview = policy.previews.filter(rule_hash=cleanup_run.rule_hash).order_by("-id").first()
    approval = _approval_used(policy, plan)
    cleanup_run.cutoff, cleanup_run.preview, cleanup_run.approval = plan.cutoff, preview, approval
    cleanup_run.expected = plan.total
    cleanup_run.allowed = approval.rows_allowed if approval else _allowed(policy, plan)
    run.confirm()
    cleanup_run.save(update_fields=["cutoff", "preview", "approval", "expected", "allowed"])


def _require_enabled(policy: CleanupPolicy, cleanup_run: CleanupRun) -> None:
    if not policy.is_enabled:
        raise Refused(f"“{policy}” is not enabled. Preview it and enable it first.")
    try:
        policy_checks.check_frozen(cleanup_run.rule)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    if policy.enabled_rule_hash != cleanup_run.rule_hash:
        raise Refused(
            f"The rule of “{policy}” is not the one that was previewed when it was enabled. Preview it and enable it again."
        )
    if guard.enabled_by(policy) is None:
        raise Refused(
            f"“{policy}” was not switched on by a preview here: nobody has seen what it deletes. "
            "Switch it off, preview it, and enable it again."
        )


def _count(cleanup_run: CleanupRun) -> Plan:
    now = clock.now()
    try:
        # The cutoff hangs on when this cleaning began, not on when an attempt of it did.
        return planner.plan(cleanup_run.rule, cleanup_run.started_at, now, seconds=COUNT_SECONDS, in_short=True)
    except ValueError as error:
        raise Refused(f"The cutoff would not lie in the past: {error}.") from error


def _require_room(cleanup_run: CleanupRun, rows: int) -> None:
    chosen = targets.known(cleanup_run.rule["targets"])
    is_archived = any(isinstance(target, Target) and target.may_archive for target in chosen)
    if cleanup_run.rule.get("archive", Archiving.NONE) != Archiving.NONE and is_archived:
        try:
            require_room(rows * _ROW_BYTES)
        except ArchiveError as error:
            raise Refused(f"{error} Nothing was deleted.") from error


def _allowed(policy: CleanupPolicy, plan: Plan) -> int | None:
    """How many rows may go without anybody's word: what was counted and as much again, and never more than the limits."""
    unasked = guard.most_unasked(policy, plan)
    if plan.is_estimate:
        return unasked
    counted = 2 * plan.total + 1000
    return counted if unasked is None else min(counted, unasked)


def _approval_used(policy: CleanupPolicy, plan: Plan) -> CleanupApproval | None:
    # How many rows there really are, an estimate does not say: what somebody agreed to counts then.
    if not plan.is_estimate and not guard.reasons_for_approval(policy, plan):
        return None
    return guard.valid_approval(policy, clock.now(), rows=guard.capped(policy, plan))
