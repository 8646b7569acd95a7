"""A policy over sessions, with old and new ones to tell apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from cleanup import planner
from cleanup.models import CleanupPolicy, CleanupPreview
from runs import clock, ledger
from runs.models import Run
from runs.states import Trigger
from runs.tasks import RunContext


@pytest.fixture
def policy(db: None) -> CleanupPolicy:
    return enabled(name="Old sessions", targets=["sessions"], days=30)


@pytest.fixture
def sessions(db: None) -> Callable[..., None]:
    """Adds sessions that expired so many days ago."""

    def add(count: int, days_ago: float, prefix: str = "s") -> None:
        expired = clock.now() - timedelta(days=days_ago)
        Session.objects.bulk_create(
            Session(session_key=f"{prefix}{n}", session_data="", expire_date=expired + timedelta(seconds=n / 100))
            for n in range(count)
        )

    return add


def enabled(**values: Any) -> CleanupPolicy:
    """A policy that runs may carry out; the pages' way there is tested elsewhere."""
    policy = CleanupPolicy(is_enabled=True, **values)
    policy.enabled_rule_hash = planner.rule_hash(policy)
    policy.save()
    CleanupPreview.objects.create(policy=policy, rule_hash=policy.enabled_rule_hash, enabled_it=True)
    return policy


def change(policy: CleanupPolicy, **values: Any) -> CleanupPolicy:
    """Changes its rule and keeps it enabled."""
    for name, value in values.items():
        setattr(policy, name, value)
    policy.enabled_rule_hash = planner.rule_hash(policy)
    policy.save()
    policy.previews.filter(enabled_it=True).update(rule_hash=policy.enabled_rule_hash)
    return policy


def begin(policy: CleanupPolicy, run: Run | None = None) -> RunContext:
    """A claimed run of the policy, or the next attempt of the given one."""
    if run is None:
        run = ledger.plan(
            ledger.NewRun(kind="cleanup", target_id=policy.pk, target_label=str(policy), trigger=Trigger.MANUAL)
        )
    claimed = ledger.claim(run.pk, "test")
    assert claimed is not None
    return RunContext(claimed)
