"""Pausing everything at once: one row, whatever the number of schedules, and each due time in it is explained."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from runs import audit, clock, occurrences
from runs.audit import Actor
from runs.locking import locked
from runs.models import Run
from runs.states import Reason, Trigger
from schedules import planner
from schedules.models import DeskPause, Schedule

PERMISSION = "schedules.pause_everything"


def current() -> DeskPause | None:
    """The pause of everything that lasts now."""
    return DeskPause.objects.select_related("started_by").filter(ended_at=None).first()


def pause_everything(actor: Actor, *, reason: str) -> DeskPause:
    """From now on no schedule runs; runs that wait for a worker are withdrawn, running ones go on.

    What staff start themselves (run now, retry, past times) still runs.

    Raises:
        ValidationError: no reason is given, or everything is paused already.
        PermissionDenied: the actor may not.
    """
    audit.require(actor, PERMISSION, "pause everything")
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": "Say why everything is paused, so that others understand."})
    if len(reason) > 200:
        raise ValidationError({"reason": "The reason is longer than 200 characters."})
    try:
        with transaction.atomic():
            pause = DeskPause.objects.create(
                started_at=clock.now(), reason=reason, started_by_id=None if actor is None else actor.pk
            )
            withdrawn = _withdraw_limited(pause) + occurrences.withdraw(None, Reason.PAUSED, pause.as_pause.recorded)
            audit.record(actor, "paused everything", pause, after={"withdrawn_runs": withdrawn}, reason=reason)
    except IntegrityError:
        raise ValidationError("Everything is paused already.") from None
    return pause


def _withdraw_limited(pause: DeskPause) -> int:
    """Those of schedules that end after a number of runs: what is taken back does not count."""
    waiting = Run.objects.filter(next_publish_at__isnull=False, trigger=Trigger.SCHEDULE, schedule_id=OuterRef("pk"))
    limited = Schedule.objects.filter(Exists(waiting), max_runs__isnull=False).order_by("pk")
    withdrawn = 0
    for schedule in locked(limited):
        withdrawn += planner.withdraw_paused(schedule, pause.as_pause)
        schedule.save(update_fields=["planned_count", "next_due_at", "settled_timing"])
    return withdrawn


def resume_everything(actor: Actor) -> DeskPause | None:
    """Schedules run again from their next due times on; nothing that fell into the pause is run.

    Returns the pause that ended, or None when there was none.

    Raises:
        PermissionDenied: the actor may not.
    """
    audit.require(actor, PERMISSION, "resume everything")
    with transaction.atomic():
        now = clock.now()
        pause = current()
        if pause is None or not DeskPause.objects.filter(pk=pause.pk, ended_at=None).update(
            ended_at=now, ended_by_id=None if actor is None else actor.pk
        ):
            return None
        audit.record(
            actor, "resumed everything", pause, before={"started_at": pause.started_at, "reason": pause.reason}
        )
    return pause
