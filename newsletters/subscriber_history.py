"""What happened with one subscriber, newest first: lists, mails, answers of mail servers, changes by staff."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db.models.functions import Coalesce
from django.urls import reverse

from newsletters.models import Delivery, ReaderEvent, Subscriber
from runs.models import AuditEntry

PAGE = 25
MOST_PAGES = 40
"""A bounded look back: each page reads the newest of every source up to it."""
_TONES = {
    Delivery.State.SENT: "good", Delivery.State.FAILED: "bad", Delivery.State.UNCERTAIN: "warn",
    Delivery.State.SKIPPED: "quiet",
}  # fmt: skip
_EVENT_TONES = {
    ReaderEvent.Kind.HARD_BOUNCE: "bad", ReaderEvent.Kind.COMPLAINT: "bad", ReaderEvent.Kind.SOFT_BOUNCE: "warn",
    ReaderEvent.Kind.POLICY_BOUNCE: "warn", ReaderEvent.Kind.CONFIRMED: "good",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One thing that happened."""

    at: datetime
    word: str
    """On the chip: Mail, List, Change …"""
    tone: str
    text: str
    detail: str = ""
    url: str = ""


@dataclass(frozen=True)
class Page:
    """A stretch of the history."""

    entries: list[Entry]
    number: int
    has_older: bool


def page_of(subscriber: Subscriber, number: int) -> Page:
    """The page of that number, from 1; at most :data:`MOST_PAGES`. Its queries do not depend on what there is."""
    number = min(max(number, 1), MOST_PAGES)
    wanted = number * PAGE + 1
    sources = (
        _lists(subscriber),
        _mails(subscriber, wanted),
        _events(subscriber, wanted),
        _changes(subscriber, wanted),
    )
    everything = sorted((entry for source in sources for entry in islice(source, wanted)), key=_moment, reverse=True)
    shown = everything[(number - 1) * PAGE : number * PAGE]
    return Page(shown, number, len(everything) > number * PAGE and number < MOST_PAGES)


def _moment(entry: Entry) -> datetime:
    return entry.at


def _lists(subscriber: Subscriber) -> Iterator[Entry]:
    for row in subscriber.subscriptions.select_related("list"):
        origin = f"from {row.source}" if row.source else ""
        yield Entry(row.created_at, "List", "quiet", f"Signed up for {row.list}", origin)
        if row.mailed_at:
            yield Entry(row.mailed_at, "List", "quiet", f"Asked to confirm {row.list}")
        if row.confirmed_at and row.confirmed_at != row.created_at:
            yield Entry(row.confirmed_at, "List", "good", f"Confirmed {row.list}", row.consent_ip or "")
        if row.welcomed_at:
            yield Entry(row.welcomed_at, "List", "quiet", f"Welcome mail of {row.list} sent")
        if row.unsubscribed_at:
            yield Entry(row.unsubscribed_at, "List", "warn", f"Left {row.list}")


def _mails(subscriber: Subscriber, number: int) -> Iterator[Entry]:
    rows = Delivery.objects.filter(subscriber=subscriber).select_related("issue__newsletter")
    rows = rows.annotate(at=Coalesce("sent_at", "issue__started_at", "issue__scheduled_for", "issue__created_at"))
    for row in rows.defer("issue__html", "issue__text", "issue__body", "merge").order_by("-at", "-pk")[:number]:
        answer = f"{row.code or ''} {row.text}".strip()
        url = reverse("admin:newsletters_issue_change", args=[row.issue_id])
        tone = _TONES.get(Delivery.State(row.state), "live")
        state = Delivery.State(row.state).label
        yield Entry(row.at, "Mail", tone, f"{row.issue}: {state.lower()}", answer, url)


def _events(subscriber: Subscriber, number: int) -> Iterator[Entry]:
    rows = ReaderEvent.objects.filter(subscriber=subscriber).order_by("-at", "-pk")
    for row in rows.select_related("issue__newsletter").defer("issue__html", "issue__text", "issue__body")[:number]:
        detail = " ".join(part for part in (row.status, row.text) if part)
        url = reverse("admin:newsletters_issue_change", args=[row.issue_id]) if row.issue_id else ""
        tone = _EVENT_TONES.get(ReaderEvent.Kind(row.kind), "quiet")
        yield Entry(row.at, "Answer", tone, row.get_kind_display(), detail, url)


def _changes(subscriber: Subscriber, number: int) -> Iterator[Entry]:
    # What was refused changed nothing; it stands in the activity log. What readers did is an event of theirs already.
    rows = AuditEntry.objects.filter(
        object_type="newsletters.subscriber", object_id=str(subscriber.pk), was_refused=False
    ).exclude(action__startswith="the reader ")
    for row in rows.order_by("-id")[:number]:
        who = row.actor_name or "Almanac"
        names = ", ".join(str(name).replace("_", " ") for name in row.after)
        detail = " · ".join(part for part in (names, row.reason) if part)
        yield Entry(row.at, "Change", "quiet", f"{who} {row.action}", detail)
