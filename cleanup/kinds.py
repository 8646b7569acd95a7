"""What the cleanup app announces to the registry of job kinds."""

from __future__ import annotations

from typing import cast

from django.db import models

from cleanup import planner, running
from cleanup.models import CleanupPolicy
from runs import clock
from schedules import kinds
from schedules.kinds import JobKind, PolicyDefaults


def describe_impact(target: models.Model) -> str:
    """ "Would delete 31 expired sessions and 12 unconfirmed subscriptions"."""
    policy = cast(CleanupPolicy, target)
    if not policy.is_enabled:
        return "It is not enabled: preview it and enable it first"
    counts = {finding.target: finding.count for finding in planner.find(policy, clock.now())}
    if not sum(counts.values()):
        return "Nothing is old enough to delete at the moment"
    return f"Deletes {planner.in_words(counts)}. They cannot be brought back"


def register() -> None:
    """Called once the apps are loaded."""
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
