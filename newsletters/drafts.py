"""A letter as somebody has typed it so far, saved or not: what previews, test mails and checks are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.http import QueryDict

from newsletters import content, feed_entries, feeds, sources
from newsletters.audience import Reach
from newsletters.models import Format, Issue, LetterTemplate, Newsletter, Segment

_STAND_IN = feed_entries.Entry("", "What is new in the feed stands here", "", None, "")
_NOT_SAVED = replace(_STAND_IN, summary="Its entries are shown once the newsletter is saved.")
_LINES = ("name", "subject", "preheader", "from_name", "from_email", "reply_to", "postal_address")


@dataclass(frozen=True)
class Draft:
    """The source of one letter, whom it comes from, and which lists it goes to."""

    newsletter: Newsletter
    """The one it belongs to; not saved where it is being written for the first time."""
    source: content.Source
    list_ids: list[int] = field(default_factory=list)
    issue: Issue | None = None

    @property
    def reach(self) -> Reach:
        """Whom it would go to: the readers of the lists, or only those of the segment."""
        segment = self.newsletter.segment
        return Reach(self.list_ids, segment.rule if segment is not None else None)


def of_newsletter(newsletter: Newsletter) -> Draft:
    """The newsletter's text as it is stored."""
    return Draft(newsletter, sources.of_newsletter(newsletter), list(newsletter.lists.values_list("pk", flat=True)))


def of_issue(issue: Issue) -> Draft:
    """The issue's text as it is stored."""
    newsletter = issue.newsletter
    return Draft(newsletter, sources.of_issue(issue), list(newsletter.lists.values_list("pk", flat=True)), issue)


def of_form(data: QueryDict) -> Draft:
    """What stands in the form of a newsletter, or of an issue where ``draft_issue`` says which."""
    issue = Issue.objects.select_related("newsletter__template").filter(pk=_number(data.get("draft_issue"))).first()
    if issue is not None:
        stored = of_issue(issue)
        return replace(stored, source=_typed(stored.source, data))
    newsletter = Newsletter(
        pk=_number(data.get("draft_newsletter")) or None,
        **{name: data.get(name, "")[:500].strip() for name in _LINES},
    )
    newsletter.name = newsletter.name or "Newsletter"
    newsletter.is_archived = bool(data.get("is_archived"))
    _take_feed(newsletter, data)
    newsletter.attachment = data.get("attachment", "")[:80]
    newsletter.segment = Segment.objects.filter(pk=_number(data.get("segment"))).first()
    list_ids = [number for value in data.getlist("lists") if (number := _number(value))]
    base = content.Source(
        subject="", body="", title=newsletter.name, list_names=sources.list_names(list_ids),
        postal_address=newsletter.postal_address,
    )  # fmt: skip
    return Draft(newsletter, _typed(base, data), list_ids)


def with_feed(draft: Draft, seconds: float | None = None) -> Draft:
    """The letter with what is new in the newsletter's feed, as it would go out now; the feed is asked once a minute,
    and for no longer than ``seconds`` where given.

    Raises:
        FeedProblem: the feed cannot be read.
    """
    newsletter, source = draft.newsletter, draft.source
    if newsletter.source != Newsletter.Source.FEED:
        return draft
    if draft.issue is not None and not feed_entries.has_place(source.body):
        return draft  # written for this time, without the feed
    return _holding(draft, feeds.preview(newsletter, seconds).entries if newsletter.feed_url else (_NOT_SAVED,))


def without_feed(draft: Draft) -> Draft:
    """The letter with a stand-in where its feed could not be read."""
    return _holding(draft, (_STAND_IN,))


def _holding(draft: Draft, entries: Sequence[feed_entries.Entry]) -> Draft:
    source = draft.source
    return replace(draft, source=replace(source, body=feed_entries.put_in(source.body, entries, source.format)))


def _take_feed(newsletter: Newsletter, data: QueryDict) -> None:
    """The feed as it was typed. Only an address that is stored is asked, not each beginning of one."""
    stored = Newsletter.objects.filter(pk=newsletter.pk or 0).first()
    newsletter.source = data.get("source", "")
    if stored is not None:
        newsletter.feed_seen = stored.feed_seen
        newsletter.feed_url = stored.feed_url if data.get("feed_url", "").strip() == stored.feed_url else ""
    newsletter.feed_items = min(_number(data.get("feed_items")) or newsletter.feed_items, 50)


def _typed(base: content.Source, data: Mapping[str, Any]) -> content.Source:
    template = LetterTemplate.objects.filter(pk=_number(data.get("template"))).first()
    chosen = data.get("format", "")
    return replace(
        base,
        subject=str(data.get("subject", ""))[:250].strip(),
        preheader=str(data.get("preheader", ""))[:200].strip(),
        body=str(data.get("body", ""))[: content.MAX_BODY_CHARACTERS],
        format=chosen if chosen in Format.values else Format.MARKDOWN,
        template=sources.layout_of(template),
    )


def _number(value: Any) -> int:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def fingerprint(source: content.Source) -> str:
    """What changes when anything that staff wrote changes."""
    layout = source.template or content.Layout("", "")
    parts = (source.subject, source.preheader, source.format, source.body, layout.format, layout.source)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
