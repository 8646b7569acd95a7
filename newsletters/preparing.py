"""Makes an issue ready in one transaction: content frozen, recipients copied and counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from email.utils import parseaddr
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from newsletters import (
    approval,
    attachments,
    audience,
    content,
    feed_entries,
    feeds,
    holding,
    links,
    merge_fields,
    segments,
    sources,
    verp,
)
from newsletters.audience import Audience
from newsletters.feeds import Digest
from newsletters.holding import Held
from newsletters.message import Envelope, Sender
from newsletters.models import Issue, Link, Newsletter
from newsletters.source_errors import SourceError
from runs import clock, words
from runs.locking import locked

TEXT_FIELDS = ("subject", "preheader", "format", "template", "body")
"""What an issue of its own text has in the newsletter's place."""
UNRELEASED = (
    "Nothing was sent: somebody began to write this issue and has not released it. The newsletter's usual text does "
    "not go out in its place. Release the issue on its page, or delete it."
)


class CannotPrepare(Exception):
    """The newsletter cannot go out as it stands; the message says why and what to do."""


class NothingNew(Exception):
    """There is nothing to send this time, and that is all right; the message says why."""


def issue_for(newsletter: Newsletter, due_at: datetime) -> Issue:
    """The one issue of this newsletter for this due time: the one that staff wrote, or one of the usual text.

    Raises:
        CannotPrepare: nobody to send to, or a text that cannot be mailed. Nothing is left behind.
        Held: it waits for a person; the issue is there.
        NothingNew: the feed has nothing new and staff want no issue then.
    """
    issue = Issue.objects.filter(newsletter=newsletter, scheduled_for=due_at).first()
    if issue is not None:
        return prepare(issue) if issue.state in Issue.CHANGEABLE else issue
    digest = _digest(newsletter)
    try:
        with transaction.atomic():
            issue = _usual(newsletter, due_at, digest)
            held = _freeze_or_hold(issue, None)  # its feed is in its text already
    except IntegrityError:  # another run of the same due time was a moment earlier
        return prepare(Issue.objects.get(newsletter=newsletter, scheduled_for=due_at))
    if held is not None:
        raise held
    return issue


def prepare(issue: Issue) -> Issue:
    """Freezes what a released issue says and to whom it goes. One that is prepared already is left as it is.

    Raises:
        CannotPrepare: nobody to send to, or a text that cannot be mailed; the issue stays as it was.
        Held: nobody released it, or it needs an approval that nobody gave.
    """
    asks_feed = issue.state == Issue.State.SCHEDULED and feed_entries.has_place(issue.body)
    digest = _read_feed(issue.newsletter) if asks_feed else None
    with transaction.atomic():
        issue = locked(Issue.objects.select_related("newsletter")).get(pk=issue.pk)
        if issue.state not in Issue.CHANGEABLE:
            return issue
        held = _freeze_or_hold(issue, digest)
    if held is not None:
        raise held
    return issue


def reach(newsletter: Newsletter) -> Audience:
    """Whom an issue of the newsletter would go to now, and whom not, counted.

    Raises:
        CannotPrepare: its segment cannot be used.
    """
    try:
        return audience.count(audience.Reach.of(newsletter))
    except segments.BadRule as error:
        raise CannotPrepare(unusable_segment(newsletter, error)) from error


def reach_in_words(newsletter: Newsletter) -> tuple[Audience, str]:
    """The counts, and why it would reach nobody where that is so: for pages, which show it rather than fail."""
    try:
        counted = reach(newsletter)
    except CannotPrepare as error:
        return Audience(0, 0, 0, 0), str(error)
    return counted, "" if counted.recipients else nobody(newsletter, counted)


def freeze(issue: Issue) -> content.Frozen:
    """The issue's text made ready to mail. Raises CannotPrepare."""
    newsletter = issue.newsletter
    where = "the issue's page" if issue.author_id else "the newsletter's page"
    if newsletter.source != Newsletter.Source.FEED and feed_entries.has_place(issue.body):
        raise CannotPrepare(
            f"{{{{ feed }}}} stands for what is new in a feed, and this newsletter has none. Take it out on {where}."
        )
    if not newsletter.lists.exists():
        raise CannotPrepare(f"Nobody to send to: {newsletter} has no list. Choose one on the newsletter's page.")
    counts_clicks = newsletter.tracking == Newsletter.Tracking.AGGREGATE
    click_url = partial(links.click_url, issue.public_id) if counts_clicks else None
    try:
        merge_fields.check({"subject": issue.subject, "preheader": issue.preheader, "body": issue.body})
        return content.freeze(replace(sources.of_issue(issue), click_url=click_url))
    except SourceError as error:
        raise CannotPrepare(f"{error} Correct it on {where}.") from error


def _digest(newsletter: Newsletter) -> Digest | None:
    """What the feed has for an issue of the usual text; None where the newsletter has no feed."""
    digest = _read_feed(newsletter)
    if digest is not None and not digest.number and newsletter.feed_when_empty == "skip":
        raise NothingNew("Nothing was sent: the feed has nothing that did not go out before.")
    return digest


def _read_feed(newsletter: Newsletter) -> Digest | None:
    """What is new in the newsletter's feed, asked before any transaction; None where it has no feed."""
    if newsletter.source != Newsletter.Source.FEED:
        return None
    try:
        return feeds.digest(newsletter)
    except feeds.FeedProblem as error:
        raise CannotPrepare(str(error)) from error


