"""The only writer of deliveries while an issue is sent: claim, journal, flush, recover, finish; all in bulk SQL.

Every write names the fence of the hold that makes it, so that a worker that came back from the dead, or a
second run of the same issue, changes nothing and sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F

from newsletters import audience
from newsletters.models import Delivery, Issue, Lane
from runs import clock
from runs.ledger import LeaseLost
from runs.locking import skip_locked
from runs.models import Run
from runs.states import State as RunState

State = Delivery.State
UNANSWERED = "The mail was handed over, but the server's answer never came. It may or may not have arrived."


class LaneBusy(Exception):
    """Another run that is alive is sending this issue."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"Run {run_id} is sending this issue already.")


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


@dataclass(frozen=True)
class Hold:
    """The right to send an issue, until somebody else takes it."""

    lane_id: int
    issue_id: int
    fence: int


@dataclass
class Batch:
    """What one claim brought."""

    claimed: int
    """How many were taken; 0 means that nothing is waiting now."""
    rows: list[Row] = field(default_factory=list)
    """Those to send, in order of id; the rest was left out because they are no longer to be written to."""


def take(issue: Issue, run_id: int) -> Hold:
    """Takes the issue's lane for a run and settles what a former holder left behind.

    Raises:
        LaneBusy: another run that is alive holds it.
    """
    with transaction.atomic():
        Lane.objects.get_or_create(issue=issue, number=0)
        lane = Lane.objects.select_for_update().get(issue=issue, number=0)
        if lane.run_id not in (None, run_id) and Run.objects.filter(pk=lane.run_id, state=RunState.RUNNING).exists():
            raise LaneBusy(lane.run_id or 0)
        _settle(lane, lane.fence)
        lane.fence += 1
        lane.run_id = run_id
        lane.save(update_fields=["fence", "run_id"])
    return Hold(lane.pk, issue.pk, lane.fence)


def settle_abandoned(issue: Issue) -> None:
    """Settles what a killed worker left of an issue that no run is sending; the caller made sure of that."""
    for lane in Lane.objects.select_for_update().filter(issue=issue):
        _settle(lane, lane.fence)
        Lane.objects.filter(pk=lane.pk).update(fence=F("fence") + 1)


def claim(hold: Hold, size: int) -> Batch:
    """Takes the next deliveries: waiting ones first, then those whose time to try again has come.

    Subscription and suppression are looked at again: who left since the snapshot is left out here.
    Raises LeaseLost.
    """
    now = clock.now()
    with transaction.atomic():
        _flush(hold)
        _write_lane(hold, in_hand=None, sent_through=0)
        ids = _next_ids(hold, now, size)
        if not ids:
            return Batch(0)
        Delivery.objects.filter(pk__in=ids).update(state=State.CLAIMED, fence=hold.fence, next_at=None)
        issue = Issue.objects.select_related("newsletter").only("newsletter").get(pk=hold.issue_id)
        columns = ("id", "subscriber_id", "email", "email_norm", "name", "merge", "attempts")
        rows = [Row(*values) for values in Delivery.objects.filter(pk__in=ids).order_by("pk").values_list(*columns)]
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
            Issue.objects.filter(pk=hold.issue_id).update(skipped=F("skipped") + len(skipped))
    return Batch(len(ids), [row for row in rows if row.id not in skipped])


def _next_ids(hold: Hold, now: datetime, size: int) -> list[int]:
    waiting = Delivery.objects.filter(issue_id=hold.issue_id, state=State.PENDING)
    ids = list(skip_locked(waiting).order_by("pk").values_list("pk", flat=True)[:size])
    if not ids:
        again = Delivery.objects.filter(issue_id=hold.issue_id, state=State.DEFERRED, next_at__lte=now)
        ids = list(skip_locked(again).order_by("pk").values_list("pk", flat=True)[:size])
    return ids


def next_attempt_at(issue_id: int) -> datetime | None:
    """When the earliest deferred delivery is to be tried again; None when there is none."""
    deferred = Delivery.objects.filter(issue_id=issue_id, state=State.DEFERRED).exclude(next_at=None)
    return deferred.order_by("next_at").values_list("next_at", flat=True).first()


def begin(hold: Hold, delivery_id: int) -> None:
    """Journal: the final dot of this mail comes next. Raises LeaseLost, and then the dot must not be sent."""
    _write_lane(hold, in_hand=delivery_id)


def turned_down(hold: Hold) -> None:
    """Journal: the server answered the mail in hand with a no, so nobody is in doubt about it. Raises LeaseLost."""
    _write_lane(hold, in_hand=None)


