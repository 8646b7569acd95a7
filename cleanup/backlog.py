"""Tells people when a policy falls behind: what is old enough to go grows from run to run, or no run may begin any more, and
nobody would notice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from cleanup.models import CleanupPolicy, CleanupRun
from runs import alerts, words
from runs.addresses import page
from runs.models import Alert

PREFIX = "cleanup.backlog."
REFUSED = "cleanup.refused."
GROWN = 3
"""So many times in a row it grew before anybody is told."""
_ENDED = (CleanupRun.State.DONE, CleanupRun.State.PARTIAL)


def look(cleanup_run: CleanupRun) -> None:
    """Called when a cleaning has ended, with its backlog counted. Opens the policy's alert, or ends it."""
    enabled = CleanupPolicy.objects.filter(is_enabled=True).values_list("pk", flat=True)
    for prefix in (PREFIX, REFUSED):
        alerts.resolve_all_but(prefix, [f"{prefix}{pk}" for pk in enabled])  # nobody waits for the others any more
    policy = cleanup_run.policy
    if policy is None or not policy.is_enabled:
        return
    _look_at_refusals(policy, cleanup_run)
    if cleanup_run.backlog is None:
        return
    left = trend(policy)
    if not left:
        return
    if is_growing(left):
        alerts.raise_alert(
            f"{PREFIX}{policy.pk}", f"The cleanup “{policy}” falls behind", detail=_detail(cleanup_run, left),
            level=Alert.Level.WARNING, owner_id=policy.owner_id,
            url=page("admin:cleanup_cleanuppolicy_detail", policy.pk),
        )  # fmt: skip
    elif left[-1] == 0 or left[-1:] < left[-2:-1]:
        alerts.resolve(f"{PREFIX}{policy.pk}")


def forget(policy_id: int) -> None:
    """Ends its alert; called when it is switched off or deleted."""
    for prefix in (PREFIX, REFUSED):
        alerts.resolve(f"{prefix}{policy_id}")


def trend(policy: CleanupPolicy, runs: int = GROWN + 1) -> list[int]:
    """What its last runs left over, oldest first."""
    ended = CleanupRun.objects.filter(policy=policy, state__in=_ENDED, backlog__isnull=False)
    latest = ended.order_by("-id").values_list("backlog", flat=True)[:runs]
    return [backlog or 0 for backlog in latest][::-1]


def is_growing(left: Sequence[int]) -> bool:
    """Whether each of the last runs left more over than the one before."""
    last = left[-GROWN - 1 :]
    return len(last) == GROWN + 1 and all(one < other for one, other in pairwise(last))


def _look_at_refusals(policy: CleanupPolicy, cleanup_run: CleanupRun) -> None:
    """Each refusal tells the owner. Refused again and again, it is everybody's business: nothing goes any more."""
    key = f"{REFUSED}{policy.pk}"
    if cleanup_run.state in _ENDED:
        alerts.resolve(key)
    if cleanup_run.state != CleanupRun.State.REFUSED:
        return
    last = CleanupRun.objects.filter(policy=policy, finished_at__isnull=False).order_by("-id")
    states = list(last.values_list("state", flat=True)[:GROWN])
    if states == [CleanupRun.State.REFUSED] * GROWN:
        alerts.raise_alert(
            key, f"The cleanup “{policy}” is refused again and again", detail=cleanup_run.reason,
            level=Alert.Level.WARNING, owner_id=policy.owner_id,
            url=page("admin:cleanup_cleanuppolicy_detail", policy.pk),
        )  # fmt: skip


def _detail(cleanup_run: CleanupRun, left: Sequence[int]) -> str:
    about = "about " if cleanup_run.backlog_is_estimate else ""
    told = f"Its last runs left over {', '.join(f'{count:,}' for count in left[:-1])} and now {about}{left[-1]:,} rows"
    if cleanup_run.oldest_eligible is not None:
        told += f", the oldest of {words.plain_date(cleanup_run.oldest_eligible)}"
    return f"{told}. Raise its limits, or let it run more often."
