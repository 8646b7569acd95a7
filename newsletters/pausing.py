"""Stops the sending of an issue from inside, because of trouble: nobody is marked as failed, and staff are told why."""

from __future__ import annotations

from newsletters.models import Issue


def pause(issue: Issue, reason: str, *, by: str = "", code: str = "") -> None:
    """Pauses an issue that is being sent; one that staff stopped already stays as it is."""
    Issue.objects.filter(pk=issue.pk, state__in=(Issue.State.PREPARING, Issue.State.RUNNING)).update(
        state=Issue.State.PAUSED, pause_reason=reason[:300], paused_by_name=by, pause_code=code[:20]
    )
