"""An issue whose time has come but which must not go out yet: noted on the issue, and people are told."""

from __future__ import annotations

from newsletters import approval
from newsletters.models import Issue
from runs import alerts
from runs.models import Alert


class Held(Exception):
    """The issue must not go out yet; the message says what it waits for."""

    def __init__(self, issue: Issue, why: str, recipients: int = 0) -> None:
        super().__init__(why)
        self.issue = issue
        self.recipients = recipients


def hold(held: Held, run_id: int) -> str:
    """Notes that a run came and left without sending, tells those who can do something, and returns why in words."""
    issue, why = held.issue, str(held)
    Issue.objects.filter(pk=issue.pk, state__in=Issue.CHANGEABLE).update(run_id=run_id)
    alerts.raise_alert(
        _key(issue.pk), f"“{issue}” was not sent"[:200], detail=why, level=Alert.Level.WARNING,
        owner_id=issue.author_id, url=approval.page_of(issue),
    )  # fmt: skip
    if issue.state == Issue.State.APPROVAL:
        approval.ask(issue, held.recipients)
    return why


def is_over(issue_id: int) -> None:
    """Somebody decided: the alert ends."""
    alerts.resolve(_key(issue_id))


def _key(issue_id: int) -> str:
    return f"issue:{issue_id}"
