"""Who sends an issue: each process takes a lane of it, for as long as it says that it lives, and its journal settles it.

The first lane belongs to the run; the others to processes that help. Every write of a holder names its fence, and a
holder whose time is over sends nothing more, so that nobody gets the issue twice from a process that was only asleep.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Max, QuerySet

from newsletters import holders, journal
from newsletters.models import Delivery, Issue, Lane
from runs import clock
from runs.ledger import LeaseLost
from runs.locking import locked

State = Delivery.State
HOLD_SECONDS = 45
"""How long a holder is believed without a sign of life."""
MARGIN_SECONDS = 5
"""A holder stops believing in itself so much earlier."""
ELSEWHERE_SECONDS = 30
"""So much longer, the computer that has the journal may settle a lane; then it is settled without."""
UNANSWERED = "The mail was handed over, but the server's answer never came. It may or may not have arrived."
JOURNAL_LOST = "The computer that was sending it is gone, and what it knew with it. It may or may not have arrived."


class LaneBusy(Exception):
    """Somebody who lives is sending this issue on this lane."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"Run {run_id} is sending this issue already.")
        self.run_id = run_id


@dataclass(frozen=True)
class Hold:
    """The right to send on a lane, until its time is over or somebody else takes it."""

    lane_id: int
    issue_id: int
    fence: int
    _until: list[float] = field(compare=False)

    @property
    def is_valid(self) -> bool:
        """Asked before each final dot: whether nobody else can have taken the lane yet."""
        return _now() < self._until[0]


def take(issue: Issue, run_id: int, number: int = 0, *, former: Hold | None = None) -> Hold:
    """Takes a lane of the issue for a run and settles what a former holder left behind.

    Args:
        former: the caller's own hold, by which nothing is sent any more.

    Raises:
        LaneBusy: somebody who lives, or may live, holds it.
    """
    before = _now()
    with transaction.atomic():
        # Whoever takes a lane waits for the first one: fences are numbered through the whole issue.
        Lane.objects.get_or_create(issue=issue, number=0)
        locked(Lane.objects.filter(issue=issue, number=0)).get()
        lane, _ = Lane.objects.get_or_create(issue=issue, number=number)
        is_own = former is not None and lane.fence == former.fence
        if not is_own and not _is_over(lane):
            raise LaneBusy(lane.run_id or 0)
        _settle(lane, is_at_rest=is_own)
        newest = Lane.objects.filter(issue=issue).aggregate(Max("fence"))["fence__max"]
        lane.fence, lane.run_id, lane.holder = newest + 1, run_id, holders.this_process()
        lane.lease_until = clock.now() + timedelta(seconds=HOLD_SECONDS)
        lane.save()
    return Hold(lane.pk, issue.pk, lane.fence, [_believed_until(before)])


def renew(hold: Hold) -> None:
    """Says that the holder lives; call it in the transaction of each of its writes. Raises LeaseLost."""
    before = _now()
    until = clock.now() + timedelta(seconds=HOLD_SECONDS)
    # Without a holder it was settled: others may be sending what this one had claimed.
    mine = Lane.objects.filter(pk=hold.lane_id, fence=hold.fence).exclude(holder="")
    if not mine.update(lease_until=until):
        raise LeaseLost
    hold._until[0] = _believed_until(before)


def release(hold: Hold) -> None:
    """Gives everything back at the end, whatever the reason. A lane that somebody else took is left alone."""
    with transaction.atomic():
        lane = locked(Lane.objects.filter(pk=hold.lane_id)).get()
        if lane.fence == hold.fence:
            _settle(lane, is_at_rest=True)


def give_back(hold: Hold, in_flight: set[int]) -> None:
    """Lets others send what the holder claimed, except the mails that it has in flight. Raises LeaseLost."""
    with transaction.atomic():
        renew(hold)
        rest = claimed_by(hold.issue_id, hold.fence).exclude(pk__in=in_flight)
        _sort_out(hold.issue_id, hold.fence, rest, is_here=True)


