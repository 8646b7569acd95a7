"""Performs the sending of an issue: claims batches, hands mails over one by one, and ends by the counts."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from django.urls import reverse
from django.utils import timezone

from newsletters import (
    audience,
    bounces,
    content,
    holding,
    lanes,
    links,
    merge_fields,
    message,
    preparing,
    reader_words,
    smtp,
    standstill,
)
from newsletters.lanes import Hold, Row
from newsletters.models import Delivery, Issue, Newsletter
from runs import clock, words
from runs.ledger import LeaseLost, RunCancelled
from runs.tasks import JobFailed, RunContext

BATCH = 200
LOOK_SECONDS = 0.5
"""How often the loop looks whether staff paused or cancelled, and writes down what was sent."""
TRY_AGAIN_SECONDS = (30, 120, 300)
"""After a 4xx answer the mail is tried again after these waits; then it has failed."""
RECONNECT_SECONDS = (0.5, 1, 2, 4)
UNANSWERED_IN_A_ROW = 3
WINDOW = 200


def perform(run: RunContext) -> str:
    """Sends the newsletter's issue for the run's due time; a repeated run goes on where the last one stopped."""
    newsletter = Newsletter.objects.filter(pk=run.target_id or 0).first()
    if newsletter is None:
        raise JobFailed("The newsletter was deleted.", may_retry=False)
    while (earlier := standstill.in_the_way(newsletter, run)) is not None:
        if not standstill.is_to_wait(run):
            return f"Left out, because “{earlier}” was still being sent."
        run.checkpoint()
        time.sleep(LOOK_SECONDS)
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
    if issue.is_finished:
        return f"Nothing to do, this issue has ended: {summary(issue)}"
    if issue.state == Issue.State.PAUSED and issue.paused_by_name:
        return paused_words(issue)
    if why := standstill.why_not_go_on(issue, run):
        _pause(issue, why)
        raise JobFailed(why, may_retry=False)
    try:
        hold = lanes.take(issue, run.id)
    except lanes.LaneBusy as error:
        raise JobFailed(str(error)) from error
    Issue.objects.filter(pk=issue.pk, started_at=None).update(started_at=clock.now())
    Issue.objects.filter(pk=issue.pk).exclude(state__in=Issue.FINISHED).exclude(
        state=Issue.State.PAUSED, paused_by_name__gt=""
    ).update(state=Issue.State.RUNNING, run_id=run.id, pause_reason="", pause_code="", paused_by_name="")
    issue.refresh_from_db()
    sender = _Sender(run, issue, hold)
    try:
        return sender.send_all()
    except LeaseLost:
        raise  # another attempt owns the issue: what we know is in the journal already
    except RunCancelled:
        _pause(issue, "The run was cancelled.", by="a member of staff")
        raise
    except smtp.ServerTrouble as trouble:
        _pause(issue, str(trouble), code=trouble.code)
        lanes.release(hold)
        issue.refresh_from_db()
        raise JobFailed(
            f"{trouble} {issue.sent} of {issue.planned} were sent, nobody was marked as failed by this. "
            "When the server is well again, resume the issue or run this again."
        ) from trouble
    except SoftTimeLimitExceeded:
        _pause(issue, "It ran longer than its time limit.")
        raise
    except Exception as error:
        _pause(issue, f"It stopped because of an error ({type(error).__name__}).")
        raise
    finally:
        sender.close()


def _pause(issue: Issue, reason: str, *, by: str = "", code: str = "") -> None:
    Issue.objects.filter(pk=issue.pk, state__in=(Issue.State.PREPARING, Issue.State.RUNNING)).update(
        state=Issue.State.PAUSED, pause_reason=reason[:300], paused_by_name=by, pause_code=code[:20]
    )


class _Sender:
    """One hold of one issue: the loop and its memory."""

    def __init__(self, run: RunContext, issue: Issue, hold: Hold) -> None:
        self._run = run
        self._issue = issue
        self._hold = hold
        self._parts = content.Parts(content.Frozen(issue.subject, issue.html, issue.text))
        self._kinds = merge_fields.kinds()
        self._envelope = preparing.envelope_of(issue)
        self._list_ids = tuple(audience.lists_of(issue.newsletter).order_by("list_id"))
        self._connection = smtp.Connection()
        self._recent: deque[str] = deque(maxlen=WINDOW)
        self._refused: dict[str, list[int]] = {}
        self._unanswered = 0
        self._looked_at = 0.0
        self._next_slot = 0.0
        self._seconds_per_mail = issue.newsletter.seconds_per_mail

    def send_all(self) -> str:
        """Claims and sends until nothing is open, staff stop it, or the server is unusable."""
        while True:
            stopped = self._look(force=True)
            if stopped is not None:
                return stopped
            batch = lanes.claim(self._hold, BATCH)
            if not batch.claimed:
                if lanes.next_attempt_at(self._issue.pk) is None:
                    return self._finish()
                time.sleep(LOOK_SECONDS)
            for row in batch.rows:
                stopped = self._look() or self._wait_for_slot()
                if stopped is not None:
                    return stopped
                self._send_one(row)

    def close(self) -> None:
        """Gives back what was claimed and closes the connection; a lane that is no longer ours is left alone."""
        self._connection.close()
        lanes.release(self._hold)
        if Issue.objects.filter(pk=self._issue.pk, state=Issue.State.CANCELLED).exists():
            lanes.leave_out_open(self._issue.pk, "The issue was cancelled.")

    def _look(self, *, force: bool = False) -> str | None:
        """Writes down what was sent, reports progress, and returns the result if staff stopped the issue."""
        if not force and time.monotonic() - self._looked_at < LOOK_SECONDS:
            return None
        self._looked_at = time.monotonic()
        lanes.flush(self._hold)
        issue = Issue.objects.select_related("newsletter").defer("html", "text").get(pk=self._issue.pk)
        if issue.newsletter.seconds_per_mail != self._seconds_per_mail:
            # Staff changed the rate: who waited for the next mail of a slow one does not wait it out.
            self._seconds_per_mail = issue.newsletter.seconds_per_mail
            self._next_slot = min(self._next_slot, time.monotonic() + self._seconds_per_mail)
        self._run.progress(issue.planned - issue.waiting, issue.planned, "mails")
        if issue.state == Issue.State.PAUSED:
            return paused_words(issue)
        if issue.state == Issue.State.CANCELLED:
            return f"Cancelled after {issue.sent} of {issue.planned}."
        return None

    def _wait_for_slot(self) -> str | None:
        while self._seconds_per_mail and (wait := self._next_slot - time.monotonic()) > 0:
            time.sleep(min(wait, LOOK_SECONDS))
            if (stopped := self._look()) is not None:
                return stopped
        if self._seconds_per_mail:
            self._next_slot = max(self._next_slot, time.monotonic() - 1) + self._seconds_per_mail
        return None

    def _send_one(self, row: Row) -> None:
        recipient = f"{row.email.strip().rpartition('@')[0]}@{row.email_norm.rpartition('@')[2]}"
        data = self._build(row, recipient)
        sender = preparing.envelope_sender(self._issue, row.id)
        for wait in (*RECONNECT_SECONDS, None):
            try:
                outcome = self._connection.send(sender, recipient, data, lambda: lanes.begin(self._hold, row.id))
                break
            except smtp.Dropped as dropped:
                if wait is None:
                    raise smtp.ServerTrouble(f"The mail server cannot be used: {dropped}.") from dropped
                time.sleep(wait)
                self._run.checkpoint()
            except smtp.ServerTrouble:  # said instead of taking the mail, also after its last line
                lanes.turned_down(self._hold)
                raise
            except smtp.Unanswered as silence:
                lanes.doubt(self._hold, row)
                self._unanswered += 1
                if self._unanswered >= UNANSWERED_IN_A_ROW:
                    raise smtp.ServerTrouble(
                        f"The mail server takes mails but does not answer any more ({silence})."
                    ) from silence
                return
        self._unanswered = 0
        self._record(row, outcome)

    def _record(self, row: Row, outcome: smtp.Outcome) -> None:
        reply = outcome.reply
        if outcome.fate is smtp.Fate.SENT:
            lanes.accepted(self._hold, row.id)
            self._recent.append("")
        elif outcome.fate is smtp.Fate.LATER and row.attempts < len(TRY_AGAIN_SECONDS):
            lanes.defer(self._hold, row, TRY_AGAIN_SECONDS[row.attempts], reply.code, reply.text)
        else:
            lanes.refuse(self._hold, row, reply.code, reply.text)
            self._watch_for_a_pattern(row, reply)

    def _watch_for_a_pattern(self, row: Row, reply: smtp.Reply) -> None:
        """Many refusals that are all the same are not the readers' fault: those marked failed wait again."""
        signature = reply.signature
        self._recent.append(signature)
        self._refused.setdefault(signature, []).append(row.id)
        if signature in self._issue.tolerated_codes:
            return
        same = Counter(self._recent)[signature]
        if (same >= 5 and same == len(self._recent)) or (same >= 20 and same * 5 >= len(self._recent)):
            lanes.reopen(self._issue.pk, Delivery.State.FAILED, self._refused.pop(signature))
            raise smtp.ServerTrouble(f"The mail server gave {same} readers the same refusal ({reply}).", signature)

    def _build(self, row: Row, recipient: str) -> bytes:
        url = links.unsubscribe_url(row.subscriber_id, self._issue.newsletter_id, self._issue.pk, self._list_ids)
        own = {
            "view_url": links.view_url(self._issue.pk, row.id),
            "preferences_url": links.preferences_url(row.subscriber_id, row.email_norm),
        }
        letter = self._parts.fill(merge_values(row.name, row.email, url, row.merge, self._kinds, own))
        return message.build(
            self._envelope, delivery_id=row.id, to_name=row.name, to_email=recipient, subject=letter.subject,
            html=letter.html, text=letter.text, unsubscribe_url=url, date=timezone.now(),
        )  # fmt: skip

    def _finish(self) -> str:
        """Ends the issue only when every recipient is accounted for."""
        self._run.confirm()
        result = finish(self._issue.pk)
        self._run.progress(self._issue.planned, self._issue.planned, "mails")
        return result


def finish(issue_id: int) -> str:
    """Ends the issue by the counts in the database and returns the result in one line.

    Raises:
        JobFailed: planned is not sent + failed + skipped + uncertain; the issue stays as it is.
    """
    by_state = lanes.count_states(issue_id)
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


def paused_words(issue: Issue) -> str:
    """What the run says when staff paused the issue."""
    return f"Paused by {issue.paused_by_name or 'Almanac'} after {issue.sent} of {issue.planned}; resume it on the issue's page."


def merge_values(
    name: str,
    email: str,
    unsubscribe_url: str,
    attributes: Mapping[str, Any],
    kinds: Mapping[str, str] | None = None,
    own_urls: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The values for the merge tags of one reader; the fixed tags win over attributes of the same name."""
    urls = {"unsubscribe_url": unsubscribe_url, **(own_urls or {})}
    return reader_words.merge_values(name, email, attributes, urls, kinds or {})
