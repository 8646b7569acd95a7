"""What people do with an issue by a button. What cannot be taken back, or needs words, is asked about first."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from newsletters import approval, due_times, feeds, issues, preparing, releasing, services
from newsletters.issue_forms import RateForm, ReasonForm, WhenForm
from newsletters.models import Issue
from runs import clock, form_errors, questions
from runs.audit import require
from runs.pages import verb
from runs.row_numbers import row_number
from runs.words import counted, here

SEND = issues.SEND
_verb = verb(Issue, "admin:newsletters_issue_change")
"""A button of the issue page that does it at once."""


@_verb
def submit(request: HttpRequest, issue_id: int) -> str:
    """Hands the text in: released, or waiting for approval."""
    issue = releasing.submit_issue(request.user, issue_id)
    if issue.state == Issue.State.APPROVAL:
        return "Handed in. Whoever may approve it has been told."
    if issue.run_id is not None:
        return "Released. Its time has come, so it is being sent."
    return f"Released. It goes out on {here(issue.scheduled_for)}." if issue.scheduled_for else "Released."


@_verb
def withdraw(request: HttpRequest, issue_id: int) -> str:
    """Takes it back."""
    releasing.withdraw_issue(request.user, issue_id)
    return "Taken back. It is a draft again, and nothing goes out at its time."


@_verb
def pause(request: HttpRequest, issue_id: int) -> str:
    """Stops after the mail in hand."""
    services.pause_issue(request.user, issue_id, request.POST.get("reason", ""))
    return "Paused. The mail in hand ends, the rest waits."


@_verb
def resume(request: HttpRequest, issue_id: int) -> str:
    """Sends the rest."""
    services.resume_issue(request.user, issue_id)
    return "Resumed. The rest is being sent."


@_verb
def retry_failed(request: HttpRequest, issue_id: int) -> str:
    """Tries the failed again."""
    services.retry_failed(request.user, issue_id)
    return "Those who failed are being tried again."


@_verb
def decide_uncertain(request: HttpRequest, issue_id: int) -> str:
    """Settles mails of which nobody knows whether they arrived: those that were ticked, or all."""
    send_again = request.POST.get("decision", "").endswith("again")
    ticked = [number for number in map(row_number, request.POST.getlist("delivery")) if number is not None]
    chosen = ticked if request.POST.get("decision", "").startswith("these") else None
    services.decide_uncertain(request.user, issue_id, send_again=send_again, delivery_ids=chosen)
    return "They are being sent again." if send_again else "They count as sent."


@_verb
def change_rate(request: HttpRequest, issue_id: int) -> str:
    """Faster or slower from the next mail on."""
    require(request.user, SEND, "change the rate", Issue.objects.get(pk=issue_id))
    form = RateForm(request.POST)
    if not form.is_valid():
        raise ValidationError([error for errors in form.errors.values() for error in errors])
    changed = services.change_rate(request.user, issue_id, form.cleaned_data["rate"], form.cleaned_data["rate_per"])
    if changed.rate is None:
        return "No limit from now on: as fast as the mail server takes them."
    return f"At most {counted(changed.rate, 'mail')} {changed.get_rate_per_display()} from now on."


@questions.by_post
def send_now(request: HttpRequest, issue_id: int) -> HttpResponse:
    """Names how many will get it; sends when that is confirmed, once per shown question."""
    issue = _asked(request, issue_id, SEND, "send the issue now")
    if key := _form_key(request):
        return _do(request, issue, lambda: releasing.send_now(request.user, issue_id, key=key), "It is being sent.")
    reach, nobody = preparing.reach_in_words(issue.newsletter)
    facts = [
        f"It goes to {counted(reach.recipients, 'recipient')} of {preparing.audience_words(issue.newsletter)}, at once."
    ]
    if issue.scheduled_for is not None and issue.scheduled_for > clock.now():
        facts.append(f"It counts as the issue for {here(issue.scheduled_for)}: nothing more goes out then.")
    problem = _why_not_now(issue, reach.recipients) or nobody
    return _ask(
        request, issue, f"Send “{issue.subject}” now?", [] if problem else facts, f"Send to {reach.recipients:,} now", problem=problem,
        hidden={"form_key": uuid.uuid4().hex}, action="admin:newsletters_issue_send_now",
    )  # fmt: skip


def _why_not_now(issue: Issue, recipients: int) -> str:
    if not approval.is_needed(issue.newsletter, recipients) or approval.is_given(issue):
        return ""
    return f"It would go to {counted(recipients, 'recipient')}. Above {issue.newsletter.approve_above:,}, somebody else must approve it first."


@questions.by_post
def approve(request: HttpRequest, issue_id: int) -> HttpResponse:
    """Names what approving does; does it when that is confirmed."""
    issue = _asked(request, issue_id, approval.APPROVE, "approve the issue")
    if "confirmed" in request.POST:
        return _do(request, issue, lambda: releasing.approve_issue(request.user, issue_id), _approved)
    (reach, nobody), now = preparing.reach_in_words(issue.newsletter), clock.now()
    facts = [
        f"You agree to this text, for {counted(reach.recipients, 'recipient')} of {preparing.audience_words(issue.newsletter)}."
    ]
    facts += [fact for fact in (nobody, feeds.comes_later(issue.newsletter, issue.body)) if fact]
    if issue.scheduled_for is None:
        facts.append("It has no time yet: after that, somebody chooses one or sends it.")
    elif issue.scheduled_for > now:
        facts.append(f"It then goes out on {here(issue.scheduled_for)}.")
    elif due_times.is_too_late(issue, now):
        facts.append(
            f"Its time was {here(issue.scheduled_for)}, which is too long ago for it to go out by itself. Somebody must send it all the same, or choose another time."
        )
    else:
        facts.append("Its time has come, so its sending begins at once.")
    problem = approval.why_not(issue, request.user)  # type: ignore[arg-type]
    return _ask(
        request, issue, f"Approve “{issue.subject}”?", facts, "Approve", problem=problem, hidden={"confirmed": "1"}
    )


def _approved(issue: Issue) -> str:
    if issue.state == Issue.State.SCHEDULED and issue.run_id is not None and issue.scheduled_for:
        is_late = due_times.is_too_late(issue, clock.now())
        return "Approved, but too late to go out by itself." if is_late else "Approved. It is being sent."
    return f"Approved. It goes out on {here(issue.scheduled_for)}." if issue.scheduled_for else "Approved."


@questions.by_post
def refuse(request: HttpRequest, issue_id: int) -> HttpResponse:
    """Asks what is to be changed; sends the issue back with these words."""
    issue = _asked(request, issue_id, approval.APPROVE, "send the issue back")
    form = ReasonForm(
        _answer(request, "reason"),
        label="What is to be changed?",
        help_text="The writer gets these words.",
        is_required=True,
    )
    return _answered(
        request, issue, form, f"Send “{issue.subject}” back?", ["It becomes a draft again."], "Send it back",
        lambda: releasing.refuse_issue(request.user, issue_id, form.cleaned_data["reason"]), "Sent back. The writer has been told.",
    )  # fmt: skip


@questions.by_post
def cancel(request: HttpRequest, issue_id: int) -> HttpResponse:
    """Says who will not get it; ends it for good when that is confirmed."""
    issue = _asked(request, issue_id, SEND, "cancel the issue")
    form = ReasonForm(
        _answer(request, "reason"), label="Why? (if you like)", help_text="Others see it in the activity log."
    )
    facts = [
        f"{counted(issue.sent, 'reader has', 'readers have')} got it. {counted(issue.waiting, 'reader')} will not get it.",
        "This cannot be undone. To go on later, pause it instead.",
    ]
    return _answered(
        request, issue, form, f"Cancel “{issue.subject}” for good?", facts, "Cancel it for good",
        lambda: services.cancel_issue(request.user, issue_id, form.cleaned_data["reason"]),
        "Cancelled. Nobody else gets this issue.", is_danger=True,
    )  # fmt: skip


@questions.by_post
def move(request: HttpRequest, issue_id: int) -> HttpResponse:
    """Asks for the new time."""
    issue = _asked(request, issue_id, issues.CHANGE, "move the issue")
    form = WhenForm(
        _answer(request, "when"), newsletter=issue.newsletter, issue=issue, may_send=request.user.has_perm(SEND)
    )
    facts = [f"Now it is for {here(issue.scheduled_for)}." if issue.scheduled_for else "It has no time yet."]
    return _answered(
        request, issue, form, f"When does “{issue.subject}” go out?", facts, "Choose this time",
        lambda: issues.move_issue(request.user, issue_id, form.chosen()), "Its time is changed.",
    )  # fmt: skip


@questions.by_post
def delete(request: HttpRequest, issue_id: int) -> HttpResponse:
    """Says what goes out in its place; deletes when that is confirmed."""
    issue = _asked(request, issue_id, issues.DELETE, "delete the issue")
    if "confirmed" in request.POST:
        away = reverse("admin:newsletters_issue_changelist")
        return _do(request, issue, lambda: issues.delete_issue(request.user, issue_id), "Deleted.", away=away)
    facts = ["What was written in it is gone then."]
    at = issue.scheduled_for
    due = due_times.find(issue.newsletter_id, at) if at is not None and at > clock.now() else None
    own = due_times.own_schedule(issue)
    if due is not None and (own is None or due.schedule.pk != own.pk):
        facts.append(
            f"On {here(due.at)} the newsletter’s usual text goes out instead. To send nothing then, skip that run of “{due.schedule}”."
        )
    elif due is not None:
        facts.append(f"Nothing goes out on {here(due.at)} then.")
    return _ask(
        request, issue, f"Delete “{issue.subject}”?", facts, "Delete it", hidden={"confirmed": "1"}, is_danger=True
    )


@questions.by_post
def duplicate(request: HttpRequest, issue_id: int) -> HttpResponse:
    """A new draft with the same text."""
    issue = _asked(request, issue_id, issues.ADD, "copy the issue")
    made = issues.duplicate_issue(request.user, issue.pk)
    messages.success(request, "Copied. This is the new draft; choose when it goes out.")
    return questions.leave(request, approval.page_of(made))


def _asked(request: HttpRequest, issue_id: int, permission: str, action: str) -> Issue:
    issue = get_object_or_404(Issue.objects.select_related("newsletter", "template"), pk=issue_id)
    require(request.user, permission, action, issue)
    return issue


def _answer(request: HttpRequest, field: str) -> Any:
    return request.POST if field in request.POST and "answer" in request.POST else None


def _answered(
    request: HttpRequest, issue: Issue, form: forms.Form, title: str, facts: Sequence[str], button: str,
    act: Callable[[], object], done: str, *, is_danger: bool = False,
) -> HttpResponse:  # fmt: skip
    """Acts on a filled-in form; shows it, with what was wrong, until it is."""
    if form.is_bound and form.is_valid():
        try:
            act()
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, done)
            return questions.leave(request, approval.page_of(issue))
    return _ask(request, issue, title, facts, button, form=form, hidden={"answer": "1"}, is_danger=is_danger)


def _do(
    request: HttpRequest, issue: Issue, act: Callable[[], object], done: str | Callable[[Issue], str], *, away: str = ""
) -> HttpResponse:
    try:
        result = act()
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return questions.leave(request, approval.page_of(issue))
    messages.success(request, done if isinstance(done, str) else done(result if isinstance(result, Issue) else issue))
    return questions.leave(request, away or approval.page_of(issue))


def _ask(
    request: HttpRequest, issue: Issue, title: str, facts: Sequence[str], button: str, **more: Any
) -> HttpResponse:
    name = more.pop("action", "")
    context = {
        "issue": issue, "title": title, "facts": facts, "button": button,
        "action": reverse(name, args=[issue.pk]) if name else request.path, **more,
    }  # fmt: skip
    return questions.ask(request, "newsletters/admin/issue_question.html", context, back=approval.page_of(issue))


def _form_key(request: HttpRequest) -> str:
    """The key that the shown question carried; anything else is no key."""
    key = request.POST.get("form_key", "")
    return key if re.fullmatch(r"[0-9a-f]{32}", key) else ""
