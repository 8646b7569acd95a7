"""What follows when the making or the mailing of a report has ended in the ledger, however it ended."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from reports import deliveries, failures, mailing, publishing, telling
from reports.models import ReportRun
from runs import outcomes
from runs.models import Run
from runs.states import State


def connect() -> None:
    """Called once the apps are loaded."""
    outcomes.run_ended.connect(note, dispatch_uid="reports.endings")


def note(sender: Any, run: Run, **_: Any) -> None:
    """Ends the record of a report whose run ended without it, tells of a failure, and goes on with mails that broke off."""
    if run.kind == "report":
        with transaction.atomic():
            _making_ended(run)
    elif run.kind == mailing.KIND and run.state in (State.FAILED, State.CANCELLED):
        with transaction.atomic():
            _mailing_broke_off(run)


def _making_ended(run: Run) -> None:
    report_run = ReportRun.objects.select_related("definition").filter(run_id=run.pk).first()
    if run.state == State.SUCCEEDED:
        if report_run is not None and _was_kept_back(report_run):
            result = Run.objects.values_list("result", flat=True).get(pk=run.pk)
            deliveries.tell_who_asked(report_run, result)
        return
    if report_run is not None and report_run.state in publishing.PUBLISHED:
        return  # it was made; its worker died on the way to say so
    why = run.error or run.reason_text or "Its run ended before the report was made."
    if report_run is not None and run.state == State.CANCELLED:
        failures.close_cancelled(report_run)
    elif report_run is not None:
        failures.close(report_run, f"{why[:1].upper()}{why[1:]}")
    if run.state == State.FAILED:
        telling.tell_of_failure(run, report_run, why)


def _was_kept_back(report_run: ReportRun) -> bool:
    return report_run.state == ReportRun.State.SKIPPED or bool(report_run.summary.get("not_sent"))


def _mailing_broke_off(run: Run) -> None:
    report_run = ReportRun.objects.filter(pk=run.target_id or 0).first()
    if report_run is None:
        return
    if run.state == State.CANCELLED:
        mailing.leave_out_waiting(report_run, "Staff cancelled the mailing.")
    else:
        mailing.go_on(report_run)
