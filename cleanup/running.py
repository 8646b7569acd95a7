"""Performs a cleanup in a worker."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from cleanup import executor, planner, services, targets
from cleanup.models import CleanupPolicy, CleanupRun
from runs import clock, words
from runs.tasks import JobFailed, RunContext


def perform(run: RunContext) -> str:
    """Deletes what the policy names; a repeated attempt goes on with the same cutoff and the same counts."""
    policy = CleanupPolicy.objects.filter(pk=run.target_id or 0).first()
    if policy is None:
        raise JobFailed("The policy was deleted.", may_retry=False)
    if not policy.is_enabled:
        raise JobFailed(f"“{policy}” is not enabled. Preview it and enable it first.", may_retry=False)
    cleanup_run, _ = CleanupRun.objects.get_or_create(
        run_id=run.id,
        defaults={"policy": policy, "policy_name": policy.name, "rule": policy.rule(), "started_at": clock.now()},
    )
    if cleanup_run.finished_at is not None:
        return result(cleanup_run)
    rule = cleanup_run.rule
    try:
        services.check_rule(rule["targets"], rule["days"], rule["max_rows"])
    except ValidationError as error:
        raise JobFailed(" ".join(error.messages), may_retry=False) from error
    # The cutoff hangs on when this cleaning began, not on when an attempt of it did.
    cutoff = planner.cutoff_for(rule["days"], cleanup_run.started_at)
    chosen = [targets.get(key) for key in rule["targets"]]
    total = cleanup_run.total + sum(planner.unheld(t, t.eligible(cutoff), clock.now()).count() for t in chosen)
    limit = rule["max_rows"]
    run.progress(cleanup_run.total, total, "rows")
    for target in chosen:
        left = None if limit is None else limit - cleanup_run.total
        for _ in executor.clean(cleanup_run, target, cutoff, left):
            run.progress(cleanup_run.total, max(total, cleanup_run.total), "rows")
        if cleanup_run.deleted.get(target.key):
            run.log(f"Deleted {target.counted(cleanup_run.deleted[target.key])}.")
    run.confirm()
    reached_limit = limit is not None and cleanup_run.total >= limit and total > limit
    cleanup_run.state = CleanupRun.State.PARTIAL if reached_limit else CleanupRun.State.DONE
    cleanup_run.finished_at = clock.now()
    cleanup_run.save(update_fields=["state", "finished_at"])
    return result(cleanup_run)


def result(cleanup_run: CleanupRun) -> str:
    """What was deleted, in one line."""
    if not cleanup_run.total:
        return "Nothing was old enough to delete."
    line = f"{words.counted(cleanup_run.total, 'row')} deleted: {planner.in_words(cleanup_run.deleted)}."
    if cleanup_run.state == CleanupRun.State.PARTIAL:
        return f"{line} It stopped at its limit of {cleanup_run.rule['max_rows']:,}; the rest follows in the next run."
    return line
