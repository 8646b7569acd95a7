"""An issue before it is sent: begun, written, given a time, copied, deleted. Releasing it is in releasing.py.

Each service checks the permission, changes in one transaction and leaves an audit entry.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from newsletters import approval, due_times, feed_entries, holding, preparing
from newsletters.models import Format, Issue, LetterTemplate, Newsletter
from runs import audit, clock, words
from runs.audit import Actor
from runs.locking import locked

SEND = "newsletters.send_newsletter"
ADD, CHANGE, DELETE = (f"newsletters.{verb}_issue" for verb in ("add", "change", "delete"))
State = Issue.State


@dataclass(frozen=True)
class Text:
    """What an issue says, as staff wrote it."""

    subject: str
    body: str
    preheader: str = ""
    format: str = Format.MARKDOWN
    template: LetterTemplate | None = None

    @classmethod
    def of(cls, row: Newsletter | Issue) -> Text:
        """The text that a newsletter or an issue has now."""
        return cls(**{name: getattr(row, name) for name in preparing.TEXT_FIELDS})


@dataclass(frozen=True)
class When:
    """For which time an issue is meant: one of the newsletter's due times, one of its own, or none yet."""

    at: datetime | None = None
    is_own: bool = False
    """Whether the issue gets a one-off schedule; only for those who may send."""
    time_zone: str = "UTC"


def create_issue(actor: Actor, newsletter: Newsletter, when: When | None = None, text: Text | None = None) -> Issue:
    """Begins an issue, from the newsletter's own text where none is given.

    Raises:
        ValidationError: the newsletter does not go out then, or has an issue for that time.
    """
    audit.require(actor, ADD, "write an issue", newsletter)
    when = when or When()
    _require_for(actor, when)
    with transaction.atomic():
        issue = Issue(
            newsletter=newsletter,
            state=State.DRAFT,
            author_id=number_of(actor),
            **_columns(text or _usual_text(newsletter)),
        )
        issue.save()
        _set_time(actor, issue, when)
        audit.record(actor, "began the issue", issue, after={"for": issue.scheduled_for, "subject": issue.subject})
    return issue


def edit_issue(actor: Actor, issue_id: int, text: Text, *, seen: str = "") -> Issue:
    """Changes the text. What was approved or released by somebody else waits for that again.

    ``seen`` is the fingerprint of the text that the writer began from; somebody else's change since then is refused.
    """
    audit.require(actor, CHANGE, "change the issue", Issue.objects.get(pk=issue_id))
    with transaction.atomic():
        issue = changeable(issue_id)
        if seen and seen != approval.fingerprint(issue):
            raise ValidationError(
                "Somebody else changed this issue while you were writing. What you wrote is still here: copy it, open the issue anew, and put both together."
            )
        before, after = _columns(Text.of(issue)), _columns(text)
        changed = [name for name in after if before[name] != after[name]]
        if not changed:
            return issue
        for name in changed:
            setattr(issue, name, after[name])
        issue.author_id, was = number_of(actor), issue.state
        is_sender = actor is None or actor.has_perm(SEND)  # type: ignore[union-attr]
        if issue.state == State.SCHEDULED and (issue.approved_at is not None or not is_sender):
            issue.state = State.APPROVAL
        forget_approval(issue)
        issue.tested_at = None
        issue.save()
        audit.record(
            actor, "changed the issue", issue,
            before={name: _said(before[name]) for name in changed} | ({"state": was} if was != issue.state else {}),
            after={name: _said(after[name]) for name in changed} | ({"state": issue.state} if was != issue.state else {}),
        )  # fmt: skip
        if was != issue.state:
            approval.ask(issue, preparing.reach_in_words(issue.newsletter)[0].recipients)
    return issue


def move_issue(actor: Actor, issue_id: int, when: When) -> Issue:
    """Gives the issue another time, or none: one without a time is a draft again."""
    found = Issue.objects.get(pk=issue_id)
    audit.require(actor, CHANGE, "move the issue", found)
    _require_for(actor, when, found)
    with transaction.atomic():
        issue = changeable(issue_id)
        before = {"for": issue.scheduled_for, "state": issue.state}
        if issue.state == State.SCHEDULED:
            audit.require(actor, SEND, "move the released issue", issue)
        _set_time(actor, issue, when)
        if issue.state == State.SCHEDULED and issue.scheduled_for is None:
            issue.state = State.DRAFT
        issue.run_id = None
        issue.save(update_fields=["state", "run_id"])
        holding.is_over(issue.pk)
        audit.record(
            actor, "moved the issue", issue, before=before, after={"for": issue.scheduled_for, "state": issue.state}
        )
    return issue


