"""What staff do: save newsletters and lists; pause, resume and cancel an issue; try the failed again.

Each service checks the permission, changes in one transaction and leaves an audit entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from newsletters import addresses, approval, deliveries, kept_counts, lanes, segments, sending, suppressions
from newsletters.models import Delivery, Issue, List, Newsletter, Suppression
from runs import audit, clock, offered_files
from runs.audit import Actor
from runs.models import Run
from runs.states import OPEN, State
from schedules import events, targets

SEND = "newsletters.send_newsletter"
MOST_DECIDED = 500
"""Uncertain mails that are settled one by one at a time; beyond that, all together."""
_NEWSLETTER_FIELDS = (
    "name", "subject", "preheader", "format", "template", "body", "source", "feed_url", "feed_items", "feed_when_empty",
    "segment", "attachment", "from_name", "from_email", "reply_to", "rate", "rate_per", "approve_above", "tracking",
    "is_archived", "postal_address",
)  # fmt: skip
_LIST_FIELDS = ("slug", "name", "public", "description", "opt_in", "welcome_subject", "welcome_body")


def save_newsletter(actor: Actor, newsletter: Newsletter, lists: Iterable[List]) -> Newsletter:
    """Creates or changes a newsletter. Issues that were started keep their frozen text.

    Whoever attaches a file must be allowed to see it: everybody who gets the newsletter does.
    """
    _require_save(actor, newsletter)
    chosen = list(lists)
    with transaction.atomic():
        before = _values(newsletter, _NEWSLETTER_FIELDS)
        if newsletter.attachment and newsletter.attachment != before.get("attachment"):
            offered_files.require(actor, newsletter.attachment)
        limit: int | None = before.get("approve_above")
        is_looser = approval.is_looser(limit, newsletter.approve_above)
        if is_looser:
            audit.require(actor, approval.APPROVE, "let more issues go out without approval", newsletter)
        if before:
            before["lists"] = _names(newsletter.lists.all())
        # What a sending noted meanwhile, such as the entries of the feed that went out, is left as it is.
        newsletter.save(update_fields=[*_NEWSLETTER_FIELDS, "changed_at"] if before else None)
        newsletter.lists.set(chosen)
        after = _facts(newsletter, _NEWSLETTER_FIELDS) | {"lists": _names(chosen)}
        _record_save(actor, newsletter, before, after)
        if limit is not None and is_looser:
            approval.tell_looser(newsletter, actor, limit, newsletter.approve_above)
    return newsletter


def save_list(actor: Actor, chosen: List) -> List:
    """Creates or changes a list."""
    _require_save(actor, chosen)
    with transaction.atomic():
        before = _values(chosen, _LIST_FIELDS)
        chosen.save()
        _record_save(actor, chosen, before, {name: getattr(chosen, name) for name in _LIST_FIELDS})
    return chosen


def delete_newsletter(actor: Actor, newsletter: Newsletter) -> None:
    """Removes a newsletter of which no issue exists; what was sent stays on record.

    Raises:
        ValidationError: it has issues, or schedules still send it.
        PermissionDenied: the actor may not.
    """
    audit.require(actor, "newsletters.delete_newsletter", "delete this newsletter", newsletter)
    with transaction.atomic():
        targets.require_unused(newsletter)
        if newsletter.issues.exists():
            raise ValidationError("It has issues, which stay on record. Delete its schedules instead.")
        before = _values(newsletter, _NEWSLETTER_FIELDS) | {"lists": _names(newsletter.lists.all())}
        audit.record(actor, "deleted the newsletter", newsletter, before=before)
        newsletter.delete()


def delete_list(actor: Actor, chosen: List) -> None:
    """Removes a list that nobody is on and no newsletter goes to."""
    audit.require(actor, "newsletters.delete_list", "delete this list", chosen)
    if chosen.subscriptions.exists() or chosen.newsletters.exists():
        raise ValidationError("People are on it, or a newsletter goes to it.")
    asking = segments.naming(chosen)
    if asking:
        raise ValidationError(f"The segment “{asking[0]}” asks for it. Change that first.")
    with transaction.atomic():
        audit.record(actor, "deleted the list", chosen, before=_values(chosen, _LIST_FIELDS))
        chosen.delete()


def suppress(actor: Actor, email: str, reason: str = Suppression.Reason.MANUAL, note: str = "") -> Suppression:
    """Puts an address on the suppression list: it gets no newsletter any more. Doing it twice changes nothing."""
    audit.require(actor, "newsletters.add_suppression", "suppress an address")
    norm = addresses.normalise(email)
    with transaction.atomic():
        return suppressions.note(actor, norm, reason, note)


def pause_issue(actor: Actor, issue_id: int, reason: str = "") -> Issue:
    """Stops the sending after the mail in hand; the rest waits."""
    issue = Issue.objects.get(pk=issue_id)
    audit.require(actor, SEND, "pause the issue", issue)
    with transaction.atomic():
        changed = Issue.objects.filter(pk=issue_id, state=Issue.State.RUNNING).update(
            state=Issue.State.PAUSED, pause_reason=reason[:300], paused_by_name=_name(actor), pause_code=""
        )
        if not changed:
            raise ValidationError("Only an issue that is being sent can be paused.")
        audit.record(actor, "paused the issue", issue, reason=reason)
    issue.refresh_from_db()
    return issue


def resume_issue(actor: Actor, issue_id: int) -> Run:
    """Sends what is left. A refusal that paused the issue is from now on taken as the readers' own."""
    issue = Issue.objects.get(pk=issue_id)
    audit.require(actor, SEND, "resume the issue", issue)
    if not can_resume(issue):
        raise ValidationError("Only an issue that is paused, or that stopped in the middle, can be resumed.")
    tolerated = sorted({*issue.tolerated_codes, *([issue.pause_code] if issue.pause_code else [])})
    with transaction.atomic():
        before = {"state": issue.state, "why": issue.pause_reason}
        Issue.objects.filter(pk=issue_id).update(
            state=Issue.State.RUNNING, pause_reason="", paused_by_name="", pause_code="", tolerated_codes=tolerated
        )
        run = _start_rest(actor, issue)
        audit.record(actor, "resumed the issue", issue, before=before, after={"run": run.pk})
    return run


