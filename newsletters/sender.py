"""One process's part in the sending of an issue: claims, hands over, writes down, until nothing waits or staff stop it."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Protocol

from django.conf import settings

from newsletters import audience, deliveries, journal, lanes, merge_fields, preparing
from newsletters.content import Frozen
from newsletters.deliveries import Decision, Row, Settled
from newsletters.lanes import Hold
from newsletters.models import Delivery, Issue
from newsletters.smtp import Mail
from newsletters.smtp_pool import Pool
from newsletters.smtp_replies import Fate, Outcome, Reply, ServerTrouble
from newsletters.splicing import Mould
from newsletters.throttle import Throttle
from runs.ledger import LeaseLost

LOOK_SECONDS = 0.5
"""How often the loop looks whether staff paused or cancelled, and writes down what was sent."""
TRY_AGAIN_SECONDS = (30, 120, 300)
"""After a 4xx answer the mail is tried again after these waits; then it has failed."""
FIRST_CLAIM, LARGEST_CLAIM = 100, 1000
WINDOW = 200

State = Delivery.State


class Work(Protocol):
    """What a sender tells about its work, and how it is told to stop."""

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        """Raises LeaseLost or RunCancelled when the work must stop."""


class Stopped(Exception):
    """Staff paused or cancelled the issue."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(str(issue.state))
        self.issue = issue

    def in_words(self) -> str:
        """The result of the run, by the count as it is by now."""
        issue = self.issue
        issue.refresh_from_db(fields=["sent"])
        if issue.state == Issue.State.CANCELLED:
            return f"Cancelled after {issue.sent} of {issue.planned}."
        return paused_words(issue)


