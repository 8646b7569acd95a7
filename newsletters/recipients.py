"""Who got an issue and who did not: listed by place, never counted or skipped through, and as a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from newsletters import addresses, subscriber_files
from newsletters.models import Delivery, Issue
from runs import audit, csv_lines
from runs.audit import Actor
from runs.row_numbers import row_number

LISTED = 100
STATES = {
    "failed": ("Failed", (Delivery.State.FAILED,)),
    "uncertain": ("Uncertain", (Delivery.State.UNCERTAIN,)),
    "left-out": ("Left out", (Delivery.State.SKIPPED,)),
    "waiting": ("Still waiting", Delivery.OPEN),
    "sent": ("Sent", (Delivery.State.SENT,)),
}
COLUMNS = ("address", "name", "state", "SMTP reply", "what the mail server said", "sent at")
VIEW = "newsletters.view_delivery"
READERS = "newsletters.view_subscriber"
_ADDRESS = re.compile(r"[^\s<>\"(),;:]+@[^\s<>\"(),;:]+")


def may_see(person: Any) -> bool:
    """Whether somebody may see who got an issue: that is a list of readers, whatever page shows it."""
    return bool(person.has_perm(VIEW) and person.has_perm(READERS))


def may_download(person: Any) -> bool:
    """Whether somebody may take that list out as a file."""
    return may_see(person) and bool(person.has_perm(subscriber_files.EXPORT))


def without_addresses(answer: str) -> str:
    """What a mail server said, for whoever may not see readers: it often repeats the address."""
    return _ADDRESS.sub("(address)", answer)


@dataclass(frozen=True)
class Wanted:
    """Which recipients somebody wants to see."""

    state: str = "failed"
    code: int | None = None
    address: str = ""
    """A whole address; it is found in whatever state."""
    after: int = 0

    @classmethod
    def of(cls, asked: QueryDict) -> Wanted:
        """As asked for; what cannot be read is left out."""
        state = asked.get("state", "")
        return cls(
            state if state in STATES else "failed", row_number(asked.get("code", "")[:4]) or None,
            asked.get("address", "").strip().replace("\x00", "")[:254], row_number(asked.get("after", "")) or 0,
        )  # fmt: skip


def rows(issue: Issue, wanted: Wanted) -> QuerySet[Delivery]:
    """The recipients in question, in the order in which they were copied."""
    found = Delivery.objects.filter(issue=issue).defer("merge").order_by("pk")
    if wanted.address:
        try:
            return found.filter(email_norm=addresses.normalise(wanted.address))
        except addresses.BadAddress:
            return found.none()
    found = found.filter(state__in=STATES[wanted.state][1])
    return found if wanted.code is None else found.filter(code=wanted.code)


def page(issue: Issue, wanted: Wanted) -> tuple[list[Delivery], int | None]:
    """One page of them, and after which number the next begins; None when it is the last."""
    found = list(rows(issue, wanted).filter(pk__gt=wanted.after)[: LISTED + 1])
    return found[:LISTED], found[LISTED - 1].pk if len(found) > LISTED else None


def download(actor: Actor, issue: Issue, wanted: Wanted) -> Iterator[str]:
    """All of them as CSV, line by line; a cell that a spreadsheet program would run as a formula is made harmless."""
    for permission in (VIEW, READERS, subscriber_files.EXPORT):
        audit.require(actor, permission, "download the recipients", issue)
    audit.record(actor, "downloaded the recipients", issue, after={"state": wanted.state, "code": wanted.code})
    return csv_lines.lines(COLUMNS, map(_cells, rows(issue, wanted).iterator(chunk_size=2000)))


def _cells(row: Delivery) -> tuple[object, ...]:
    sent_at = row.sent_at.isoformat() if row.sent_at else ""
    return row.email, row.name, row.get_state_display(), row.code or "", row.text, sent_at
