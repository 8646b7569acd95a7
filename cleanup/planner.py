"""Counts what a policy would delete. Reads only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet

from cleanup import targets
from cleanup.models import CleanupPolicy, Hold

SAMPLES = 20


@dataclass(frozen=True)
class Finding:
    """What a policy finds for one target."""

    target: str
    label: str
    count: int
    held: int
    oldest: str
    newest: str
    samples: tuple[str, ...]


def cutoff_for(days: int, now: datetime) -> datetime:
    """Rows before this instant are old enough. Raises ValueError when it would not lie in the past."""
    if days < 1:
        raise ValueError("the age must be at least one day")
    return now - timedelta(days=days)


def unheld(target: targets.Target, rows: QuerySet[Any], now: datetime) -> QuerySet[Any]:
    """The rows without those that a hold keeps at ``now``."""
    holds = Hold.objects.filter(target=target.key).filter(Q(until=None) | Q(until__gt=now))
    ids = list(holds.values_list("object_id", flat=True))
    if "" in ids:
        return rows.none()
    return rows.exclude(pk__in=ids) if ids else rows


def find(policy: CleanupPolicy, now: datetime) -> list[Finding]:
    """One finding per target of the policy; targets that are no longer registered are left out."""
    cutoff = cutoff_for(policy.days, now)
    findings = []
    for key in policy.targets:
        try:
            target = targets.get(key)
        except KeyError:
            continue
        eligible = target.eligible(cutoff)
        rows = unheld(target, eligible, now)
        facts = rows.aggregate(count=Count("pk"), oldest=Min(target.date_field), newest=Max(target.date_field))
        findings.append(
            Finding(
                target=key,
                label=target.label,
                count=facts["count"],
                held=eligible.count() - facts["count"],
                oldest=_day(facts["oldest"]),
                newest=_day(facts["newest"]),
                samples=tuple(target.describe(row) for row in rows.order_by(target.date_field, "pk")[:SAMPLES]),
            )
        )
    return findings


def as_json(findings: list[Finding]) -> list[dict[str, Any]]:
    """The findings as they are stored."""
    return [asdict(finding) for finding in findings]


def rule_hash(policy: CleanupPolicy) -> str:
    """Names a rule: a preview counts only for the very rule it was made of."""
    return hashlib.sha256(json.dumps(policy.rule(), sort_keys=True).encode()).hexdigest()


def in_words(counts: dict[str, int]) -> str:
    """ "31 expired sessions and 12 unconfirmed subscriptions"."""
    words = []
    for key, count in counts.items():
        try:
            words.append(targets.get(key).counted(count))
        except KeyError:
            words.append(f"{count:,} of {key}")
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"


def _day(moment: datetime | None) -> str:
    return f"{moment.day} {moment:%B %Y}" if moment is not None else ""