class Sender:
    """One hold of one issue: the loop and its memory."""

    def __init__(self, work: Work, issue: Issue, hold: Hold) -> None:
        self._work = work
        self._issue = issue
        self._hold = hold
        self._mould = Mould(
            preparing.envelope_of(issue), Frozen(issue.subject, issue.html, issue.text),
            newsletter_id=issue.newsletter_id,
            list_ids=tuple(audience.lists_of(issue.newsletter).order_by("list_id")),
            kinds=merge_fields.kinds(),
        )  # fmt: skip
        self._pool = Pool(
            self, journal.path(issue.pk, hold.fence),
            connections=settings.SENDING_CONNECTIONS, is_strict=settings.SENDING_MODE == "strict",
        )  # fmt: skip
        self._throttle = Throttle(issue.newsletter)
        self._settled = Settled()
        self._recent: deque[str] = deque(maxlen=WINDOW)
        self._refused: dict[str, list[int]] = {}
        self._blamed: list[int] = []
        self._pattern = ""
        self._claimed_through = 0
        self._claim_size = FIRST_CLAIM
        self._speed = 0.0
        self._is_too_fast = False
        self._is_closed = False
        self._looked_at = 0.0
        self._handed_over = 0

    def send(self, *, until: float = float("inf")) -> None:
        """Claims and sends until nothing can be claimed now, or the monotonic clock says ``until``.

        Raises:
            Stopped: staff paused or cancelled the issue.
            ServerTrouble: nobody can be sent to; nobody is marked as failed by it.
            LeaseLost, RunCancelled: as :class:`Work` does.
        """
        self._pool.open()
        while time.monotonic() < until:
            self._look(force=not self._hold.is_valid)  # asleep for long: is the lane still ours?
            if self._is_in_need() and not self._claim() and not self._throttle.waiting and not self._pool.waiting:
                return
            rows, wait = self._throttle.let_through()
            self._pool.feed(rows)
            if self._pool.waiting:
                self._hand_over(wait)
            elif wait:
                time.sleep(min(wait, LOOK_SECONDS))

    def look(self) -> None:
        """Writes down what was sent and whether staff stopped the issue; as :meth:`send` raises."""
        self._look(force=True)

    def close(self) -> None:
        """Gives back the rest at once, ends after the mails in hand; a lane that is no longer ours is left alone."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._give_back()
            if self._blamed:
                deliveries.reopen(self._issue.pk, State.FAILED, self._blamed)
        except LeaseLost:
            return  # somebody else settled it by the journal
        finally:
            self._pool.close()
            lanes.release(self._hold)

    def _give_back(self) -> None:
        """Mails whose answer is late stay ours until it comes; nobody else need wait for it."""
        self._pool.halt()
        while in_flight := self._pool.wait(LOOK_SECONDS):
            deliveries.flush(self._hold, self._take_settled())
            lanes.give_back(self._hold, in_flight)
            deliveries.leave_out_if_cancelled(self._issue.pk)
        self._pool.close()
        deliveries.flush(self._hold, self._take_settled())

    def abandon(self) -> None:
        """Ends after the mail in hand without a word to the database: the journal says what was sent."""
        self._is_closed = True
        self._pool.close()

    # What the pool asks.

    def mail_of(self, row: Row) -> Mail:
        recipient = f"{row.email.strip().rpartition('@')[0]}@{row.email_norm.rpartition('@')[2]}"
        sender = preparing.envelope_sender(self._issue, row.id)
        return Mail(sender, recipient, self._mould.mail(row, recipient), has_no_dots=True)

    def may_send(self) -> bool:
        return self._hold.is_valid

    def slow_down(self) -> None:
        self._is_too_fast = True

    def note(self, row: Row, outcome: Outcome) -> None:
        """Keeps what became of a mail until it is written down. Raises ServerTrouble."""
        self._handed_over += 1
        reply = outcome.reply
        if outcome.fate is Fate.SENT:
            self._settled.sent.append(row.id)
            self._recent.append("")
        elif outcome.fate is Fate.UNKNOWN:
            self._settled.decisions.append(Decision(row, State.UNCERTAIN, text=lanes.UNANSWERED))
        elif outcome.fate is Fate.LATER and row.attempts < len(TRY_AGAIN_SECONDS):
            wait = TRY_AGAIN_SECONDS[row.attempts]
            self._settled.decisions.append(Decision(row, State.DEFERRED, reply.code, reply.text, wait))
        else:
            self._settled.decisions.append(Decision(row, State.FAILED, reply.code, reply.text))
            self._watch_for_a_pattern(row, reply)
        if reply.asks_to_slow_down:
            self.slow_down()

    def _watch_for_a_pattern(self, row: Row, reply: Reply) -> None:
        """Many refusals that are all the same are not the readers' fault: those marked failed wait again."""
        signature = reply.signature
        if signature == self._pattern:  # it was on its way when the pattern was seen
            self._blamed.append(row.id)
            return
        self._recent.append(signature)
        self._refused.setdefault(signature, []).append(row.id)
        if signature in self._issue.tolerated_codes:
            return
        same = Counter(self._recent)[signature]
        if (same >= 5 and same == len(self._recent)) or (same >= 20 and same * 5 >= len(self._recent)):
            self._blame(signature)
            raise ServerTrouble(f"The mail server gave {same} readers the same refusal ({reply}).", signature)

    def _blame(self, signature: str) -> None:
        """The mail server, for every refusal of this kind."""
        self._pattern = signature
        self._blamed += self._refused.pop(signature, [])

    # The steps of the loop.

    def _is_in_need(self) -> bool:
        is_line_short = self._throttle.is_short and self._pool.waiting <= settings.SENDING_CONNECTIONS
        return is_line_short and self._throttle.waiting < LARGEST_CLAIM

    def _claim(self) -> bool:
        """Takes about as many as are sent in a second: that is all that a power cut can leave in doubt."""
        size = self._throttle.room(self._claim_size)
        if not size:  # the rate allows nothing for a while
            return deliveries.is_any_due(self._issue.pk)
        batch = deliveries.claim(self._hold, size, after=self._claimed_through)
        self._claimed_through = max(self._claimed_through, batch.last_id)
        self._throttle.put(batch.rows)
        return bool(batch.claimed)

    def _hand_over(self, wait: float) -> None:
        """Until it is time to look, to claim, or to let the next through."""
        seconds = min(LOOK_SECONDS, wait) if wait else LOOK_SECONDS
        self._pool.run(seconds, low_water=settings.SENDING_CONNECTIONS if self._throttle.is_short else 0)

    def _look(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._looked_at < LOOK_SECONDS:
            return
        if self._looked_at and self._handed_over and (passed := now - self._looked_at) > 0:
            self._speed = self._handed_over / passed
            self._claim_size = max(FIRST_CLAIM, min(LARGEST_CLAIM, int(self._speed)))
        self._looked_at, self._handed_over = now, 0
        deliveries.flush(self._hold, self._take_settled())
        issue = Issue.objects.select_related("newsletter").defer("html", "text", "body").get(pk=self._issue.pk)
        if self._is_too_fast and self._speed:
            self._throttle.slow_down(self._speed)
            self._is_too_fast = False
        self._throttle.look(issue.newsletter)
        if shed := self._throttle.shed():
            deliveries.unclaim(self._hold, shed)
        self._work.progress(issue.planned - issue.waiting, issue.planned, "mails")
        if issue.state == Issue.State.PAUSED and not issue.paused_by_name:
            # Another process of this sending met trouble.
            self._blame(issue.pause_code)
            raise ServerTrouble(issue.pause_reason, issue.pause_code)
        if issue.state in (Issue.State.PAUSED, Issue.State.CANCELLED):
            raise Stopped(issue)

    def _take_settled(self) -> Settled:
        settled, self._settled = self._settled, Settled()
        return settled


def begin(work: Work, issue: Issue, hold: Hold) -> Sender:
    """A sender with this hold, which is given back when the issue cannot be made ready."""
    try:
        return Sender(work, issue, hold)
    except BaseException:
        lanes.release(hold)
        raise


def paused_words(issue: Issue) -> str:
    """What the run says when staff paused the issue."""
    return f"Paused by {issue.paused_by_name or 'Almanac'} after {issue.sent} of {issue.planned}; resume it on the issue's page."