def cancel_issue(actor: Actor, issue_id: int, reason: str = "") -> Issue:
    """Ends the issue for good: what was sent stays sent, everybody else is left out."""
    issue = Issue.objects.get(pk=issue_id)
    audit.require(actor, SEND, "cancel the issue", issue)
    with transaction.atomic():
        changed = (
            Issue.objects.filter(pk=issue_id)
            .exclude(state__in=Issue.FINISHED)
            .update(
                state=Issue.State.CANCELLED, finished_at=clock.now(), pause_reason="", paused_by_name="", pause_code=""
            )
        )
        if not changed:
            raise ValidationError("This issue has already ended.")
        audit.record(actor, "cancelled the issue", issue, before={"state": issue.state}, reason=reason)
    if not _has_run_in(issue, (State.RUNNING,)):  # otherwise that run sees the cancellation and tidies up
        _tidy_up(actor, issue)
    issue.refresh_from_db()
    return issue


def _tidy_up(actor: Actor, issue: Issue) -> None:
    """Leaves out whoever is in nobody's hands. A process that helped and still lives gives back its own: its mails may
    be on their way. A run waits for that, also where the process is gone with its computer."""
    lanes.reap(issue.pk)
    deliveries.leave_out_if_cancelled(issue.pk)
    if lanes.held(issue.pk).exists() and not _is_being_sent(issue):
        with transaction.atomic():
            _start_rest(actor, issue)


def retry_failed(actor: Actor, issue_id: int) -> Run:
    """Sends again to those who failed, and to nobody else."""
    issue = Issue.objects.get(pk=issue_id)
    audit.require(actor, SEND, "try the failed again", issue)
    if issue.state != Issue.State.SENT_WITH_PROBLEMS or not issue.failed:
        raise ValidationError("Nothing failed in this issue, or it has not ended yet.")
    with transaction.atomic():
        kept_counts.begin_again(issue)
        number = deliveries.reopen(issue_id, Delivery.State.FAILED)
        run = _start_rest(actor, issue)
        audit.record(actor, "tried the failed again", issue, after={"recipients": number, "run": run.pk})
    return run


