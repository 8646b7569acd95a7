"""Who must agree before an issue goes out, and to which text they agreed."""

from __future__ import annotations

import hashlib

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.urls import reverse

from newsletters.models import Issue, Newsletter
from runs import notices, words
from runs.models import RunEvent

APPROVE = "newsletters.approve_issue"
MOST_TOLD = 50
"""Approvers who get a notice; beyond that nobody would feel meant."""


def is_needed(newsletter: Newsletter, recipients: int) -> bool:
    """Whether an issue with so many recipients waits for a second person."""
    return newsletter.approve_above is not None and recipients > newsletter.approve_above


def is_given(issue: Issue) -> bool:
    """Whether somebody approved the issue's text as it stands now, its layout included."""
    return bool(issue.approved_at) and issue.approved_sha256 == fingerprint(issue)


def fingerprint(issue: Issue) -> str:
    """SHA-256 of everything that decides what the issue says."""
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
    if issue.author_id is not None and issue.author_id == person.pk:
        return "You wrote this text last, so somebody else must approve it."
    return ""


def ask(issue: Issue, recipients: int) -> int:
    """Leaves a notice for everybody who may approve the issue; returns how many were told."""
    told = approvers(issue)
    text = f"“{issue}” waits for approval: {words.counted(recipients, 'recipient')}."
    for person in told:
        notices.tell(person.pk, text, url=page_of(issue), level=RunEvent.Level.WARNING)
    return len(told)


def approvers(issue: Issue) -> list[AbstractBaseUser]:
    """The active staff who may approve it; not whoever wrote it."""
    people = get_user_model()._default_manager.with_perm(APPROVE, backend="django.contrib.auth.backends.ModelBackend")
    return list(people.filter(is_staff=True).exclude(pk=issue.author_id or 0).order_by("pk")[:MOST_TOLD])


def page_of(issue: Issue) -> str:
    """The address of the issue's page."""
    return reverse("admin:newsletters_issue_change", args=[issue.pk])
