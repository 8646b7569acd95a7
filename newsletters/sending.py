"""Performs the run that sends an issue: prepares it, takes its first lane, waits for who helps, and ends by the counts."""

from __future__ import annotations

import time
from collections.abc import Callable

from billiard.exceptions import SoftTimeLimitExceeded
from django.urls import reverse

from newsletters import (
    bounces,
    deliveries,
    helping,
    holding,
    lanes,
    pausing,
    preparing,
    standstill,
)
from newsletters import sender as sender_module
from newsletters.helping import Driver
from newsletters.lanes import Hold
from newsletters.models import Delivery, Issue, Newsletter
from newsletters.sender import Sender, Stopped, begin, paused_words
from newsletters.smtp_replies import ServerTrouble
from runs import clock, database_away, words
from runs.ledger import LeaseLost, RunCancelled
from runs.models import Run
from runs.states import State as RunState
from runs.tasks import JobFailed, RunContext

LATE_ANSWER = (
    "The mail server has not answered yet for the last mail before the pause. Until it has, nobody knows whether that "
    "one is sent; then the rest follows."
)


def perform(run: RunContext) -> str:
    """Sends the newsletter's issue for the run's due time; a repeated run goes on where the last one stopped."""
    newsletter = Newsletter.objects.filter(pk=run.target_id or 0).first()
    if newsletter is None:
        raise JobFailed("The newsletter was deleted.", may_retry=False)
    while (earlier := standstill.in_the_way(newsletter, run)) is not None:
        if not standstill.is_to_wait(run):
            return f"Left out, because “{earlier}” was still being sent."
        run.checkpoint()
        time.sleep(sender_module.LOOK_SECONDS)
    return _prepare_and_send(run, lambda: preparing.issue_for(newsletter, run.due_at))


def perform_rest(run: RunContext) -> str:
    """Sends an issue that staff started by hand, or goes on with one that they resumed or want tried again."""
    issue = Issue.objects.filter(pk=run.target_id or 0).first()
    if issue is None:
        raise JobFailed("The issue was deleted.", may_retry=False)
    if issue.state not in Issue.CHANGEABLE:
        return send_issue(run, issue)
    if standstill.is_stale_start(run):
        asked = words.local(run.due_at, run.time_zone)
        return f"Not sent: it was asked for at {asked}, which is too long ago. Send it from its page if it is still wanted."
    return _prepare_and_send(run, lambda: preparing.prepare(issue))


def _prepare_and_send(run: RunContext, prepare: Callable[[], Issue]) -> str:
    try:
        issue = prepare()
    except preparing.NothingNew as nothing:
        return str(nothing)
    except holding.Held as held:
        run.attach("The issue", reverse("admin:newsletters_issue_change", args=[held.issue.pk]))
        return holding.hold(held, run.id)
    except preparing.CannotPrepare as error:
        raise JobFailed(str(error), may_retry=False) from error
    return send_issue(run, issue)


def send_issue(run: RunContext, issue: Issue) -> str:
    """Sends what is still open of the issue and returns the result in one line.

    Raises:
        JobFailed: the mail server cannot be used; the issue is paused and nobody is marked as failed.
        LeaseLost, RunCancelled: as :meth:`RunContext.progress`.
    """
    run.attach("The issue", reverse("admin:newsletters_issue_change", args=[issue.pk]))
    if issue.state == Issue.State.CANCELLED and issue.waiting:
        return _tidy_up(run, issue)
    if issue.is_finished:
        return f"Nothing to do, this issue has ended: {summary(issue)}"
    if issue.state == Issue.State.PAUSED and issue.paused_by_name:
        return paused_words(issue)
    if why := standstill.why_not_go_on(issue, run):
        pausing.pause(issue, why)
        raise JobFailed(why, may_retry=False)
    hold: Hold | None = None
    while True:
        try:
            hold = _take_lane(run, issue, hold)
            return _send_on_lane(run, issue, hold)
        except database_away.ERRORS as error:
            database_away.wait(error, run.checkpoint)


def _tidy_up(run: RunContext, issue: Issue) -> str:
    """Waits for whoever still has mails of a cancelled issue in hand; the rest is left out."""
    helping.wait_until_alone(run, issue.pk, is_of_any_run=True)
    deliveries.leave_out_if_cancelled(issue.pk)
    return Stopped(issue).in_words()


