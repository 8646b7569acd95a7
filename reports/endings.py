"""What follows when the making or the mailing of a report has ended in the ledger, however it ended."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from reports import deliveries, mailing, telling
from reports.models import ReportRun
from runs import outcomes
from runs.models import Run
from runs.states import State


def connect() -> None:
    """Called once the apps are loaded."""
    outcomes.run_ended.connect(note, dispatch_uid="reports.endings")


def note(sender: Any, run: Run, **_: Any) -> None:
    """Tells of a report that failed, also where its worker died, and goes on with mails whose round broke off."""
    if run.kind == "report":
        with transaction.atomic():
            _made(run)
    elif run.kind == mailing.KIND and run.state in (State.FAILED, State.CANCELLED):
        with transaction.atomic():
            _mailing_broke_off(run)


def _made(run: Run) -> None:
    report_run = ReportRun.objects.select_related("definition").filter(run_id=run.pk).first()
    if run.state == State.FAILED:
        telling.tell_of_failed_run(run, report_run, run.error or run.reason_text)
    elif run.state == State.SUCCEEDED and report_run is not None and _was_kept_back(report_run):
        result = Run.objects.values_list("result", flat=True).get(pk=run.pk)
        deliveries.tell_who_asked(report_run, result)


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
