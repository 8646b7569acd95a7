"""The page of a newsletter's feed: what the next issue would hold. Its settings stand in the newsletter's form."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from newsletters import feeds
from newsletters.models import Newsletter
from runs import words
from runs.pages import page, verb


@require_safe
def show(request: HttpRequest, newsletter_id: int) -> HttpResponse:
    """What is known of the feed; with ``?look=1`` also the next digest, for which the feed is asked."""
    if not request.user.has_perm("newsletters.view_newsletter"):
        raise PermissionDenied
    newsletter = get_object_or_404(Newsletter, pk=newsletter_id)
    is_feed = newsletter.source == Newsletter.Source.FEED
    context = {
        "newsletter": newsletter,
        "title": f"Feed of {newsletter}",
        "is_feed": is_feed,
        "seen": len(newsletter.feed_seen),
        **(_look(newsletter) if is_feed and "look" in request.GET else {}),
    }
    return page(request, "newsletters/admin/feed.html", context)


@verb(Newsletter, "admin:newsletters_newsletter_feed")
def count_anew(request: HttpRequest, newsletter_id: int) -> str:
    """Everything in the feed counts as new again."""
    number = feeds.forget_seen(request.user, Newsletter.objects.get(pk=newsletter_id))
    return f"{words.counted(number, 'entry counts', 'entries count')} as new again."


def _look(newsletter: Newsletter) -> dict[str, Any]:
    try:
        return {"is_looked": True, "digest": feeds.preview(newsletter)}
    except feeds.FeedProblem as problem:
        return {"is_looked": True, "problem": str(problem)}
