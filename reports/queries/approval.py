"""Who may approve a query: somebody who wrote nothing of the text, and only the text that they have before them."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.urls import reverse

from reports.models import ReportQuery
from reports.queries.fingerprints import fingerprint
from runs import approvers, notices
from runs.models import AuditEntry

APPROVE = "reports.approve_reportquery"
WROTE = ("added the SQL query", "changed the SQL query")
"""What the activity log says of those who wrote a text."""


def current(query: ReportQuery) -> str:
    """The fingerprint of the text as it stands now, approved or not."""
    return fingerprint(query.sql, query.parameters)


def is_changed(query: ReportQuery) -> bool:
    """Whether the text differs from the one that reports run."""
    return bool(query.approved_sha256) and query.approved_sha256 != current(query)


def writers(query: ReportQuery) -> set[int]:
    """Everybody who wrote a part of the text since another was approved."""
    found = {query.author_id} if query.author_id else set()
    entries = AuditEntry.objects.filter(
        object_type=query._meta.label_lower, object_id=str(query.pk), was_refused=False, action__in=WROTE
    )
    if query.approved_at is not None:
        entries = entries.filter(at__gt=query.approved_at)
    for actor_id, after in entries.values_list("actor_id", "after"):
        if actor_id and "sha256" in after:  # the text, or its parameters
            found.add(actor_id)
    return found


def why_not(query: ReportQuery, person: AbstractBaseUser) -> str:
    """Why this person may not approve the text, in words; empty when they may."""
    if not person.has_perm(APPROVE):  # type: ignore[attr-defined]
        return "You may not approve SQL queries. An administrator can give you the permission."
    if person.pk in writers(query):
        return "You wrote this text, or a part of it, so somebody else must approve it."
    return ""


def ask(query: ReportQuery) -> int:
    """Leaves a notice for everybody who may approve it; returns how many were told."""
    text = f"The SQL query “{query}” waits for your approval."
    return approvers.tell(APPROVE, text, url=page_of(query), but=writers(query))


def answer(query: ReportQuery, words: str) -> None:
    """Leaves a notice for whoever wrote it last."""
    if query.author_id is not None:
        notices.tell(query.author_id, words, url=page_of(query))


def page_of(query: ReportQuery) -> str:
    """The address of the query's page."""
    return reverse("admin:reports_reportquery_change", args=[query.pk])
