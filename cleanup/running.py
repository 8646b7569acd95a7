"""Performs a cleanup in a worker: guards first, then batch by batch; killed anywhere, the next attempt goes on."""

from __future__ import annotations

import time
from datetime import timedelta

from cleanup import (
    admission,
    archive,
    archive_parquet,
    ending,
    executor,
    file_batches,
    outbox,
    pace,
    planner,
    reasons,
    targets,
)
from cleanup.archive_file import ArchiveError
from cleanup.batches import Stopped, Work
from cleanup.models import Archiving, CleanupPolicy, CleanupRun
from cleanup.selection import Selection
from cleanup.targets import AnyTarget, Target
from runs import clock
from runs.bounded_queries import TookTooLong, within
from runs.ledger import LeaseLost, RunCancelled
from runs.models import Run
from runs.tasks import JobFailed, RunContext

_TO_END = 0.9
"""Of the time that its schedule gives a run, so much is for deleting: the rest is for counting what is left."""


def perform(run: RunContext) -> str:
    """Deletes what the policy names; a repeated attempt goes on with the same cutoff and the same counts."""
    run.confirm()
    policy = CleanupPolicy.objects.filter(pk=run.target_id or 0).first()
    cleanup_run = _record(run, policy)
    if cleanup_run.finished_at is not None:
        if cleanup_run.state in (CleanupRun.State.REFUSED, CleanupRun.State.FAILED):
            raise JobFailed(cleanup_run.reason, may_retry=False)
        return ending.result_of(cleanup_run)
    try:
        admission.admit(run, policy, cleanup_run)
        why = _Attempt(run, policy, cleanup_run).clean()
    except admission.Refused as refused:
        state = CleanupRun.State.PARTIAL if _reloaded(cleanup_run).total else CleanupRun.State.REFUSED
        ending.close(cleanup_run, state, str(refused), is_trouble=True)
        raise JobFailed(str(refused), may_retry=False) from refused
    except ArchiveError as error:
        state = CleanupRun.State.PARTIAL if _reloaded(cleanup_run).total else CleanupRun.State.REFUSED
        ending.close(cleanup_run, state, str(error), is_trouble=True)
        raise JobFailed(str(error), may_retry=False) from error
    except executor.TooManyRefused as error:
        why = f"So many rows cannot be deleted that something else must be wrong: {error}"
        ending.close(cleanup_run, CleanupRun.State.FAILED, why)
        raise JobFailed(why, may_retry=False) from error
    except RunCancelled:
        ending.close(cleanup_run, CleanupRun.State.PARTIAL, reasons.CANCELLED)
        raise
    run.confirm()
    return ending.result_of(ending.close(cleanup_run, None, why))


def _record(run: RunContext, policy: CleanupPolicy | None) -> CleanupRun:
    """The record of this run, owned by this attempt from now on: a batch of an older one is refused."""
    stored, _ = CleanupRun.objects.get_or_create(
        run_id=run.id,
        defaults={
            "policy": policy, "policy_name": policy.name if policy else "A deleted policy", "started_at": clock.now(),
            "policy_version": policy.version if policy else 0, "rule": policy.rule() if policy else {},
            "rule_hash": planner.rule_hash(policy) if policy else "", "attempt": run.attempt,
        },
    )  # fmt: skip
    if not CleanupRun.objects.filter(pk=stored.pk, attempt__lte=run.attempt).update(attempt=run.attempt):
        raise LeaseLost
    stored.attempt = run.attempt
    return stored


def _reloaded(cleanup_run: CleanupRun) -> CleanupRun:
    return CleanupRun.objects.get(pk=cleanup_run.pk)


