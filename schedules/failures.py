"""Counts a schedule's failures in a row: tells people after n, pauses after m, and tells them when it works again."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F

from runs import alerts, outcomes
from runs.addresses import page
from runs.models import Run
from runs.states import Reason, State
from schedules import services
from schedules.models import Schedule

TELLING = (Reason.DEADLINE, Reason.NOTHING_RUNNING, Reason.BROKEN)
"""Reasons of missed occurrences that people should know of; the others follow from a rule that they chose."""


def connect() -> None:
    """Called once the apps are loaded."""
    outcomes.run_ended.connect(note, dispatch_uid="schedules.failures")
    outcomes.occurrence_missed.connect(missed, dispatch_uid="schedules.failures")


def note(sender: Any, run: Run, **_: Any) -> None:
    """Keeps the count of the run's schedule and raises or ends its alert."""
    with transaction.atomic():
        if run.state == State.SUCCEEDED:
            _succeeded(run)
        elif run.state == State.FAILED:
            _failed(run)
        elif run.state == State.MISSED and run.reason in TELLING:
            missed(sender, run.schedule_id, run.schedule_name, run.reason_text)


def missed(sender: Any, schedule_id: int | None, name: str, why: str, **_: Any) -> None:
    """One alert per schedule, however many occurrences were missed; its next success ends it."""
    if schedule_id is None:
        return
    schedule = Schedule.objects.filter(pk=schedule_id).only("owner_id", "notify_after").first()
    if schedule is not None and not schedule.notify_after:
        return
    with transaction.atomic():
        alerts.raise_alert(
            _key(schedule_id, name), f"“{name}” missed a run", detail=why, schedule_id=schedule_id,
            owner_id=schedule.owner_id if schedule else None, url=page("admin:schedules_schedule_detail", schedule_id),
        )  # fmt: skip


def _succeeded(run: Run) -> None:
    if run.schedule_id is not None:
        Schedule.objects.filter(pk=run.schedule_id, consecutive_failures__gt=0).update(consecutive_failures=0)
    alerts.resolve(_key(run.schedule_id, run.kind))


def _failed(run: Run) -> None:
    if run.schedule_id is None:  # asked for by an event: there is no rule, so each kind tells at once
        alerts.raise_alert(_key(None, run.kind), f"{run.target_label or run.kind} failed", detail=_why(run))
        return
    if not Schedule.objects.filter(pk=run.schedule_id).update(consecutive_failures=F("consecutive_failures") + 1):
        return  # deleted meanwhile
    schedule = Schedule.objects.select_related("periodic_task").get(pk=run.schedule_id)
    count = schedule.consecutive_failures
    pauses = schedule.pause_after is not None and count >= schedule.pause_after and not schedule.is_paused
    in_a_row = "" if count == 1 else f" {count} times in a row"
    if pauses:
        services.pause_schedule(None, schedule.pk, reason=f"it failed{in_a_row or ' once'}: {run.error}"[:200])
    if pauses or (schedule.notify_after and count >= schedule.notify_after):
        alerts.raise_alert(
            _key(schedule.pk, ""), f"“{schedule}” failed{in_a_row}{' and was paused' if pauses else ''}"[:200],
            detail=_why(run), schedule_id=schedule.pk, owner_id=schedule.owner_id, url=page("admin:schedules_schedule_detail", schedule.pk),
        )  # fmt: skip


def _key(schedule_id: int | None, kind: str) -> str:
    return f"schedule:{schedule_id}" if schedule_id is not None else f"event:{kind}"


def _why(run: Run) -> str:
    return (run.error or run.reason_text)[:500]