def change_rate(actor: Actor, issue_id: int, rate: int | None, rate_per: str) -> Newsletter:
    """Sends faster or slower from the next mail on; it is the newsletter's rate, so later issues keep it."""
    issue = Issue.objects.select_related("newsletter").get(pk=issue_id)
    audit.require(actor, SEND, "change the rate", issue)
    newsletter = issue.newsletter
    newsletter.rate, newsletter.rate_per = rate, rate_per
    newsletter.clean_fields(
        exclude=[field.name for field in newsletter._meta.fields if field.name not in ("rate", "rate_per")]
    )
    with transaction.atomic():
        before = _values(newsletter, ("rate", "rate_per"))
        newsletter.save(update_fields=["rate", "rate_per"])
        audit.record(actor, "changed the rate", issue, before=before, after={"rate": rate, "rate_per": rate_per})
    return newsletter


def decide_uncertain(
    actor: Actor, issue_id: int, *, send_again: bool, delivery_ids: Iterable[int] | None = None
) -> Run | None:
    """Settles mails of which nobody knows whether they arrived: counted as sent, or sent again (perhaps twice).

    All of them, or only those named; the others stay uncertain.
    """
    issue = Issue.objects.get(pk=issue_id)
    audit.require(actor, SEND, "decide the uncertain", issue)
    if issue.state != Issue.State.SENT_WITH_PROBLEMS or not issue.uncertain:
        raise ValidationError("Nothing is uncertain in this issue, or it has not ended yet.")
    kept_counts.require_recipients(issue)
    run = None
    with transaction.atomic():
        doubtful = Delivery.objects.filter(issue=issue, state=Delivery.State.UNCERTAIN)
        if delivery_ids is not None:
            doubtful = doubtful.filter(pk__in=list(delivery_ids)[:MOST_DECIDED])
        chosen = None if delivery_ids is None else list(doubtful.values_list("pk", flat=True))
        if chosen == []:
            raise ValidationError("Choose at least one mail that is uncertain.")
        if send_again:
            kept_counts.begin_again(issue)
            number = deliveries.reopen(issue_id, Delivery.State.UNCERTAIN, chosen)
            run = _start_rest(actor, issue)
        else:
            number = doubtful.update(state=Delivery.State.SENT, text="Counted as sent by staff.", sent_at=clock.now())
            sending.finish(issue_id)
        words = "sent the uncertain again" if send_again else "counted the uncertain as sent"
        audit.record(actor, words, issue, after={"recipients": number})
    return run


def can_resume(issue: Issue) -> bool:
    """Whether the issue waits for somebody: paused, or its run ended without finishing it."""
    if issue.state == Issue.State.PAUSED:
        return True
    return issue.state in (Issue.State.RUNNING, Issue.State.PREPARING) and not _is_being_sent(issue)


def _is_being_sent(issue: Issue) -> bool:
    return _has_run_in(issue, OPEN)


def _has_run_in(issue: Issue, states: Iterable[State]) -> bool:
    return Run.objects.filter(pk=issue.run_id or 0, state__in=states).exists()


def _start_rest(actor: Actor, issue: Issue) -> Run:
    run = events.start("newsletter_rest", issue, requested_by=actor)
    Issue.objects.filter(pk=issue.pk).update(run_id=run.pk)
    return run


def _require_save(actor: Actor, row: models.Model) -> None:
    verb = "change" if row.pk else "add"
    audit.require(
        actor,
        f"newsletters.{verb}_{row._meta.model_name}",
        f"{verb} this {row._meta.verbose_name}",
        row if row.pk else None,
    )


def _values(row: models.Model, names: tuple[str, ...]) -> dict[str, Any]:
    """The stored values before the change; empty for a new row."""
    stored = type(row)._default_manager.filter(pk=row.pk).first() if row.pk else None
    return {} if stored is None else _facts(stored, names)


def _facts(row: models.Model, names: tuple[str, ...]) -> dict[str, Any]:
    """The values as the activity log keeps them: other rows by their names."""
    values = {name: getattr(row, name) for name in names}
    return {name: str(value) if isinstance(value, models.Model) else value for name, value in values.items()}


def _record_save(actor: Actor, row: models.Model, before: dict[str, Any], after: dict[str, Any]) -> None:
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    verb = "changed" if before else "added"
    if changed:
        audit.record(
            actor, f"{verb} the {row._meta.verbose_name}", row,
            before={name: before[name] for name in changed if name in before}, after=changed,
        )  # fmt: skip


def _names(rows: Iterable[List]) -> list[str]:
    return sorted(row.name for row in rows)


def _name(actor: Actor) -> str:
    return str(actor)[:150] if actor is not None else "Almanac"
