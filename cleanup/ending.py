"""The end of a cleaning, however it came: what is left, who is told, and what is written down."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import transaction
from django.urls import reverse

from cleanup import backlog, planner
from cleanup.findings import Plan
from cleanup.models import ArchivePart, CleanupRun
from runs import audit, clock, notices, words
from runs.ledger import LeaseLost
from runs.locking import locked
from runs.models import Run, RunEvent
from runs.states import State

LEFT_SECONDS = 10.0
"""So long is counted what a run left over; then it is estimated."""
_TOLD = (CleanupRun.State.REFUSED, CleanupRun.State.FAILED)


def close(cleanup_run: CleanupRun, state: str | None, why: str, *, is_trouble: bool = False) -> CleanupRun:
    """Ends the record, once: counts what is left, tells the owner of what went wrong, and writes the audit entry.

    ``state`` None means that it depends on what is left; trouble is told although something was deleted.

    Raises:
        LeaseLost: another attempt owns it.
    """
    left = _left(cleanup_run) if cleanup_run.cutoff is not None else None
    with transaction.atomic():
        mine = CleanupRun.objects.filter(pk=cleanup_run.pk, attempt=cleanup_run.attempt, finished_at=None)
        stored = locked(mine).first()
        if stored is None:
            raise LeaseLost
        if left is not None:
            stored.backlog, stored.backlog_is_estimate = left.total, left.is_estimate
            stored.oldest_eligible = min((one.oldest for one in left.findings if one.oldest), default=None)
            stored.skipped = _skipped(stored, left)
        if state is None:
            state = CleanupRun.State.PARTIAL if why and stored.backlog else CleanupRun.State.DONE
        stored.state, stored.finished_at = state, clock.now()
        stored.reason = why[:300] if state != CleanupRun.State.DONE else ""
        stored.save()
        _write_down(stored)
    if is_trouble or state in _TOLD:
        _tell(stored)
    backlog.look(stored)
    return stored


def result_of(cleanup_run: CleanupRun) -> str:
    """What was deleted, in one line."""
    said = [words.counted(cleanup_run.total, "row") + f" deleted: {planner.in_words(cleanup_run.deleted)}."]
    if not cleanup_run.total:
        held = sum(one.get("held", 0) for one in cleanup_run.skipped.values())
        said = ["Nothing was old enough to delete."]
        if held:
            said = [
                f"Nothing was deleted: {words.counted(held, 'row')} {'is' if held == 1 else 'are'} old enough, and held."
            ]
        elif cleanup_run.poison or cleanup_run.reason:
            said = ["Nothing was deleted."]
    others = cleanup_run.total_rows - cleanup_run.total
    if others > 0:
        said.append(f"{words.counted(others, 'row')} that belonged to them went with them.")
    if cleanup_run.poison:
        said.append(f"{words.counted(len(cleanup_run.poison), 'row')} could not be deleted; the run's page names each.")
    if cleanup_run.reason:
        said.append(cleanup_run.reason)
    return " ".join(said)[:300]


def close_abandoned(sender: Any, run: Run, **_: Any) -> None:
    """Ends the record of a cleaning whose run ended without it: its worker was lost, or it was cancelled as it waited."""
    if run.kind != "cleanup" or run.state == State.SUCCEEDED:
        return
    stored = CleanupRun.objects.filter(run_id=run.pk, finished_at=None).first()
    if stored is None:
        return
    stored.state = CleanupRun.State.PARTIAL if stored.total else CleanupRun.State.FAILED
    stored.reason = (run.error or run.reason_text or "Its run ended before it did.")[:300]
    stored.finished_at = clock.now()
    stored.save(update_fields=["state", "reason", "finished_at"])
    _write_down(stored)


def _left(cleanup_run: CleanupRun) -> Plan:
    """What a run at this moment would find by the same cutoff."""
    now = clock.now()  # before it began, where the clock went back
    since = min(cleanup_run.started_at, now)
    return planner.plan(cleanup_run.rule, since, now, seconds=LEFT_SECONDS, in_short=True)


def _skipped(stored: CleanupRun, left: Plan) -> dict[str, dict[str, int]]:
    """Held ones always; those that were locked where the target was gone through to its end."""
    skipped: dict[str, dict[str, int]] = {}
    for finding in left.findings:
        counts = {"held": finding.held}
        if stored.cursor.get(finding.key, {}).get("done"):
            poison = sum(one["target"] == finding.key for one in stored.poison)
            counts["locked"] = max(0, finding.count - poison)
        if any(counts.values()):
            skipped[finding.key] = {why: count for why, count in counts.items() if count}
    return skipped


def _write_down(stored: CleanupRun) -> None:
    """Who, by which rule, how many of what, which archive, how long: for every cleaning, refused ones included."""
    was_refused = stored.state == CleanupRun.State.REFUSED
    asked = Run.objects.filter(pk=stored.run_id).select_related("requested_by").first()
    parts = list(ArchivePart.objects.filter(cleanup_run=stored).order_by("number").values_list("sha256", flat=True))
    facts: dict[str, Any] = {
        "run": stored.run_id, "state": stored.state, "rule": stored.rule, "version": stored.policy_version,
        "preview": stored.preview_id, "approval": stored.approval_id, "cutoff": stored.cutoff, "deleted": stored.deleted,
        "tables": stored.tables, "skipped": stored.skipped, "not_deletable": len(stored.poison), "backlog": stored.backlog,
        "seconds": max(0.0, round(((stored.finished_at or stored.started_at) - stored.started_at).total_seconds(), 1)),
        "archive_parts": len(parts), "archive_sha256": hashlib.sha256("".join(parts).encode()).hexdigest() if parts else "",
    }  # fmt: skip
    audit.record(
        asked.requested_by if asked else None, "refused to clean" if was_refused else "cleaned", stored.policy or stored,
        after=facts, reason=stored.reason, was_refused=was_refused,
    )  # fmt: skip


def _tell(stored: CleanupRun) -> None:
    if stored.policy is not None:
        how = "stopped" if stored.total else "did not run"
        text = f"The cleanup “{stored.policy_name}” {how}: {stored.reason}"
        url = reverse("admin:runs_run_change", args=[stored.run_id])
        notices.tell(stored.policy.owner_id, text, url=url, level=RunEvent.Level.ERROR)