def delete_issue(actor: Actor, issue_id: int) -> None:
    """Removes an issue of which nothing was sent, and the one-off schedule that was made for it."""
    audit.require(actor, DELETE, "delete the issue", Issue.objects.get(pk=issue_id))
    with transaction.atomic():
        issue = changeable(issue_id)
        due_times.drop_own_time(actor, issue)
        holding.is_over(issue.pk)
        audit.record(
            actor, "deleted the issue", issue, before={"for": issue.scheduled_for, **_said_text(Text.of(issue))}
        )
        issue.delete()


def duplicate_issue(actor: Actor, issue_id: int) -> Issue:
    """A new draft with the same text and no time."""
    issue = Issue.objects.select_related("newsletter").get(pk=issue_id)
    return create_issue(actor, issue.newsletter, text=Text.of(issue))


def _require_for(actor: Actor, when: When, issue: Issue | None = None) -> None:
    """A time of its own makes a schedule: that takes the right to send."""
    if when.is_own:
        audit.require(actor, SEND, "give an issue a time of its own", issue)


def _set_time(actor: Actor, issue: Issue, when: When) -> None:
    """Writes the issue's time; checks that something is due then, or makes it so."""
    if when.at is not None and when.at <= clock.now():
        raise ValidationError({"at": "That time has passed. Choose a later one, or send it now."})
    taken = Issue.objects.filter(newsletter_id=issue.newsletter_id, scheduled_for=when.at).exclude(pk=issue.pk)
    if when.at is not None and taken.exists():
        raise ValidationError(
            {"at": f"There is an issue for {words.here(when.at)} already. Open that one, or choose another time."}
        )
    due = due_times.find(issue.newsletter_id, when.at) if when.at is not None else None
    own = due_times.own_schedule(issue)
    is_regular = due is not None and (own is None or due.schedule.pk != own.pk)
    if when.at is None or is_regular:
        due_times.drop_own_time(actor, issue)
    elif when.is_own:
        try:
            due_times.set_own_time(actor, issue, when.at, when.time_zone)
        except ValidationError as error:
            raise ValidationError({"at": error.messages}) from error
    else:
        raise ValidationError(
            {"at": "The newsletter does not go out at that time. Choose one of its times, or one of your own."}
        )
    issue.scheduled_for = when.at
    try:
        with transaction.atomic():
            issue.save(update_fields=["scheduled_for"])
    except IntegrityError:
        raise ValidationError({"at": "Somebody else has just made an issue for that time."}) from None


def changeable(issue_id: int) -> Issue:
    """The issue, locked, if it may still be changed. Raises ValidationError."""
    issue = locked(Issue.objects.select_related("newsletter", "template")).filter(pk=issue_id).first()
    if issue is None:
        raise ValidationError("Somebody deleted this issue a moment ago.")
    if issue.state not in Issue.CHANGEABLE:
        raise ValidationError(
            "Its sending has begun, so its text and its time are settled. Pause or cancel it instead."
        )
    return issue


def forget_approval(issue: Issue) -> None:
    """Nobody has agreed to the text any more; the caller saves."""
    issue.approved_by, issue.approved_at, issue.approved_sha256 = None, None, ""


def _usual_text(newsletter: Newsletter) -> Text:
    """The newsletter's text, with the place where its feed will stand, so that its writer sees it."""
    text = Text.of(newsletter)
    if newsletter.source != Newsletter.Source.FEED:
        return text
    return replace(text, body=feed_entries.with_place(text.body, text.format))


def _columns(text: Text) -> dict[str, Any]:
    return {name: getattr(text, name) for name in asdict(Text("", ""))}


def _said_text(text: Text) -> dict[str, Any]:
    return {name: _said(value) for name, value in _columns(text).items()}


def _said(value: Any) -> Any:
    return str(value) if isinstance(value, models.Model) else value


def number_of(actor: Actor) -> int | None:
    """The person's number; None when the system acts."""
    return None if actor is None else actor.pk
