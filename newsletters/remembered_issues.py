"""Of which issues we still know who got them: a segment must not ask about others."""

from __future__ import annotations

from django.db.models import Max

from newsletters.models import Issue

NEVER_SENT = (Issue.State.DRAFT, Issue.State.APPROVAL, Issue.State.SCHEDULED, Issue.State.PREPARING)


def counts(newsletter_ids: list[int]) -> dict[int, int]:
    """Those newsletters of which only so many of the latest issues can be asked about."""
    gone = Issue.objects.filter(newsletter__in=newsletter_ids, recipients_removed_at__isnull=False)
    latest = dict(
        gone.order_by().values("newsletter").annotate(at=Max("scheduled_for")).values_list("newsletter", "at")
    )
    return {
        pk: Issue.objects.filter(newsletter=pk, scheduled_for__gt=at).exclude(state__in=NEVER_SENT).count()
        for pk, at in latest.items()
        if at is not None
    }
