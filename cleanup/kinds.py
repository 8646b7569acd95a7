"""What the cleanup app announces to the registry of job kinds."""

from __future__ import annotations

from typing import cast

from django.core.exceptions import ValidationError
from django.db import models

from cleanup import ending, guard, plan_page, planner, policy_checks, running, targets, upkeep
from cleanup.models import Archiving, CleanupPolicy
from cleanup.run_links import page_of_run
from cleanup.targets import plans  # noqa: F401 - its check of every plan runs at start
from cleanup.targets.ours import OURS
from runs import clock, duties, job_kinds, outcomes
from schedules import kinds
from schedules.kinds import JobKind, PolicyDefaults


def describe_impact(target: models.Model) -> str:
    """ "Would delete 31 expired sessions and 12 unconfirmed subscriptions"."""
    policy = cast(CleanupPolicy, target)
    if not policy.is_enabled:
        return "It is not enabled: preview it and enable it first"
    now = clock.now()
    try:
        policy_checks.check_frozen(policy.rule())
        plan = planner.plan(policy.rule(), now, now, in_short=True)
    except ValidationError as error:  # somebody changed it from outside, or a filter is offered no longer
        return f"It will be refused: {' '.join(error.messages)} Change it, and preview it again"
    if guard.enabled_by(policy) is None:
        return "It will be refused: it was not switched on by a preview here. Switch it off, preview it, and enable it again"
    if not plan.total:
        return f"It would delete nothing at the moment: {plan_page.shown(plan).why_nothing}"
    about = "about " if plan.is_estimate else ""
    back = "They cannot be brought back" if policy.archive == Archiving.NONE else "An archive of them is kept"
    return f"Deletes {about}{planner.in_words(plan.counts)}. {back}"


def register() -> None:
    """Called once the apps are loaded."""
    for target in OURS:
        targets.register(target)
    kinds.register(
        JobKind(
            key="cleanup",
            label="Cleanup",
            perform=running.perform,
            icon="mop",
            target_model="cleanup.CleanupPolicy",
            queue="cleanup",
            describe_impact=describe_impact,
            admin_permission="cleanup.run_cleanup",
            defaults=PolicyDefaults(missed="latest", start_deadline_seconds=3600, overlap="skip", retries=1),
        )
    )
    kinds.register(
        JobKind(
            key=upkeep.SWEEP.kind,
            label="Tidying of archives and files",
            perform=upkeep.perform_sweep,
            icon="auto_delete",
            queue="cleanup",
            defaults=PolicyDefaults(time_limit_seconds=1800),
        )
    )
    duties.register("cleanup", upkeep.SWEEP.look_after)
    outcomes.run_ended.connect(ending.close_abandoned, dispatch_uid="cleanup.ending")
    job_kinds.show_at("cleanup", page_of_run)
