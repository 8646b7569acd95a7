"""What a run must never do without somebody else's word: far more rows than usual, or than the policy's limits."""

from __future__ import annotations

from datetime import datetime
from statistics import median

from cleanup import planner, reasons, targets
from cleanup.findings import Plan
from cleanup.models import CleanupApproval, CleanupPolicy, CleanupPreview, CleanupRun
from cleanup.targets import FileTarget
from runs import words

FEW = 100
"""Of so few rows nobody needs to be asked whether they are many times the usual, or a large part of a small table."""
_LAST = 10


def enabled_by(policy: CleanupPolicy) -> CleanupPreview | None:
    """The preview that its rule was enabled by, here; None when it was switched on some other way."""
    return policy.previews.filter(enabled_it=True, rule_hash=policy.enabled_rule_hash).first()


def usual(policy: CleanupPolicy) -> int | None:
    """How many rows its runs delete: the median of the last ten that deleted any, and that nobody cut short; else what the
    preview counted that it was enabled by. None when nothing is known yet: quiet months say nothing of the first full one."""
    if policy._state.adding:
        return None
    ended = policy.runs.filter(state__in=(CleanupRun.State.DONE, CleanupRun.State.PARTIAL)).exclude(deleted={})
    totals = [run.total for run in ended.exclude(reason__in=reasons.CUT_SHORT).order_by("-id")[:_LAST]]
    if totals:
        return int(median(totals))
    enabled = enabled_by(policy)
    return enabled.total or None if enabled is not None else None


def reasons_for_approval(policy: CleanupPolicy, plan: Plan) -> tuple[str, ...]:
    """Which of its limits what it would delete is above, each in words; empty when it may run as it is."""
    rows = capped(policy, plan)
    said = f"It would delete {words.counted(rows, 'row')}"
    reasons = []
    if policy.approve_above_rows is not None and rows > policy.approve_above_rows:
        reasons.append(f"{said}, more than {policy.approve_above_rows:,}.")
    if rows <= FEW:
        return tuple(reasons)
    if policy.approve_above_percent is not None:
        for finding in plan.findings:
            share = 100 * min(finding.count, rows) / max(finding.table_rows, finding.count, 1)
            if min(finding.count, rows) > FEW and share > policy.approve_above_percent:
                reasons.append(
                    f"That is {share:.0f} % of all rows where “{finding.label}” are, more than {policy.approve_above_percent} %."
                )
    before = usual(policy)
    if before is not None and rows > policy.approve_above_times * max(before, 1):
        reasons.append(f"{said}; usual are {before:,}. That is more than {policy.approve_above_times} times as many.")
    return tuple(reasons)


def most_unasked(policy: CleanupPolicy, plan: Plan) -> int | None:
    """So many rows the limits of the policy let a run delete without anybody's word; None when it has none.

    What a plan counted stays within it unless there are reasons for approval; what it only estimated, or what becomes old
    enough meanwhile, may not.
    """
    limits = [] if policy.approve_above_rows is None else [policy.approve_above_rows]
    if policy.approve_above_percent is not None:
        parts = [max(one.table_rows, one.count) * policy.approve_above_percent // 100 for one in plan.findings]
        limits.append(sum(max(FEW, part) for part in parts))
    if (before := usual(policy)) is not None:
        limits.append(max(FEW, policy.approve_above_times * before))
    return min(limits, default=None)


def capped(policy: CleanupPolicy, plan: Plan) -> int:
    """How many rows a run would delete: its own limit ends it before what there is."""
    return plan.total if policy.max_rows is None else min(plan.total, policy.max_rows)


def valid_approval(policy: CleanupPolicy, now: datetime, *, rows: int = 0) -> CleanupApproval | None:
    """An answered approval of this very rule that covers so many rows and has not ended."""
    if policy._state.adding:
        return None
    found = policy.approvals.filter(
        rule_hash=planner.rule_hash(policy), approved_at__isnull=False, refused_at=None, until__gt=now,
        rows_allowed__gte=rows,
    )  # fmt: skip
    return found.select_related("approved_by").order_by("-rows_allowed", "-id").first()


def why_refused(policy: CleanupPolicy, plan: Plan, now: datetime) -> str:
    """Why a run must not begin, in words; "" when it may. Runs and pages ask the same."""
    for finding in plan.findings:
        target = targets.get(finding.key)
        if isinstance(target, FileTarget) and finding.count > FEW:
            if finding.is_estimate:
                return (
                    f"Counting “{finding.label}” stopped at {finding.count:,}, so nobody knows what part of all files would go. "
                    "Nothing was deleted."
                )
            share = 100 * finding.count / max(finding.table_rows, finding.count)
            if share > target.refuse_above_percent:
                return (
                    f"{share:.0f} % of all files would go as “{finding.label}”. So many are never left over by themselves: "
                    "something else is wrong, such as a restored database. Nothing was deleted."
                )
    reasons = reasons_for_approval(policy, plan)
    if not reasons or valid_approval(policy, now, rows=capped(policy, plan)) is not None:
        return ""
    return f"{' '.join(reasons)} Nothing was deleted: preview it, and ask somebody else to approve it."
