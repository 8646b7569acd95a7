"""The kind of job behind a PeriodicTask that was written by hand: a plain Celery task of this installation.

Staff are never offered it; developers who add rows by the stock API get the ledger, the policies and the pages.
"""

from __future__ import annotations

import json
from typing import Any

from celery import current_app
from django_celery_beat.models import PeriodicTask

from runs.tasks import JobFailed, RunContext
from schedules import kinds, storage

KIND = storage.PLAIN_TASK


def register() -> None:
    """Announces the kind."""
    kinds.register(
        kinds.JobKind(
            key=KIND, label="Task", perform=perform, icon="code", is_offered=False,
            target_model="django_celery_beat.PeriodicTask",
        )
    )  # fmt: skip


def perform(run: RunContext) -> str:
    """Calls the task in this worker with the row's own arguments."""
    row = PeriodicTask.objects.filter(pk=run.target_id).first()
    if row is None:
        raise JobFailed("Its row no longer exists.", may_retry=False)
    if wrong := problem(row):
        raise JobFailed(wrong, may_retry=False)
    result = current_app.tasks[row.task](*json.loads(row.args or "[]"), **json.loads(row.kwargs or "{}"))
    return "Done." if result is None else str(result)[:300]


def problem(row: PeriodicTask) -> str:
    """Why the row cannot be run, in words; empty when it can."""
    current_app.loader.import_default_modules()
    if row.task.startswith("celery."):
        return f"“{row.task}” belongs to Celery itself and cannot be put on a schedule."
    if row.task not in current_app.tasks:
        return f"No part of this installation knows the task “{row.task}”."
    return _json_problem("args", row.args, list) or _json_problem("kwargs", row.kwargs, dict)


def _json_problem(name: str, text: str, kind: type[Any]) -> str:
    example = "[1, 2]" if kind is list else '{"key": 1}'
    try:
        value = json.loads(text or kind().__repr__())
    except ValueError:
        return f"Its {name} cannot be read as JSON; write for example {example}."
    return "" if isinstance(value, kind) else f"Its {name} must look like {example}."
