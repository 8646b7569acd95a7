"""The rows of a sending: claimed, settled and counted in bulk SQL, each write under the fence of its hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F, QuerySet

from newsletters import audience, lanes
from newsletters.lanes import Hold
from newsletters.models import Delivery, Issue
from runs import clock
from runs.id_lists import rows_of
from runs.ledger import LeaseLost
from runs.locking import skip_locked

State = Delivery.State
_COLUMNS = ("id", "subscriber_id", "email", "email_norm", "name", "merge", "attempts")


@dataclass(frozen=True)
class Row:
    """One claimed delivery, as plain values."""

    id: int
    subscriber_id: int
    email: str
    email_norm: str
    name: str
    merge: dict[str, Any]
    attempts: int


@dataclass
class Batch:
    """What one claim brought."""

    claimed: int
    """How many were taken; 0 means that nothing is waiting now."""
    last_id: int = 0
    """Those before it that wait were waiting before as well: the next claim begins behind it."""
    rows: list[Row] = field(default_factory=list)
    """Those to send, in order of id; the rest was left out because they are no longer to be written to."""


@dataclass(frozen=True)
class Decision:
    """What became of one mail that was not simply taken."""

    row: Row
    state: State
    code: int | None = None
    text: str = ""
    again_in: float = 0
    """Seconds until it is tried again, where it is deferred."""


@dataclass
class Settled:
    """What became of mails since the last :func:`flush`."""

    sent: list[int] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.sent or self.decisions)


def claim(hold: Hold, size: int, *, after: int = 0) -> Batch:
    """Takes the next deliveries: waiting ones first, then those whose time to try again has come.

    Subscription and suppression are looked at again: who left since the snapshot is left out here.

    Args:
        after: where the last claim ended. PostgreSQL would read every row that was claimed before, until it is
            vacuumed, to find the next that waits; those left behind are looked for when nothing else waits.

    Raises:
        LeaseLost: somebody else has the lane.
    """
    now = clock.now()
    with transaction.atomic():
        lanes.renew(hold)
        ids = _next_ids(hold, now, size, after)
        if not ids:
            return Batch(0)
        chosen = Delivery.objects.filter(pk__in=rows_of(ids))
        chosen.update(state=State.CLAIMED, fence=hold.fence, next_at=None)
        rows = [Row(*values) for values in chosen.order_by("pk").values_list(*_COLUMNS)]
        skipped = _leave_out_who_left(hold.issue_id, rows)
    return Batch(len(ids), max(ids), [row for row in rows if row.id not in skipped])


def _next_ids(hold: Hold, now: datetime, size: int, after: int) -> list[int]:
    of_issue = Delivery.objects.filter(issue_id=hold.issue_id)
    waiting = of_issue.filter(state=State.PENDING)
    choices: list[QuerySet[Delivery]] = [waiting.filter(pk__gt=after)] if after else []
    for choice in [*choices, waiting, of_issue.filter(state=State.DEFERRED, next_at__lte=now)]:
        ids = list(skip_locked(choice).order_by("pk").values_list("pk", flat=True)[:size])
        if ids:
            return ids
    return []


def _leave_out_who_left(issue_id: int, rows: list[Row]) -> set[int]:
    """Those who unsubscribed or were suppressed since the snapshot; they are marked so."""
    issue = Issue.objects.select_related("newsletter").only("newsletter").get(pk=issue_id)
    suppressed = audience.suppressed_among([row.email_norm for row in rows])
    left = audience.no_longer_subscribed(issue.newsletter, [row.subscriber_id for row in rows])
    reasons = {
        "The address is suppressed.": [row.id for row in rows if row.email_norm in suppressed],
        "Unsubscribed before it was sent.": [
            row.id for row in rows if row.subscriber_id in left and row.email_norm not in suppressed
        ],
    }
    skipped: set[int] = set()
    for reason, row_ids in reasons.items():
        if row_ids:
            Delivery.objects.filter(pk__in=row_ids).update(state=State.SKIPPED, text=reason)
            skipped.update(row_ids)
    if skipped:
        Issue.objects.filter(pk=issue_id).update(skipped=F("skipped") + len(skipped))
    return skipped


def flush(hold: Hold, settled: Settled) -> None:
    """Writes down what became of mails, and that the holder lives.

    Raises:
        LeaseLost: somebody else has the lane and settled these by the journal.
    """
    with transaction.atomic():
        lanes.renew(hold)
        mine = lanes.claimed_by(hold.issue_id, hold.fence)
        counts = {"sent": 0, "failed": 0, "uncertain": 0}
        if settled.sent:
            counts["sent"] = _all_of(lanes.mark_sent(mine.filter(pk__in=rows_of(settled.sent))), settled.sent)
        for decision in settled.decisions:
            again = clock.now() + timedelta(seconds=decision.again_in) if decision.state == State.DEFERRED else None
            changed = mine.filter(pk=decision.row.id).update(
                state=decision.state, attempts=F("attempts") + 1, next_at=again, code=decision.code,
                text=decision.text[:200],
            )  # fmt: skip
            _all_of(changed, [decision.row.id])
            if decision.state != State.DEFERRED:
                counts["failed" if decision.state == State.FAILED else "uncertain"] += 1
        changes = {name: F(name) + number for name, number in counts.items() if number}
        if changes:
            Issue.objects.filter(pk=hold.issue_id).update(**changes)


def unclaim(hold: Hold, rows: Iterable[Row]) -> None:
    """Lets these wait again; not one of them was begun. Raises LeaseLost."""
    ids = [row.id for row in rows]
    with transaction.atomic():
        lanes.renew(hold)
        lanes.claimed_by(hold.issue_id, hold.fence).filter(pk__in=rows_of(ids)).update(state=State.PENDING, fence=0)


def _all_of(changed: int, wanted: list[int]) -> int:
    """Rows that are not ours any more are rows that somebody else may have sent."""
    if changed != len(wanted):
        raise LeaseLost
    return changed


def is_any_waiting(issue_id: int) -> bool:
    """Whether somebody's mail can be claimed now."""
    return Delivery.objects.filter(issue_id=issue_id, state=State.PENDING).exists()


