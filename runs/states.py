"""The states of a run, the moves allowed between them, and the reasons a run may carry."""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    """Where a run stands; each expected occurrence ends in exactly one of the final states."""

    PLANNED = "planned", "Waiting to be sent to a worker"
    PUBLISHED = "published", "Waiting for a worker"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    SKIPPED = "skipped", "Skipped"
    MISSED = "missed", "Missed"


WAITING = (State.PLANNED, State.PUBLISHED)
OPEN = (State.PLANNED, State.PUBLISHED, State.RUNNING)
EXCEPTIONS = (State.FAILED, State.CANCELLED, State.SKIPPED, State.MISSED)
"""Ends that somebody may want to find among very many that went well."""
FINAL = (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.SKIPPED, State.MISSED)

ALLOWED: dict[State, frozenset[State]] = {
    State.PLANNED: frozenset(
        {State.PUBLISHED, State.RUNNING, State.CANCELLED, State.SKIPPED, State.MISSED, State.FAILED}
    ),
    State.PUBLISHED: frozenset({State.RUNNING, State.CANCELLED, State.SKIPPED, State.MISSED, State.FAILED}),
    # Back to planned: another attempt after an error or a lost worker. Running again: the lease expired.
    State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.PLANNED, State.RUNNING}),
    **{state: frozenset() for state in FINAL},
}


class Trigger(models.TextChoices):
    """What caused a run."""

    SCHEDULE = "schedule", "Schedule"
    MANUAL = "manual", "Run now"
    RETRY = "retry", "Retry"
    BACKFILL = "backfill", "Backfill"
    EVENT = "event", "Event"


class Reason(models.TextChoices):
    """Why a run was skipped, missed or failed; blank while all is well."""

    PAUSED = "paused", "the schedule was paused"
    OVERLAP = "overlap", "the previous run had not finished"
    CALENDAR = "calendar", "the day is a holiday in its calendar"
    STAFF_SKIPPED = "skipped_by_staff", "somebody chose to skip it"
    NOTHING_RUNNING = "nothing_running", "nothing was running at the time"
    SUPERSEDED = "superseded", "a later occurrence was run instead"
    DEADLINE = "deadline", "it could not start before its deadline"
    BROKEN = "broken", "the schedule cannot be read"
    ENDED = "ended", "the schedule had ended"
    WORKER_LOST = "worker_lost", "the worker stopped in the middle"
    TIME_LIMIT = "time_limit", "it ran longer than its time limit"
    ERROR = "error", "the job ended with an error"
    UNKNOWN_KIND = "unknown_kind", "no part of this installation knows this kind of job"
    CANCELLED_BY_STAFF = "cancelled_by_staff", "somebody cancelled it"
