"""Issues that can be read on the website: which ones, and an issue made harmless for a web page."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.core.paginator import Page, Paginator
from django.db.models import Max, Q, QuerySet
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from newsletters import content, links, merge_fields, mergetags, reader_words
from newsletters.models import Delivery, Issue, Newsletter

PER_PAGE = 25
IN_FEED = 20
SUMMARY_CHARACTERS = 280

_EMPTY_LINE = re.compile(r"\n\s*\n")
_PUBLIC_STATES = (Issue.State.SENT, Issue.State.SENT_WITH_PROBLEMS)


@dataclass(frozen=True)
class WebLetter:
    """An issue as a web page shows it."""

    subject: str
    html: SafeString
    text: str
    published_at: datetime


def newsletters() -> QuerySet[Newsletter]:
    """The newsletters whose issues anybody may read, with the time of the latest one; those without issues too."""
    newest = Max("issues__started_at", filter=Q(issues__state__in=_PUBLIC_STATES))
    return Newsletter.objects.filter(is_archived=True).annotate(newest_at=newest).order_by("name")


def find_newsletter(newsletter_id: int) -> Newsletter | None:
    """The newsletter, if its archive is public."""
    return newsletters().filter(pk=newsletter_id).first()


def issues(newsletter: Newsletter | None = None) -> QuerySet[Issue]:
    """The issues that anybody may read, newest first, without their HTML."""
    found = Issue.objects.filter(newsletter__is_archived=True, state__in=_PUBLIC_STATES, started_at__isnull=False)
    if newsletter is not None:
        found = found.filter(newsletter=newsletter)
    return found.select_related("newsletter").defer("html", "body").order_by("-started_at", "-pk")


def page_of(newsletter: Newsletter, number: str) -> Page[Issue]:
    """One page of a newsletter's issues; a number that is none means the first or the last."""
    return Paginator(issues(newsletter), PER_PAGE).get_page(number)


def find_issue(public_id: uuid.UUID) -> Issue | None:
    """The issue, if anybody may read it."""
    return issues().defer(None).filter(public_id=public_id).first()


def letter_of(issue: Issue) -> WebLetter:
    """The issue without anybody's values: merge tags say what they say where nothing is known."""
    return _letter(issue, {})


def view(issue: Issue, delivery: Delivery | None) -> WebLetter:
    """The issue with one recipient's values, or nobody's. Never with personal links: such pages are passed on."""
    values: dict[str, str] = {}
    if delivery is not None and delivery.subscriber_id is not None and delivery.email:
        values = reader_words.merge_values(
            delivery.name, delivery.email, delivery.merge, {"unsubscribe_url": ""}, merge_fields.kinds()
        )
    return _letter(issue, values)


def delivery_of(issue_id: int, delivery_id: int) -> Delivery | None:
    """The delivery of this issue, unless it was cleaned up."""
    return Delivery.objects.filter(pk=delivery_id, issue=issue_id).first() if delivery_id else None


def subject_of(issue: Issue) -> str:
    """The subject without anybody's values."""
    return _filled(issue.subject, mergetags.Place.LINE, {}) or issue.newsletter.name


def summary_of(issue: Issue) -> str:
    """The preview line, or the beginning of the text, in one line."""
    if issue.preheader:
        return _filled(issue.preheader, mergetags.Place.LINE, {})
    text = _filled(issue.text.rpartition("\n-- \n")[0] or issue.text, mergetags.Place.TEXT, {})
    blocks = (" ".join(block.split()) for block in _EMPTY_LINE.split(text))
    # A heading has no full stop; in one line with what follows it needs one.
    words = " ".join(block if block[-1] in ".!?:;,…" else f"{block}." for block in blocks if block)
    return words if len(words) <= SUMMARY_CHARACTERS else f"{words[:SUMMARY_CHARACTERS].rpartition(' ')[0]}…"


def published_at(issue: Issue) -> datetime:
    """When readers got it."""
    return issue.started_at or issue.scheduled_for or issue.created_at


def changed_at(found: QuerySet[Issue]) -> datetime | None:
    """When the newest of the issues came out, or a newsletter of theirs was changed; whole seconds, as HTTP has them."""
    times = found.order_by().aggregate(Max("finished_at"), Max("newsletter__changed_at")).values()
    known = [at for at in times if at is not None]
    return max(known).replace(microsecond=0) if known else None


def _letter(issue: Issue, values: Mapping[str, str]) -> WebLetter:
    own_page = links.public("ask_for_page")
    known = {**values, "unsubscribe_url": own_page, "preferences_url": own_page, "view_url": links.view_url(issue.pk)}
    parts = content.Parts(content.Frozen(issue.subject, _with_plain_links(issue), issue.text))
    letter = parts.fill(known)
    harmless = mark_safe(content.for_web(letter.html))  # noqa: S308 - made harmless in this line
    return WebLetter(letter.subject, harmless, letter.text, timezone.localtime(published_at(issue)))


def _with_plain_links(issue: Issue) -> str:
    """The letter's HTML with the destinations in place of the counted links: what is read here is not counted."""
    source = issue.html
    for link in issue.links.all():
        source = source.replace(links.click_url(issue.public_id, link.number), html.escape(link.url))
    return source


def _filled(source: str, place: mergetags.Place, values: Mapping[str, str]) -> str:
    return mergetags.Template(source, place).render(values)