def _send_on_lane(run: RunContext, issue: Issue, hold: Hold) -> str:
    Issue.objects.filter(pk=issue.pk, started_at=None).update(started_at=clock.now())
    Issue.objects.filter(pk=issue.pk).exclude(state__in=Issue.FINISHED).exclude(
        state=Issue.State.PAUSED, paused_by_name__gt=""
    ).update(state=Issue.State.RUNNING, run_id=run.id, pause_reason="", pause_code="", paused_by_name="")
    issue.refresh_from_db()
    sender = begin(Driver(run, issue), issue, hold)
    try:
        _send_all(issue, hold, sender)
    except Stopped as stopped:
        sender.close()
        helping.wait_until_alone(run, issue.pk)
        return stopped.in_words()
    except database_away.ERRORS:
        sender.abandon()
        raise
    except LeaseLost:
        raise  # another attempt owns the issue: what we know is in the journal already
    except RunCancelled:
        pausing.pause(issue, "The run was cancelled.", by="a member of staff")
        raise
    except ServerTrouble as trouble:
        pausing.pause(issue, str(trouble), code=trouble.code)
        sender.close()
        issue.refresh_from_db()
        raise JobFailed(
            f"{trouble} {issue.sent} of {issue.planned} were sent, nobody was marked as failed by this. "
            "When the server is well again, resume the issue or run this again."
        ) from trouble
    except SoftTimeLimitExceeded:
        pausing.pause(issue, "It ran longer than its time limit.")
        raise
    except Exception as error:
        pausing.pause(issue, f"It stopped because of an error ({type(error).__name__}).")
        raise
    finally:
        sender.close()
        deliveries.leave_out_if_cancelled(issue.pk)
    run.confirm()
    result = finish(issue.pk)
    run.progress(issue.planned, issue.planned, "mails")
    return result


def _take_lane(run: RunContext, issue: Issue, former: Hold | None) -> Hold:
    """Waits for a former attempt of this run that may still live, as its time ends soon, and for a run that staff
    paused: the mail server may be late with the answer to its last mail.

    Raises:
        JobFailed: another run is sending the issue.
    """
    has_told = False
    while True:
        try:
            return lanes.take(issue, run.id, former=former)
        except lanes.LaneBusy as busy:
            if busy.run_id != run.id and Run.objects.filter(pk=busy.run_id, state=RunState.RUNNING).exists():
                if not Issue.objects.filter(pk=issue.pk, run_id=run.id).exists():
                    raise JobFailed(str(busy)) from busy
                if not has_told:
                    run.log(LATE_ANSWER)
                has_told = True
        run.checkpoint()
        time.sleep(sender_module.LOOK_SECONDS)


def _send_all(issue: Issue, hold: Hold, sender: Sender) -> None:
    """Sends, with the processes that help, until every delivery has come to an end."""
    while True:
        sender.send()
        sender.look()
        lanes.reap(issue.pk)
        is_done = (
            not lanes.held(issue.pk).exclude(pk=hold.lane_id).exists() and deliveries.next_attempt_at(issue.pk) is None
        )
        if is_done and not deliveries.is_any_waiting(issue.pk):
            return
        time.sleep(sender_module.LOOK_SECONDS)


def finish(issue_id: int) -> str:
    """Ends the issue by the counts in the database and returns the result in one line.

    Raises:
        JobFailed: planned is not sent + failed + skipped + uncertain; the issue stays as it is.
    """
    by_state = deliveries.count_states(issue_id)
    issue = Issue.objects.defer("html", "text").get(pk=issue_id)
    issue.sent, issue.failed = by_state.get(Delivery.State.SENT, 0), by_state.get(Delivery.State.FAILED, 0)
    issue.skipped, issue.uncertain = by_state.get(Delivery.State.SKIPPED, 0), by_state.get(Delivery.State.UNCERTAIN, 0)
    if issue.waiting or sum(by_state.values()) != issue.planned:
        raise JobFailed(f"The count is wrong: of {issue.planned} recipients {issue.waiting} are not accounted for.")
    bounces.note_refusals(issue_id)
    has_problems = issue.failed or issue.uncertain
    Issue.objects.filter(pk=issue_id).exclude(state=Issue.State.CANCELLED).update(
        state=Issue.State.SENT_WITH_PROBLEMS if has_problems else Issue.State.SENT,
        finished_at=clock.now(), sent=issue.sent, failed=issue.failed, skipped=issue.skipped, uncertain=issue.uncertain,
        pause_reason="", paused_by_name="", pause_code="",
    )  # fmt: skip
    return summary(issue)


def summary(issue: Issue) -> str:
    """ "196 sent, 3 failed, 1 left out." """
    parts = [f"{issue.sent} sent"]
    parts += [f"{number} {word}" for number, word in (
        (issue.failed, "failed"), (issue.skipped, "left out"), (issue.uncertain, "uncertain"),
    ) if number]  # fmt: skip
    return f"{', '.join(parts)}."
