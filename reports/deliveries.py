"""Who hears of a report that was made: what is planned in the transaction that publishes its files."""

from __future__ import annotations

from reports import links, mailing, recipients
from reports.models import ReportDelivery, ReportRun
from runs import clock, notices
from runs.models import Run, RunEvent


def plan(report_run: ReportRun, text: str) -> None:
    """Called in the transaction that publishes the files, where the report's condition lets it be sent.

    Notices are there at once; mails follow after the commit, each with a state of its own. Planned twice, for a run
    that a second worker took over, nobody is told twice.
    """
    for user_id in _people_here(report_run):
        _leave_notice(report_run, user_id, f"“{report_run.name}” is ready: {text}")
    addressees = recipients.of(report_run)
    if not addressees:
        return
    now = clock.now()
    State = ReportDelivery.State
    ReportDelivery.objects.bulk_create(
        [
            ReportDelivery(
                report_run=report_run, recipient_id=one.recipient_id, user_id=one.user_id, address=one.address,
                channel=ReportDelivery.Channel.MAIL, why=one.why_not, created_at=now,
                state=State.LEFT_OUT if one.why_not else State.WAITING, next_at=None if one.why_not else now,
            )
            for one in addressees
        ],
        ignore_conflicts=True,
    )  # fmt: skip
    mailing.begin(report_run)


def tell_who_asked(report_run: ReportRun, text: str) -> None:
    """Tells whoever ran it by hand that it was made although nobody was sent it."""
    for user_id in _asked(report_run):
        _leave_notice(report_run, user_id, f"“{report_run.name}” was made and not sent. {text}")


def _people_here(report_run: ReportRun) -> set[int]:
    definition = report_run.definition
    told = set(definition.notify.filter(is_active=True).values_list("pk", flat=True)) if definition else set()
    return told | _asked(report_run)


def _asked(report_run: ReportRun) -> set[int]:
    """Whoever ran it by hand, unless they unticked that they want to be told."""
    run = Run.objects.filter(pk=report_run.run_id).only("requested_by_id", "parameters").first()
    if run is None or run.requested_by_id is None or run.parameters.get("tell_me") is False:
        return set()
    return {run.requested_by_id}


def _leave_notice(report_run: ReportRun, user_id: int, text: str) -> None:
    now = clock.now()
    _, is_new = ReportDelivery.objects.get_or_create(
        report_run=report_run, channel=ReportDelivery.Channel.NOTICE, user_id=user_id, address="",
        defaults={"state": ReportDelivery.State.SENT, "sent_at": now, "created_at": now},
    )  # fmt: skip
    if is_new:
        level = RunEvent.Level.WARNING if report_run.state == ReportRun.State.INCOMPLETE else RunEvent.Level.INFO
        notices.tell(user_id, text, url=links.page_of(report_run), level=level)
