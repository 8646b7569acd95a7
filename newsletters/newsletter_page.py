"""What stands on a newsletter's page besides its form: the issues to come and the latest ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from newsletters import due_times, issue_page
from newsletters.due_times import DueTime
from newsletters.models import Issue, Newsletter

LISTED = 5


@dataclass(frozen=True)
class NextIssue:
    """One due time ahead, or an issue without one, and what goes out then."""

    due: DueTime | None
    issue: Issue | None
    tone: str = "quiet"
    value: str = ""
    """The time as the page for a new issue reads it."""


def panels(request: HttpRequest, newsletter: Newsletter | None) -> dict[str, Any]:
    """The two lists; nothing for a newsletter that is not saved yet, or for whoever may not see issues."""
    if newsletter is None or not request.user.has_perm("newsletters.view_issue"):
        return {}
    latest = newsletter.issues.exclude(state__in=Issue.CHANGEABLE).defer("html", "text", "body")
    return {
        "newsletter": newsletter,
        "next_issues": next_issues(newsletter),
        "last_issues": [
            (issue, issue_page.TONES.get(Issue.State(issue.state), "quiet"))
            for issue in latest.order_by("-scheduled_for")[:LISTED]
        ],
    }


def next_issues(newsletter: Newsletter) -> list[NextIssue]:
    """What is being written, and the next due times with or without an issue of their own."""
    written = list(
        newsletter.issues.filter(state__in=Issue.CHANGEABLE)
        .defer("html", "text", "body")
        .order_by("scheduled_for")[: 4 * LISTED]
    )
    by_time = {issue.scheduled_for: issue for issue in written}
    ahead = due_times.ahead(newsletter.pk, LISTED)
    times = {due.at for due in ahead}
    rest = [issue for issue in written if issue.scheduled_for not in times]
    rows = [NextIssue(None, issue, _tone(issue)) for issue in rest]
    for due in ahead:
        issue = by_time.get(due.at)
        rows.append(NextIssue(due, issue, _tone(issue) if issue else "quiet", due.at.isoformat()))
    return rows


def _tone(issue: Issue) -> str:
    return issue_page.TONES.get(Issue.State(issue.state), "quiet")
