"""Two reasons not to go on by oneself: the sending stood still for long, or another issue is being sent."""

from __future__ import annotations

from datetime import datetime, timedelta

from newsletters.models import Delivery, Issue, Newsletter
from runs import clock, words
from runs.models import Run
from runs.states import State, Trigger
from runs.tasks import RunContext
from schedules.models import Schedule

LONGEST = timedelta(hours=1)
"""A sending without any sign of life for longer is not taken up by itself: the database may be an older copy."""


def why_not_go_on(issue: Issue, run: RunContext) -> str:
    """Why the run must not go on with the issue by itself, in words; empty when it may.

    After a restored backup, issues that were being sent then look as if they still were, while their mails have long
    arrived. A person who looked at it resumes it.
    """
    is_under_way = issue.state in (Issue.State.PREPARING, Issue.State.RUNNING)
    if run.trigger == Trigger.RETRY or not is_under_way or issue.started_at is None:
        return ""
    since = max(issue.started_at, last_sent_at(issue) or run.due_at, run.due_at)
    allowed = max(LONGEST, timedelta(seconds=3 * issue.newsletter.seconds_per_mail))
    if clock.now() - since <= allowed:
        return ""
    return (
        f"It stood still since {words.local(since, 'UTC')}. If an older copy of the database was restored, readers may "
        "have got this issue already: look into a mailbox before you resume it, or cancel it."
    )


def last_sent_at(issue: Issue) -> datetime | None:
    """When the latest mail was noted as sent. Mails go out in order of their number."""
    sent = Delivery.objects.filter(issue=issue, state=Delivery.State.SENT).order_by("-pk")
    return sent.values_list("sent_at", flat=True).first()


def is_stale_start(run: RunContext) -> bool:
    """Whether the run was asked for so long ago that starting an issue now would surprise everybody."""
    return run.trigger != Trigger.RETRY and clock.now() - run.due_at > LONGEST


def in_the_way(newsletter: Newsletter, run: RunContext) -> Issue | None:
    """The earlier issue that a worker is sending right now, where the run's schedule does not want both at once.

    The ledger holds runs of one schedule apart; this is about issues that staff resumed or started by hand.
    """
    if run.trigger != Trigger.SCHEDULE or _overlap(run) == "allow":
        return None
    going = Issue.objects.filter(newsletter=newsletter, state__in=(Issue.State.PREPARING, Issue.State.RUNNING))
    for issue in going.exclude(scheduled_for=run.due_at).exclude(run_id=run.id).defer("html", "text")[:10]:
        if Run.objects.filter(pk=issue.run_id or 0, state=State.RUNNING).exists():
            return issue
    return None


def is_to_wait(run: RunContext) -> bool:
    """Whether the run waits for the issue in its way; otherwise it is left out."""
    return _overlap(run) == "queue"


def _overlap(run: RunContext) -> str:
    chosen = Schedule.objects.filter(pk=run.schedule_id or 0).values_list("overlap", flat=True).first()
    return chosen or "skip"
