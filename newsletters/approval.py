"""Who must agree before an issue goes out, and to what: its text, its feed, its readers, its sender, its attachment."""

from __future__ import annotations

import hashlib
import json

from django.contrib.auth.models import AbstractBaseUser
from django.urls import reverse

from newsletters import feeds
from newsletters.models import Issue, Newsletter
from runs import approvers, words
from runs.audit import Actor
from runs.models import AuditEntry

APPROVE = "newsletters.approve_issue"
_TEXT = ("subject", "preheader", "format", "template", "body")
_LOOKED_BACK = 200


def is_needed(newsletter: Newsletter, recipients: int) -> bool:
    """Whether an issue with so many recipients waits for a second person."""
    return newsletter.approve_above is not None and recipients > newsletter.approve_above


def is_given(issue: Issue) -> bool:
    """Whether somebody approved the issue as it stands now."""
    return bool(issue.approved_at) and issue.approved_sha256 == agreed(issue)


def agreed(issue: Issue) -> str:
    """SHA-256 of what an approver agrees to: the text, to which lists and segment it goes, from whom, with which file,
    and from which feed the entries come that will be in it.

    How many readers those have may change; who they are meant to be may not.
    """
    newsletter, segment = issue.newsletter, issue.newsletter.segment
    parts = (
        fingerprint(issue),
        sorted(newsletter.lists.values_list("pk", flat=True)),
        segment.rule if segment is not None else None,
        newsletter.attachment,
        newsletter.from_name,
        newsletter.from_email,
        newsletter.reply_to,
        *((newsletter.feed_url, newsletter.feed_items) if feeds.comes_later(newsletter, issue.body) else ()),
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def fingerprint(issue: Issue) -> str:
    """SHA-256 of what staff wrote in the issue, its layout included."""
    layout = issue.template
    parts = (
        issue.subject,
        issue.preheader,
        issue.format,
        issue.body,
        layout.format if layout else "",
        layout.source if layout else "",
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def why_not(issue: Issue, person: AbstractBaseUser) -> str:
    """Why this person may not approve this issue, in words; empty when they may."""
    if not person.has_perm(APPROVE):  # type: ignore[attr-defined]
        return "You may not approve issues. Somebody with the role Sender can."
    if is_by(issue, person.pk):
        return "You wrote this text last, so somebody else must approve it."
    return ""


def is_by(issue: Issue, person_id: int | None) -> bool:
    """Whether this person wrote the issue's text last."""
    return person_id is not None and person_id == writer_id(issue)


def writer_id(issue: Issue) -> int | None:
    """Who wrote the issue's text last; of one with the usual text, who wrote that on the newsletter's page."""
    if issue.author_id is not None:
        return issue.author_id
    about = AuditEntry.objects.filter(
        object_type=Newsletter._meta.label_lower, object_id=str(issue.newsletter_id), was_refused=False,
        action__in=("added the newsletter", "changed the newsletter"),
    )  # fmt: skip
    for actor_id, after in about.order_by("-id").values_list("actor_id", "after")[:_LOOKED_BACK]:
        if any(name in after for name in _TEXT):
            return actor_id
    return None


def ask(issue: Issue, recipients: int) -> int:
    """Leaves a notice for everybody who may approve the issue; returns how many were told."""
    text = f"“{issue}” waits for approval: {words.counted(recipients, 'recipient')}."
    return approvers.tell(APPROVE, text, url=page_of(issue), but=[writer_id(issue)])


def is_looser(before: int | None, after: int | None) -> bool:
    """Whether fewer issues would wait for a second person than before."""
    return before is not None and (after is None or after > before)


def tell_looser(newsletter: Newsletter, actor: Actor, before: int, after: int | None) -> None:
    """Leaves a notice for everybody else who may approve: nobody lifts the limit unseen."""
    now = f"above {words.counted(after, 'recipient')}" if after is not None else "never any more"
    text = f"{actor or 'Almanac'} changed when “{newsletter}” asks for approval: {now}; before, above {before:,}."
    url = reverse("admin:newsletters_newsletter_change", args=[newsletter.pk])
    approvers.tell(APPROVE, text, url=url, but=[getattr(actor, "pk", None)])


def page_of(issue: Issue) -> str:
    """The address of the issue's page."""
    return reverse("admin:newsletters_issue_change", args=[issue.pk])
