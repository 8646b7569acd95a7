"""What the page of one issue shows, gathered: every list in it is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max
from django.http import HttpRequest

from newsletters import approval, due_times, feeds, kept_counts, lanes, recipients, services
from newsletters.issue_forms import IssueTextForm, RateForm
from newsletters.issues import CHANGE, DELETE, SEND
from newsletters.models import Delivery, Issue
from runs import clock, words
from runs.models import AuditEntry, Run
from runs.pace import Pace, roughly
from runs.states import OPEN

TONES = {
    Issue.State.APPROVAL: "warn",
    Issue.State.SCHEDULED: "live",
    Issue.State.SENT: "good",
    Issue.State.SENT_WITH_PROBLEMS: "warn",
    Issue.State.RUNNING: "live",
    Issue.State.PREPARING: "live",
    Issue.State.PAUSED: "warn",
}
PROBLEMS_SHOWN = 20
LISTED = 20
JUST = timedelta(seconds=60)
"""The rate is that of the last minute; where next to nothing was sent in it, that since the start."""


@dataclass(frozen=True)
class Outlook:
    """What will happen with an issue at its time, or what happened then, in words."""

    tone: str
    sentence: str


def draft(request: HttpRequest, issue: Issue, form: IssueTextForm | None = None) -> dict[str, Any]:
    """The page of an issue that may still be changed."""
    starting = is_starting(issue)

    def may(permission: str) -> bool:
        return not starting and request.user.has_perm(permission)

    return {
        "is_starting": starting,
        "form": form or IssueTextForm(instance=issue),
        "outlook": outlook(issue),
        "comes_later": feeds.comes_later(issue.newsletter, issue.body),
        "may_edit": may(CHANGE),
        "may_delete": may(DELETE),
        "may_send": may(SEND),
        "why_not_approve": approval.why_not(issue, request.user),  # type: ignore[arg-type]
        "is_approved": approval.is_given(issue),
        "sent_back": _sent_back(issue),
        "deeds": deeds(issue),
    }


def is_starting(issue: Issue) -> bool:
    """Whether a worker is about to begin its sending."""
    return issue.state == Issue.State.SCHEDULED and Run.objects.filter(pk=issue.run_id or 0, state__in=OPEN).exists()


def outlook(issue: Issue) -> Outlook | None:
    """What becomes of the issue; None where there is nothing to say yet."""
    at, now = issue.scheduled_for, clock.now()
    if is_starting(issue):
        return Outlook("live", "Its sending is about to begin.")
    if at is None:
        said = f"Approved by {issue.approved_by}. Choose when it goes out, or send it now."
        return Outlook("warn", said) if approval.is_given(issue) else None
    return _ahead(issue, at) if at > now else _past(issue, at, now)


def _ahead(issue: Issue, at: datetime) -> Outlook:
    due = due_times.find(issue.newsletter_id, at)
    moment = words.here(at)
    if due is None:
        return Outlook(
            "bad", "Nothing would send it: the newsletter does not go out at this time any more. Choose another time."
        )
    if due.why_not:
        return Outlook(
            "bad", f"As things stand it will not go out, because “{due.schedule}” leaves this time out ({due.why_not})."
        )
    if issue.state == Issue.State.DRAFT:
        return Outlook(
            "warn",
            f"If nobody releases it by {moment}, nothing is sent then and people are told. The newsletter’s usual text does "
            "not go out in its place.",
        )
    if issue.state == Issue.State.APPROVAL:
        return Outlook(
            "warn",
            f"It goes out on {moment} once somebody has approved it. Until then it waits, and nothing goes out in its place.",
        )
    if issue.approved_at is not None and not approval.is_given(issue):
        return Outlook(
            "warn",
            "Since it was approved, its layout, feed, lists, segment, sender or attachment changed. Where it needs an approval, it "
            f"will not go out on {moment} before somebody agrees again: take it back and hand it in.",
        )
    return Outlook("good", f"It goes out by itself on {moment}, {words.relative(at)}, to whoever is on its lists then.")


def _past(issue: Issue, at: datetime, now: datetime) -> Outlook:
    limit = due_times.last_start(issue.newsletter_id, at)
    is_late = limit is not None and now > limit
    moment = f"Its time was {words.here(at)}, {words.relative(at)}"
    if issue.state == Issue.State.SCHEDULED:
        if not is_late:
            return Outlook("live", f"{moment}. It is about to be sent.")
        return Outlook(
            "bad",
            f"{moment}, and it was not sent{_why_missed(issue, at)}. Send it now all the same, or choose another time.",
        )
    what = "released" if issue.state == Issue.State.DRAFT else "approved"
    then = (
        f"It goes out at once if it is {what} before {words.here(limit)}." if limit is not None and not is_late
        else f"It goes out at once when it is {what}." if limit is None
        else "That is too long ago for it to go out by itself: send it now all the same, or choose another time."
    )  # fmt: skip
    return Outlook("bad", f"{moment}, and nothing was sent, because nobody had {what} it. {then}")


def _why_missed(issue: Issue, at: datetime) -> str:
    due = due_times.find(issue.newsletter_id, at)
    run = Run.objects.filter(schedule_id=due.schedule.pk, due_at=at).order_by("-pk").first() if due else None
    return f", because {run.reason_text}" if run is not None and run.reason_text else ""


def _sent_back(issue: Issue) -> AuditEntry | None:
    """The latest words of refusal, while the writer works on them."""
    if issue.state != Issue.State.DRAFT:
        return None
    latest = _entries(issue).filter(action__in=("sent the issue back", "handed in the issue")).first()
    return latest if latest is not None and latest.action == "sent the issue back" else None


def deeds(issue: Issue) -> list[AuditEntry]:
    """What people did with it, the latest first."""
    return list(_entries(issue).filter(was_refused=False)[:LISTED])


def _entries(issue: Issue) -> Any:
    return AuditEntry.objects.filter(object_type="newsletters.issue", object_id=str(issue.pk)).order_by("-id")


def live(issue: Issue) -> dict[str, Any]:
    """What changes while the issue is sent."""
    is_going = issue.state in (Issue.State.PREPARING, Issue.State.RUNNING)
    unanswered = late_answers(issue)
    return {
        "tone": TONES.get(Issue.State(issue.state), "quiet"),
        "done": issue.planned - issue.waiting,
        "pace": pace(issue) if is_going else None,
        "counts": [
            ("Sent", issue.sent, "sent"),
            ("Failed", issue.failed, "failed"),
            ("Left out", issue.skipped, "left-out"),
            ("Uncertain", issue.uncertain, "uncertain"),
            ("Still waiting", issue.waiting, "waiting"),
        ],
        "run": Run.objects.filter(pk=issue.run_id).first() if issue.run_id else None,
        "can_resume": services.can_resume(issue),
        "unanswered": unanswered,
        "is_live": bool(unanswered) or not issue.is_finished,
    }


def late_answers(issue: Issue) -> int:
    """How many mails of an issue that was stopped the mail server has got and not answered yet."""
    if issue.state not in (Issue.State.PAUSED, Issue.State.CANCELLED):
        return 0
    if not lanes.held(issue.pk).filter(lease_until__gt=clock.now()).exists():  # whoever had them was killed
        return 0
    return Delivery.objects.filter(issue=issue, state=Delivery.State.CLAIMED)[:LISTED].count()


def pace(issue: Issue) -> Pace:
    """How far it is and how fast it goes now."""
    now, done = clock.now(), issue.planned - issue.waiting
    lasted = (now - issue.started_at).total_seconds() if issue.started_at else 0.0
    window = min(JUST.total_seconds(), lasted)
    lately = (
        Delivery.objects.filter(issue=issue, sent_at__gt=now - timedelta(seconds=window)).count() if window > 5 else 0
    )
    per_second = lately / window if lately >= 5 else done / lasted if lasted > 5 and done else None
    return Pace(done, issue.planned, "mails", per_second)


def results(issue: Issue, *, sees_readers: bool) -> dict[str, Any]:
    """What came of it; without any address for whoever may not see readers."""
    failed = Delivery.objects.filter(issue=issue, state=Delivery.State.FAILED)
    groups = failed.order_by().values("code").annotate(number=Count("pk"), example=Max("text")).order_by("-number")
    uncertain = Delivery.objects.filter(issue=issue, state=Delivery.State.UNCERTAIN).order_by("pk")
    responses = [
        ("Bounced later", issue.bounced),
        ("Unsubscribed", issue.unsubscribed),
        ("Called spam", issue.complained),
    ]
    failures: list[Any] = list(groups[:LISTED]) if issue.failed else []
    if issue.recipients_removed_at is not None:
        failures = kept_counts.failures(issue)[:LISTED]
    if not sees_readers:
        failures = [{**one, "example": recipients.without_addresses(one["example"])} for one in failures]
    return {
        "sees_readers": sees_readers,
        "failures": failures,
        "doubtful": list(uncertain[:PROBLEMS_SHOWN]) if issue.uncertain else [],
        "responses": responses,
        "links": list(issue.links.order_by("-clicks", "number")[:LISTED]),
        "took": _took(issue),
        "deeds": deeds(issue),
        "rate_form": RateForm(instance=issue.newsletter),
    }


def _took(issue: Issue) -> str:
    if issue.started_at is None or issue.finished_at is None:
        return ""
    return roughly((issue.finished_at - issue.started_at).total_seconds())