class _Attempt:
    """One attempt at a cleaning that may begin: its limits, and the way through its targets."""

    def __init__(self, run: RunContext, policy: CleanupPolicy | None, cleanup_run: CleanupRun) -> None:
        self._run, self._stored = run, cleanup_run
        self._bound = policy.batch_size if policy else 1000
        self._rest_ms = policy.rest_ms if policy else 0
        self._until = self._time_is_over_at()
        self._total = cleanup_run.total

    def clean(self) -> str:
        """Works until nothing is left (""), or says why it stopped."""
        archive.clear_drafts(self._stored.run_id)
        if self._stored.rule.get("archive") == Archiving.PARQUET:
            archive_parquet.load()
        self._run.progress(self._total, self._expected(), "rows")
        for target in targets.known(self._stored.rule["targets"]):
            while not self._is_done(target.key):
                try:
                    why = self._pass(target)
                except Stopped as stopped:
                    why = str(stopped)
                if why:
                    return why
            if count := self._stored.deleted.get(target.key):
                self._run.log(f"Deleted {target.counted(count)}.")
        outbox.work_off(clock.now())
        return ""

    def _pass(self, target: AnyTarget) -> str:
        """Once through the target, from where it stopped."""
        cleaning = self._cleaning(target)
        if why := self._why_stop():
            return why
        for done in cleaning.batches(self._left()):
            self._total += done.removed
            self._run.progress(self._total, self._expected(), "rows")
            if isinstance(target, Target) and target.files:
                outbox.work_off(clock.now())
            if why := self._why_stop():
                return why
            pace.rest(done.seconds, self._rest_ms)
        self._stored = _reloaded(self._stored)
        if (left := self._left()) is not None and left <= 0:
            return self._why_stop()
        self._close_round(target)
        return ""

    def _cleaning(self, target: AnyTarget) -> executor.Cleaning | file_batches.FileCleaning:
        self._stored = _reloaded(self._stored)
        stored = self._stored
        place = stored.cursor.get(target.key, {}).get("place")
        if not isinstance(target, Target):
            return file_batches.FileCleaning(stored.pk, stored.attempt, target, bound=self._bound, place=place)
        return executor.Cleaning(self._work(target), bound=self._bound, place=place)

    def _work(self, target: Target) -> Work:
        stored = self._stored
        assert stored.cutoff is not None
        chosen = Selection.of(target, stored.cutoff, stored.rule)
        return Work(stored.pk, stored.attempt, chosen, stored.rule.get("archive") or "none")

    def _close_round(self, target: AnyTarget) -> None:
        """Rows that somebody had locked are come back to; then the target is done with for this run."""
        cursor = self._stored.cursor.get(target.key, {})
        round_ = cursor.get("round", 1)
        is_over = round_ >= executor.ROUNDS or not self._has_left_over(target)
        following = {"place": cursor.get("place"), "round": round_, "done": True}
        if not is_over:
            following = {"place": None, "round": round_ + 1, "done": False}
            time.sleep(0.2 * round_)
        self._stored.cursor = {**self._stored.cursor, target.key: following}
        mine = CleanupRun.objects.filter(pk=self._stored.pk, attempt=self._stored.attempt, finished_at=None)
        if not mine.update(cursor=self._stored.cursor):
            raise LeaseLost

    def _has_left_over(self, target: AnyTarget) -> bool:
        if not isinstance(target, Target):
            return False
        poison = [one["pk"] for one in self._stored.poison if one["target"] == target.key]
        try:
            with within(5):
                rows = self._work(target).chosen.deletable(clock.now())
                return bool(rows[: len(poison) + 1].count() > len(poison))
        except TookTooLong:
            return False

    def _is_done(self, key: str) -> bool:
        return bool(self._stored.cursor.get(key, {}).get("done"))

    def _left(self) -> int | None:
        """How many rows it may still delete."""
        ends = [end for end in (self._stored.rule.get("max_rows"), self._stored.allowed) if end is not None]
        return min(ends) - self._total if ends else None

    def _expected(self) -> int:
        """What it gets to at most: all that was counted, as far as its limits let it."""
        limits = (self._stored.expected or 0, self._stored.rule.get("max_rows"), self._stored.allowed)
        return max(min(limit for limit in limits if limit is not None), self._total)

    def _why_stop(self) -> str:
        """Why no further batch may begin, in words; "" when one may."""
        limit, allowed = self._stored.rule.get("max_rows"), self._stored.allowed
        if limit is not None and self._total >= limit:
            return f"It stopped at its limit of {limit:,}; the rest follows in the next run."
        if allowed is not None and self._total >= allowed:
            if self._stored.approval_id is None and allowed < 2 * (self._stored.expected or 0) + 1000:
                return f"It stopped after {allowed:,}: for more in one run, somebody else has to agree."
            return f"Far more rows became old enough than were counted, so it stopped after {allowed:,}."
        if time.monotonic() >= self._until:
            return "Its time was over; the rest follows in the next run."
        return ""

    def _time_is_over_at(self) -> float:
        limit = (
            timedelta(seconds=Run.objects.values_list("time_limit_seconds", flat=True).get(pk=self._run.id)) * _TO_END
        )
        if minutes := self._stored.rule.get("max_minutes"):
            limit = min(limit, timedelta(minutes=minutes) - timedelta(milliseconds=self._stored.spent_ms))
        return time.monotonic() + limit.total_seconds()
