"""Mails a report once more to those whom it did not reach, when staff ask for it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from reports import mailing, recipients
from reports.models import ReportDelivery, ReportRun
from runs import audit, clock
from runs.audit import Actor

PERMISSION = "reports.run_report"


def mail_failed_again(actor: Actor, report_run_id: int) -> int:
    """Gives every mail that failed, or was left out, a new start; returns how many. Nobody who got it gets it again.

    Whether somebody may have it is asked again when it is sent, as for every mail.

    Raises:
        ValidationError: everybody got it, or is still being mailed.
        PermissionDenied: the actor may not run reports.
    """
    report_run = ReportRun.objects.get(pk=report_run_id)
    audit.require(actor, PERMISSION, "mail the report again", report_run)
    State = ReportDelivery.State
    with transaction.atomic():
        failed = (
            ReportDelivery.objects.filter(
                report_run=report_run, channel=ReportDelivery.Channel.MAIL, state__in=(State.FAILED, State.LEFT_OUT)
            )
            .exclude(address="")
            .exclude(why=recipients.UNSUBSCRIBED)
        )
        number = failed.update(state=State.WAITING, why="", attempts=0, next_at=clock.now())
        if not number:
            raise ValidationError("There is nobody to mail it to: it reached everybody, or is on its way.")
        mailing.go_on(report_run)
        audit.record(actor, "mailed the report again", report_run, after={"recipients": number})
    return number