def is_any_due(issue_id: int) -> bool:
    """The same, and those count as well that are to be tried again by now."""
    again = Delivery.objects.filter(issue_id=issue_id, state=State.DEFERRED, next_at__lte=clock.now())
    return is_any_waiting(issue_id) or again.exists()


def next_attempt_at(issue_id: int) -> datetime | None:
    """When the earliest deferred delivery is to be tried again; None when there is none."""
    deferred = Delivery.objects.filter(issue_id=issue_id, state=State.DEFERRED).exclude(next_at=None)
    return deferred.order_by("next_at").values_list("next_at", flat=True).first()


def reopen(issue_id: int, state: State, delivery_ids: Iterable[int] | None = None) -> int:
    """Failed or uncertain deliveries wait again: all of them, or those named; returns how many."""
    counter = {State.FAILED: "failed", State.UNCERTAIN: "uncertain"}[state]
    chosen = Delivery.objects.filter(issue_id=issue_id, state=state)
    if delivery_ids is not None:
        chosen = chosen.filter(pk__in=list(delivery_ids))
    with transaction.atomic():
        changed = chosen.update(state=State.PENDING, attempts=0, fence=0, code=None, text="")
        Issue.objects.filter(pk=issue_id).update(**{counter: F(counter) - changed})
    return changed


def leave_out_if_cancelled(issue_id: int) -> None:
    """Ends everything of a cancelled issue that nobody holds; what somebody holds may be on its way."""
    if not Issue.objects.filter(pk=issue_id, state=Issue.State.CANCELLED).exists():
        return
    with transaction.atomic():
        waiting = Delivery.objects.filter(issue_id=issue_id, state__in=(State.PENDING, State.DEFERRED))
        changed = waiting.update(state=State.SKIPPED, next_at=None, text="The issue was cancelled.")
        Issue.objects.filter(pk=issue_id).update(skipped=F("skipped") + changed)


def count_states(issue_id: int) -> dict[int, int]:
    """How many deliveries are in each state, counted now."""
    grouped = Delivery.objects.filter(issue_id=issue_id).order_by().values("state").annotate(number=Count("pk"))
    return {row["state"]: row["number"] for row in grouped}