def _usual(newsletter: Newsletter, due_at: datetime, digest: Digest | None) -> Issue:
    """A new issue of the newsletter's own text, with what its feed has."""
    text = {name: getattr(newsletter, name) for name in TEXT_FIELDS}
    if digest is not None:
        text["body"] = digest.body
        feeds.mark_seen(newsletter, digest)
    return Issue.objects.create(newsletter=newsletter, scheduled_for=due_at, state=Issue.State.SCHEDULED, **text)


def _freeze_or_hold(issue: Issue, digest: Digest | None) -> Held | None:
    """Freezes the issue, or returns why it must wait: returned, so that the transaction around it is not undone."""
    counted = reach(issue.newsletter)
    held = _why_held(issue, counted)
    if held is None:
        if digest is not None:
            issue.body = feed_entries.put_in(issue.body, digest.entries, issue.format)
            feeds.mark_seen(issue.newsletter, digest)
        _freeze(issue, counted)
    return held


def _why_held(issue: Issue, counted: Audience) -> Held | None:
    if issue.state == Issue.State.SCHEDULED and (
        approval.is_given(issue) or not approval.is_needed(issue.newsletter, counted.recipients)
    ):
        return None
    if issue.state == Issue.State.DRAFT:
        return Held(issue, UNRELEASED)
    issue.state = Issue.State.APPROVAL
    issue.save(update_fields=["state"])
    return Held(issue, f"Waits for approval: {words.counted(counted.recipients, 'recipient')}.", counted.recipients)


def _freeze(issue: Issue, counted: Audience) -> None:
    """Everything that a sending needs; from here on neither the text nor the recipients change."""
    newsletter = issue.newsletter
    frozen, sender = freeze(issue), sender_of(newsletter)
    planned = audience.snapshot(issue, with_attributes=bool(content.used_attributes(frozen)))
    if not planned:
        raise CannotPrepare(nobody(newsletter, counted))
    try:
        attached = attachments.latest(newsletter.attachment)
    except attachments.CannotAttach as error:
        raise CannotPrepare(f"{error}") from error
    values: dict[str, Any] = {
        "state": Issue.State.PREPARING, "body": issue.body, "subject": frozen.subject, "html": frozen.html, "text": frozen.text,
        "sha256": frozen.sha256, "from_name": sender.name, "from_email": sender.email, "reply_to": sender.reply_to,
        "started_at": clock.now(), "planned": planned, "excluded": counted.excluded, "audience": audience_words(newsletter),
        **(attached.keep(issue) if attached is not None else {}),
    }  # fmt: skip
    for name, value in values.items():
        setattr(issue, name, value)
    issue.save(update_fields=list(values))
    Link.objects.bulk_create(Link(issue=issue, number=number, url=url) for number, url in enumerate(frozen.links, 1))
    holding.is_over(issue.pk)


def audience_words(newsletter: Newsletter) -> str:
    """To whom it goes: "City news and Staff, of these only: Harbour district"."""
    names = [str(name) for name in newsletter.lists.order_by("name").values_list("name", flat=True)]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "no list"
    return f"{listed}, of these only: {newsletter.segment}"[:500] if newsletter.segment else listed[:500]


def nobody(newsletter: Newsletter, counted: Audience) -> str:
    """Why an issue would reach nobody, in words."""
    names = [str(name) for name in newsletter.lists.order_by("name").values_list("name", flat=True)]
    if not names:
        return f"Nobody to send to: {newsletter} has no list. Choose one on the newsletter's page."
    lists = f"the list {names[0]} has" if len(names) == 1 else f"the lists {', '.join(names[:-1])} and {names[-1]} have"
    if counted.not_in_segment:
        return (
            f"Nobody to send to: none of the {counted.not_in_segment:,} readers who could get it "
            f"is in the segment {newsletter.segment}."
        )
    if counted.suppressed:
        return f"Nobody to send to: all {counted.suppressed} confirmed subscribers are on the suppression list."
    return f"Nobody to send to: {lists} no confirmed subscribers."


def unusable_segment(newsletter: Newsletter, error: segments.BadRule) -> str:
    """Why the newsletter's segment reaches nobody, and what to do."""
    return f"Nobody to send to: the segment {newsletter.segment} cannot be used. {error} Correct it on its page."


def sender_of(newsletter: Newsletter) -> Sender:
    """Who the newsletter comes from; the installation's own address where none is set."""
    name, email = parseaddr(settings.DEFAULT_FROM_EMAIL)
    if newsletter.from_email:
        name, email = newsletter.from_name, newsletter.from_email
    return Sender(newsletter.from_name or name, email, newsletter.reply_to)


def envelope_of(issue: Issue) -> Envelope:
    """What all mails of the issue share."""
    sender = Sender(issue.from_name, issue.from_email, issue.reply_to)
    attached = attachments.part_of(issue)
    return replace(
        _envelope(issue.newsletter, sender, f"{issue.pk}:{issue.sha256}"), attachment=attached, issue_id=issue.pk
    )


def envelope_before_sending(newsletter: Newsletter, key: str, attached: bytes = b"") -> Envelope:
    """As :func:`envelope_of`, for a test or a preview: every header that readers will get, but no issue to name."""
    return replace(_envelope(newsletter, sender_of(newsletter), key), attachment=attached)


def _envelope(newsletter: Newsletter, sender: Sender, key: str) -> Envelope:
    is_public = newsletter.is_archived and newsletter.pk
    archive = links.public("archive_newsletter", newsletter.pk) if is_public else ""
    help_url = links.public("feedback")
    return Envelope(sender, newsletter.name, newsletter.slug, key, help_url=help_url, archive_url=archive)


def envelope_sender(issue: Issue, delivery_id: int) -> str:
    """The SMTP sender of one mail, to which bounces go."""
    return verp.address(delivery_id) or issue.from_email
