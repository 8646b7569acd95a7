"""Makes an issue ready in one transaction: content frozen, recipients copied and counted."""

from __future__ import annotations

from datetime import datetime
from email.utils import parseaddr

from django.conf import settings
from django.db import IntegrityError, transaction

from newsletters import audience, content, merge_fields, segments, sources
from newsletters.audience import Audience
from newsletters.message import Envelope, Sender
from newsletters.models import Issue, Newsletter
from newsletters.source_errors import SourceError


class CannotPrepare(Exception):
    """The newsletter cannot go out as it stands; the message says why and what to do."""


def issue_for(newsletter: Newsletter, due_at: datetime) -> Issue:
    """The one issue of this newsletter for this due time: the one that exists, or a new one ready to be sent.

    Raises:
        CannotPrepare: nobody to send to, or a merge tag that cannot be read. Nothing is left behind.
    """
    found = Issue.objects.filter(newsletter=newsletter, scheduled_for=due_at).first()
    if found is not None:
        return found
    frozen = freeze(newsletter)
    sender = sender_of(newsletter)
    try:
        with transaction.atomic():
            issue = Issue.objects.create(
                newsletter=newsletter, scheduled_for=due_at, state=Issue.State.PREPARING,
                subject=frozen.subject, html=frozen.html, text=frozen.text, sha256=frozen.sha256,
                from_name=sender.name, from_email=sender.email, reply_to=sender.reply_to,
            )  # fmt: skip
            issue.planned = audience.snapshot(issue, with_attributes=bool(content.used_attributes(frozen)))
            counted = audience.count(audience.Reach.of(newsletter))
            if not issue.planned:
                raise CannotPrepare(nobody(newsletter, counted))
            issue.excluded = counted.excluded
            issue.save(update_fields=["planned", "excluded"])
    except segments.BadRule as error:
        raise CannotPrepare(unusable_segment(newsletter, error)) from error
    except IntegrityError:  # another run of the same due time was a moment earlier
        return Issue.objects.get(newsletter=newsletter, scheduled_for=due_at)
    return issue


def freeze(newsletter: Newsletter) -> content.Frozen:
    """The newsletter's text as it stands, made ready to mail. Raises CannotPrepare."""
    if not newsletter.lists.exists():
        raise CannotPrepare(f"Nobody to send to: {newsletter} has no list. Choose one on the newsletter's page.")
    try:
        merge_fields.check({"subject": newsletter.subject, "preheader": newsletter.preheader, "body": newsletter.body})
        return content.freeze(sources.of_newsletter(newsletter))
    except SourceError as error:
        raise CannotPrepare(f"{error} Correct it on the newsletter's page.") from error


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
    newsletter = issue.newsletter
    sender = Sender(issue.from_name, issue.from_email, issue.reply_to)
    return Envelope(sender, newsletter.name, newsletter.slug, f"{issue.pk}:{issue.sha256}")


def envelope_sender(issue: Issue, delivery_id: int) -> str:
    """The SMTP sender of one mail, to which bounces go."""
    return issue.from_email
