"""Counts what a policy would delete. Reads only, and only so long."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Any

from cleanup import file_counts, row_counts, selection, targets
from cleanup.findings import SECONDS, Plan
from cleanup.models import CleanupPolicy
from cleanup.row_counts import Stopwatch
from schedules.cron_words import joined


def preview(policy: CleanupPolicy, now: datetime, *, seconds: float = SECONDS) -> Plan:
    """What the policy, saved or not, would delete at ``now``; targets that are no longer registered are left out.

    Raises:
        ValueError: the cutoff would not lie in the past.
        UnknownFilter: the rule names a filter that its target offers no longer.
    """
    rest = policy.rest_ms
    return plan(policy.rule(), now, now, seconds=seconds, batch_size=policy.batch_size, rest_ms=rest)


def plan(
    rule: Mapping[str, Any], since: datetime, now: datetime, *, seconds: float = SECONDS, batch_size: int = 10_000,
    rest_ms: int = 0, in_short: bool = False,
) -> Plan:  # fmt: skip
    """What a rule would delete by the cutoff that hangs on ``since``; in short for a run, which only asks how many.

    Raises as :func:`preview` does.
    """
    cutoff = cutoff_for(rule["days"], since)
    watch = Stopwatch(seconds)
    findings = []
    known = targets.known(rule["targets"])
    for number, target in enumerate(known):
        watch.share(len(known) - number)
        if isinstance(target, targets.FileTarget):
            # A run counts all of them, however long that takes: whether it may begin hangs on their share of all files.
            until = inf if in_short else watch.until
            findings.append(file_counts.find(target, cutoff, now, until, batch_size=batch_size, in_short=in_short))
            continue
        chosen = selection.Selection.of(target, cutoff, rule)
        findings.append(
            row_counts.find(chosen, now, rule, watch, batch_size=batch_size, rest_ms=rest_ms, in_short=in_short)
        )
    return Plan(cutoff, tuple(findings))


def cutoff_for(days: int, now: datetime) -> datetime:
    """Rows before this instant are old enough. Raises ValueError when it would not lie in the past."""
    if days < 1:
        raise ValueError("the age must be at least one day")
    return now - timedelta(days=days)


def rule_hash(policy: CleanupPolicy) -> str:
    """Names a rule: a preview counts only for the very rule it was made of. The policy need not be saved."""
    return hashlib.sha256(json.dumps(policy.rule(), sort_keys=True).encode()).hexdigest()


def in_words(counts: Mapping[str, int]) -> str:
    """ "31 expired sessions and 12 unconfirmed subscriptions"."""
    said = [
        targets.get(key).counted(count) if targets.is_known(key) else f"{count:,} of {key}"
        for key, count in counts.items()
    ]
    return joined(said)
