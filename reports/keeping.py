"""What people do with a report that was made: keep it longer, delete its files, make it again, stop its making.

Each function checks the permission, works in one transaction, and writes an audit entry.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from reports import opening, retention
from reports.models import MAX_RETENTION_DAYS, Artefact, ReportQuery, ReportRun
from runs import audit, clock, ledger, services, words
from runs.audit import Actor
from runs.ledger import NewRun
from runs.models import Run
from runs.states import State, Trigger
from schedules import kinds

EXTEND, DELETE, RUN = "reports.change_artefact", "reports.delete_artefact", "reports.run_report"


def extend_report(actor: Actor, report_run_id: int, until: date) -> datetime:
    """Keeps its files to the end of that day on the actor's clock; returns when that is.

    Raises:
        ValidationError: no file is left, or the day is not later than now, or too late.
        PermissionDenied: the actor may not.
    """
    report_run = ReportRun.objects.get(pk=report_run_id)
    audit.require(actor, EXTEND, "keep the report longer", report_run)
    now = clock.now()
    with transaction.atomic():
        files = Artefact.objects.filter(report_run=report_run, deleted_at=None)
        before = files.aggregate(last=Max("expires_at"))["last"]
        if before is None:
            raise ValidationError("None of its files is left. Make the report again to have them back.")
        end = _end_of(until)
        if end <= now:
            raise ValidationError({"until": "That day has passed. Choose a later one."})
        if end <= before:
            raise ValidationError(
                {"until": f"The files are kept until {words.here(before)} anyway. Choose a later day."}
            )
        if end > now + timedelta(days=MAX_RETENTION_DAYS + 1):
            raise ValidationError({"until": f"Files are kept for {MAX_RETENTION_DAYS:,} days at most."})
        files.update(expires_at=end)
        audit.record(actor, "kept the report longer", report_run, before={"until": before}, after={"until": end})
    return end


def delete_files(actor: Actor, report_run_id: int, reason: str) -> int:
    """Deletes its files for good; the record of what was made stays. Returns how many files it was.

    Raises:
        ValidationError: no reason, no file left, a hold keeps one of them, or the disk refuses.
        PermissionDenied: the actor may not.
    """
    report_run = ReportRun.objects.get(pk=report_run_id)
    audit.require(actor, DELETE, "delete the report's files", report_run)
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": "Say why, for whoever looks for the files later."})
    if len(reason) > 180:
        raise ValidationError({"reason": "The reason is longer than 180 characters."})
    files = list(Artefact.objects.filter(report_run=report_run, deleted_at=None))
    if not files:
        raise ValidationError("None of its files is left.")
    if retention.held_files([one.pk for one in files], clock.now()):
        raise ValidationError("A hold keeps these files. It stands under Cleanup, Holds; release it first.")
    # One after another, not all or none: a file that is gone cannot be brought back by a transaction.
    gone = [one for one in files if retention.remove(one, reason)]
    if gone:
        facts = {"files": [one.file_name for one in gone]}
        audit.record(actor, "deleted the report's files", report_run, before=facts, reason=reason)
    if len(gone) < len(files):
        raise ValidationError("Not every file could be deleted. Try again in a moment, or ask an administrator.")
    return len(gone)


def make_again(actor: Actor, report_run_id: int, *, key: str) -> ReportRun:
    """Makes it once more, for the same days and with the same choices; the same ``key`` makes it once.

    Raises:
        ValidationError: the report was deleted, its query has another text, or this one is still being made.
        PermissionDenied: the actor may not run reports.
    """
    original = ReportRun.objects.select_related("definition").get(pk=report_run_id)
    audit.require(actor, RUN, "make the report again", original)
    definition = original.definition
    if definition is None:
        raise ValidationError("The report was deleted, so nobody can make it again. Its files stay until they expire.")
    if original.state in (ReportRun.State.QUEUED, ReportRun.State.RUNNING):
        raise ValidationError("It is still being made. Wait until it is ready, or cancel it first.")
    _require_same_text(original)
    kind = kinds.get("report")
    with transaction.atomic():
        run = ledger.plan(
            NewRun(
                kind=kind.key, target_id=definition.pk, target_label=str(definition)[:200], trigger=Trigger.MANUAL,
                parameters={opening.AGAIN_OF: original.pk}, time_zone=original.time_zone, queue=kind.queue,
                time_limit_seconds=kind.defaults.time_limit_seconds, requested_by=actor,
                idempotency_key=f"report-again-{original.pk}-{key}"[:64],
            )
        )  # fmt: skip
        values = {**opening.repeated(original), "definition": definition, "name": definition.name}
        again, is_new = ReportRun.objects.get_or_create(run_id=run.pk, defaults=values)
        if is_new:
            audit.record(actor, "made the report again", original, after={"run": run.pk, "for": original.period})
    return again


def cancel_report(actor: Actor, report_run_id: int) -> State:
    """Stops its making: at once while it waits, else at its next safe point. Returns the state of its run."""
    report_run = ReportRun.objects.get(pk=report_run_id)
    if not Run.objects.filter(pk=report_run.run_id).exists():
        raise ValidationError("Its run is no longer on record.")
    state = services.cancel_run(actor, report_run.run_id)
    if state == State.CANCELLED:
        waiting = ReportRun.objects.filter(pk=report_run.pk, state=ReportRun.State.QUEUED)
        waiting.update(state=ReportRun.State.CANCELLED, error="It was cancelled before it began.")
    return state


def _require_same_text(original: ReportRun) -> None:
    sha256, number = original.choices.get("query_sha256"), original.choices.get("query_id")
    if sha256 and not ReportQuery.objects.filter(pk=number, approved_sha256=sha256).exists():
        raise ValidationError(
            "Its SQL query is gone, or was approved with another text since, so the same report cannot be made again. "
            f"Run “{original.definition}” now instead."
        )


def _end_of(day: date) -> datetime:
    try:
        return datetime.combine(day + timedelta(days=1), time.min, timezone.get_current_timezone())
    except OverflowError:
        raise ValidationError({"until": f"Files are kept for {MAX_RETENTION_DAYS:,} days at most."}) from None