def accepted(hold: Hold, delivery_id: int) -> None:
    """Journal: the server took this mail, and with it every claimed one before it. Raises LeaseLost."""
    _write_lane(hold, in_hand=None, sent_through=delivery_id)


def defer(hold: Hold, row: Row, seconds: int, code: int, text: str) -> None:
    """The server asked us to come back. Raises LeaseLost."""
    again = clock.now() + timedelta(seconds=seconds)
    _decide(hold, row, State.DEFERRED, next_at=again, code=code, text=text[:200])


def refuse(hold: Hold, row: Row, code: int, text: str) -> None:
    """The server will not have it for this recipient. Raises LeaseLost."""
    _decide(hold, row, State.FAILED, counter="failed", code=code, text=text[:200])


def doubt(hold: Hold, row: Row) -> None:
    """Handed over, never answered: staff decide. Raises LeaseLost."""
    _decide(hold, row, State.UNCERTAIN, counter="uncertain", text=UNANSWERED)


def _decide(hold: Hold, row: Row, state: State, *, counter: str = "", **values: Any) -> None:
    with transaction.atomic():
        _write_lane(hold, in_hand=None)
        mine = Delivery.objects.filter(pk=row.id, fence=hold.fence, state=State.CLAIMED)
        if not mine.update(state=state, attempts=F("attempts") + 1, **values):
            raise LeaseLost
        if counter:
            Issue.objects.filter(pk=hold.issue_id).update(**{counter: F(counter) + 1})


def flush(hold: Hold) -> int:
    """Marks what the journal says was accepted as sent; returns how many. Raises LeaseLost."""
    with transaction.atomic():
        return _flush(hold)


def release(hold: Hold) -> None:
    """Gives everything back at the end, whatever the reason. A lane that another run took is left alone."""
    with transaction.atomic():
        lane = Lane.objects.select_for_update().get(pk=hold.lane_id)
        if lane.fence == hold.fence:
            _settle(lane, hold.fence)
            Lane.objects.filter(pk=lane.pk).update(run_id=None, fence=F("fence") + 1)


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


def leave_out_open(issue_id: int, reason: str) -> int:
    """Ends everything that still waits, because the issue was cancelled; returns how many."""
    with transaction.atomic():
        waiting = Delivery.objects.filter(issue_id=issue_id, state__in=(State.PENDING, State.DEFERRED))
        changed = waiting.update(state=State.SKIPPED, next_at=None, text=reason[:200])
        Issue.objects.filter(pk=issue_id).update(skipped=F("skipped") + changed)
    return changed


def count_states(issue_id: int) -> dict[int, int]:
    """How many deliveries are in each state, counted now."""
    grouped = Delivery.objects.filter(issue_id=issue_id).order_by().values("state").annotate(number=Count("pk"))
    return {row["state"]: row["number"] for row in grouped}


def _settle(lane: Lane, fence: int) -> None:
    """The journal decides: accepted ones are sent, the one in hand is uncertain, the rest waits again."""
    _mark_sent(lane, fence)
    held = Delivery.objects.filter(issue_id=lane.issue_id, state=State.CLAIMED, fence=fence)
    if lane.in_hand is not None:
        doubtful = held.filter(pk=lane.in_hand).update(
            state=State.UNCERTAIN, attempts=F("attempts") + 1, text=UNANSWERED
        )
        Issue.objects.filter(pk=lane.issue_id).update(uncertain=F("uncertain") + doubtful)
    held.update(state=State.PENDING, fence=0)
    lane.in_hand, lane.sent_through = None, 0
    lane.save(update_fields=["in_hand", "sent_through"])


def _flush(hold: Hold) -> int:
    _write_lane(hold, in_hand=F("in_hand"))  # locks the row, and finds out whether it is still ours
    return _mark_sent(Lane.objects.get(pk=hold.lane_id), hold.fence)


def _mark_sent(lane: Lane, fence: int) -> int:
    taken = Delivery.objects.filter(issue_id=lane.issue_id, state=State.CLAIMED, fence=fence, pk__lte=lane.sent_through)
    sent = taken.update(state=State.SENT, attempts=F("attempts") + 1, sent_at=clock.now(), code=250, text="")
    if sent:
        Issue.objects.filter(pk=lane.issue_id).update(sent=F("sent") + sent)
    return sent


def _write_lane(hold: Hold, **values: Any) -> None:
    if not Lane.objects.filter(pk=hold.lane_id, fence=hold.fence).update(**values):
        raise LeaseLost
