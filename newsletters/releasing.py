"""From a draft to the sending: handed in, approved or sent back, released, taken back, sent now.

Each service checks the permission, changes in one transaction and leaves an audit entry.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from newsletters import approval, due_times, holding, preparing
from newsletters.audience import Audience
from newsletters.issues import CHANGE, SEND, State, changeable, forget_approval, number_of
from newsletters.models import Issue
from runs import audit, clock, ledger, notices, words
from runs.audit import Actor
from runs.models import Run, RunEvent
from runs.states import WAITING
from schedules import events


def submit_issue(actor: Actor, issue_id: int) -> Issue:
    """The text is ready: released where this person may send and nobody has to approve, else handed in for approval."""
    issue = Issue.objects.get(pk=issue_id)
    audit.require(actor, CHANGE, "hand in the issue", issue)
    may_send = actor is None or actor.has_perm(SEND)  # type: ignore[union-attr]
    with transaction.atomic():
        issue = changeable(issue_id)
        if issue.state != State.DRAFT:
            raise ValidationError("It was handed in already.")
        _check_text(issue)
        counted = _counted(issue)
        is_free = approval.is_given(issue) or not approval.is_needed(issue.newsletter, counted.recipients)
        if may_send and is_free:
            if issue.scheduled_for is None:
                raise ValidationError("Choose when it goes out first, or send it now.")
            _release(actor, issue)
            audit.record(
                actor, "released the issue", issue, after={"for": issue.scheduled_for, "recipients": counted.recipients}
            )
        else:
            issue.state = State.APPROVAL
            issue.save(update_fields=["state"])
            approval.ask(issue, counted.recipients)
            audit.record(actor, "handed in the issue", issue, after={"recipients": counted.recipients})
    return issue


def withdraw_issue(actor: Actor, issue_id: int) -> Issue:
    """Takes a released or handed-in issue back: it is a draft again, and nothing goes out at its time."""
    audit.require(actor, CHANGE, "take the issue back", Issue.objects.get(pk=issue_id))
    with transaction.atomic():
        issue = changeable(issue_id)
        if issue.state == State.DRAFT:
            raise ValidationError("It is a draft already. Nothing goes out before somebody releases it.")
        before = issue.state
        waiting = Run.objects.filter(pk=issue.run_id or 0, state__in=WAITING).first()
        if waiting is not None:  # "send now" was pressed, and no worker has come yet
            ledger.request_cancel(waiting)
        issue.state, issue.run_id = State.DRAFT, None
        forget_approval(issue)
        issue.save()
        audit.record(actor, "took the issue back", issue, before={"state": before})
    return issue


def approve_issue(actor: Actor, issue_id: int) -> Issue:
    """Agrees to the issue as it stands now. One whose time has come starts at once, unless that is too long ago."""
    found = Issue.objects.get(pk=issue_id)
    audit.require(actor, approval.APPROVE, "approve the issue", found)
    with transaction.atomic():
        issue = changeable(issue_id)
        if issue.state != State.APPROVAL:
            raise ValidationError("It does not wait for approval.")
        if approval.is_by(issue, number_of(actor)):
            raise ValidationError("You wrote this text last, so somebody else must approve it.")
        issue.approved_by_id, issue.approved_at = number_of(actor), clock.now()
        issue.approved_sha256 = approval.agreed(issue)
        if issue.scheduled_for is None:
            issue.state = State.DRAFT
            issue.save()
        else:
            _release(actor, issue)
        audit.record(actor, "approved the issue", issue, after={"fingerprint": issue.approved_sha256[:16]})
        notices.tell(issue.author_id, f"“{issue}” was approved by {actor or 'Almanac'}.", url=approval.page_of(issue))
    return issue


def refuse_issue(actor: Actor, issue_id: int, reason: str) -> Issue:
    """Sends a handed-in issue back to whoever wrote it, with words."""
    audit.require(actor, approval.APPROVE, "send the issue back", Issue.objects.get(pk=issue_id))
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": "Say what is to be changed, so that the writer knows."})
    if len(reason) > 300:
        raise ValidationError({"reason": "The reason is longer than 300 characters."})
    with transaction.atomic():
        issue = changeable(issue_id)
        if issue.state != State.APPROVAL:
            raise ValidationError("It does not wait for approval.")
        issue.state = State.DRAFT
        issue.save(update_fields=["state"])
        audit.record(actor, "sent the issue back", issue, reason=reason)
        notices.tell(
            issue.author_id, f"“{issue}” was sent back by {actor or 'Almanac'}: {reason}", url=approval.page_of(issue),
            level=RunEvent.Level.WARNING,
        )  # fmt: skip
    return issue


def send_now(actor: Actor, issue_id: int, *, key: str) -> Run:
    """Starts the sending at once, whatever its time; the same ``key`` (one per shown form) starts it once.

    An issue with a time keeps it: nothing more goes out then.
    """
    found = Issue.objects.get(pk=issue_id)
    audit.require(actor, SEND, "send the issue now", found)
    with transaction.atomic():
        if earlier := Run.objects.filter(idempotency_key=_key(issue_id, key)).first():
            return earlier
        issue = changeable(issue_id)
        _check_text(issue)
        counted = _counted(issue)
        if not counted.recipients:
            raise ValidationError(preparing.nobody(issue.newsletter, counted))
        if approval.is_needed(issue.newsletter, counted.recipients) and not approval.is_given(issue):
            raise ValidationError(
                f"It would go to {words.counted(counted.recipients, 'recipient')}, so somebody else must approve it first."
            )
        issue.scheduled_for = issue.scheduled_for or clock.now()
        issue.state = State.SCHEDULED
        issue.save(update_fields=["scheduled_for", "state"])
        run = _start(actor, issue, key)
        audit.record(actor, "sent the issue now", issue, after={"run": run.pk, "recipients": counted.recipients})
    return run


def _release(actor: Actor, issue: Issue) -> None:
    """From now on its due time sends it; a run that came before and left is made up for, unless it is too late."""
    issue.state = State.SCHEDULED
    issue.save()
    now = clock.now()
    has_come = issue.run_id is not None and issue.scheduled_for is not None and issue.scheduled_for <= now
    if has_come and not due_times.is_too_late(issue, now):
        _start(actor, issue)


def _start(actor: Actor, issue: Issue, key: str = "") -> Run:
    run = events.start(
        "newsletter_rest", issue, requested_by=actor, idempotency_key=_key(issue.pk, key) if key else None
    )
    issue.run_id = run.pk
    issue.save(update_fields=["run_id"])
    holding.is_over(issue.pk)
    return run


def _key(issue_id: int, key: str) -> str:
    return f"issue-{issue_id}-{key}"[:64]


def _counted(issue: Issue) -> Audience:
    """Whom it would reach. A segment that cannot be used is said now, not when its time comes."""
    try:
        return preparing.reach(issue.newsletter)
    except preparing.CannotPrepare as error:
        raise ValidationError(str(error)) from error


def _check_text(issue: Issue) -> None:
    """Nothing that would fail when its time comes is handed in."""
    if not issue.subject.strip() or not issue.body.strip():
        raise ValidationError("Write a subject and a text first.")
    try:
        preparing.freeze(issue)
    except preparing.CannotPrepare as error:
        raise ValidationError(str(error)) from error