def reap(issue_id: int) -> int:
    """Settles the lanes whose holders are gone; returns how many."""
    with transaction.atomic():
        gone = [lane for lane in locked(held(issue_id).order_by("number")) if _is_over(lane)]
        for lane in gone:
            _settle(lane)
    return len(gone)


def held(issue_id: int) -> QuerySet[Lane]:
    """The lanes of the issue that somebody holds."""
    return Lane.objects.filter(issue_id=issue_id).exclude(holder="")


def _is_over(lane: Lane) -> bool:
    """Whether its holder ended, or was silent for so long that it sends nothing more."""
    if not lane.holder or lane.lease_until is None or holders.is_gone(lane.holder):
        return True
    return clock.now() >= _settled_at(lane, lane.lease_until)


def _settled_at(lane: Lane, lease_until: datetime) -> datetime:
    has_journal = holders.is_of_this_boot(lane.holder) and journal.path(lane.issue_id, lane.fence).exists()
    return lease_until if has_journal else lease_until + timedelta(seconds=ELSEWHERE_SECONDS)


def _settle(lane: Lane, *, is_at_rest: bool = False) -> None:
    """Gives the lane back.

    Args:
        is_at_rest: its holder asks for it, and sends nothing more.
    """
    if not lane.holder:
        return
    is_here = holders.is_of_this_boot(lane.holder)
    if is_here and not is_at_rest and not holders.is_gone(lane.holder):
        # The database's clock may have jumped, and the holder be in the middle of a mail.
        is_here = journal.end(lane.issue_id, lane.fence)
    claimed = claimed_by(lane.issue_id, lane.fence)
    _sort_out(lane.issue_id, lane.fence, claimed, is_here=is_here)
    Lane.objects.filter(pk=lane.pk).update(holder="", run_id=None, lease_until=None)
    lane.holder = ""
    transaction.on_commit(lambda: journal.remove(lane.issue_id, lane.fence))


def claimed_by(issue_id: int, fence: int) -> QuerySet[Delivery]:
    """What the hold with this fence has claimed and not settled."""
    return Delivery.objects.filter(issue_id=issue_id, state=State.CLAIMED, fence=fence)


def _sort_out(issue_id: int, fence: int, claimed: QuerySet[Delivery], *, is_here: bool) -> None:
    """The journal decides: taken ones are sent, those begun are uncertain, the rest waits again."""
    ids = set(claimed.values_list("pk", flat=True))
    if not ids:
        return
    words = journal.read(issue_id, fence, ids) if is_here else None
    if words is None:
        _count(issue_id, "uncertain", _doubt(claimed, JOURNAL_LOST))
        return
    by_word: dict[journal.Word | None, list[int]] = {}
    for delivery_id in ids:
        by_word.setdefault(words.get(delivery_id), []).append(delivery_id)
    taken = claimed.filter(pk__in=by_word.get(journal.Word.TAKEN, []))
    _count(issue_id, "sent", mark_sent(taken))
    begun = claimed.filter(pk__in=by_word.get(journal.Word.BEGUN, []))
    _count(issue_id, "uncertain", _doubt(begun, UNANSWERED))
    claimed.update(state=State.PENDING, fence=0)


def mark_sent(rows: QuerySet[Delivery]) -> int:
    """The server took these."""
    return rows.update(state=State.SENT, attempts=F("attempts") + 1, sent_at=clock.now(), code=250, text="")


def _doubt(rows: QuerySet[Delivery], words: str) -> int:
    return rows.update(state=State.UNCERTAIN, attempts=F("attempts") + 1, text=words)


def _count(issue_id: int, counter: str, number: int) -> None:
    if number:
        Issue.objects.filter(pk=issue_id).update(**{counter: F(counter) + number})


def _believed_until(before: float) -> float:
    """How long a holder believes in itself; counted from before it told others, however long that took."""
    return before + HOLD_SECONDS - MARGIN_SECONDS


def _now() -> float:
    """Seconds that also pass while the computer sleeps, where that can be told."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
