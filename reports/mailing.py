"""Mails a report in rounds: each round takes every mail that is due, and plans the next one for those that must wait.

A round is a run of the ledger, planned in the transaction that makes it necessary: a lost message, a worker that dies or
a broker that is away is a delay. Each mail is taken by an UPDATE that only one worker can make.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from django.core.mail import get_connection
from django.db import DatabaseError
from django.db.models import F, QuerySet

from reports import links, posting, recipients, report_mail, share_links, telling
from reports.models import ReportDelivery, ReportRun
from reports.posting import Answer, Fate
from runs import clock, words
from runs.models import Run
from runs.states import OPEN
from runs.states import State as RunState
from runs.tasks import RunContext
from schedules import events

logger = logging.getLogger(__name__)

KIND = "report_mails"
BACK_OFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(minutes=30))
"""The wait after each attempt that was in vain."""
MOST_ATTEMPTS = len(BACK_OFF) + 1
HELD = timedelta(minutes=15)
"""A worker that takes a mail in hand and is not heard of again is given so long; then another one takes it."""
FORGOTTEN = timedelta(minutes=30)
"""What has been due for so long, no round will take any more: it gets one of its own."""

State = ReportDelivery.State


def begin(report_run: ReportRun) -> None:
    """Plans the first round; called in the transaction that plans its mails."""
    _plan_round(report_run, "first", None)


def perform(run: RunContext) -> str:
    """One round for the report run ``run.target_id``; returns how it went, in words."""
    sweep()
    report_run = ReportRun.objects.select_related("definition").filter(pk=run.target_id or 0).first()
    if report_run is None:
        return "Nothing to do: the report was removed."
    _Round(run, report_run).send()
    go_on(report_run)
    if lines := trouble(report_run):
        telling.tell_of_trouble(report_run, lines)
    return _result(report_run)


def go_on(report_run: ReportRun) -> None:
    """Plans the round for what still waits, at the time when the first of it is due."""
    following = _waiting(report_run).order_by("next_at").first()
    if following is not None:
        now = clock.now()
        at = max(following.next_at or now, now)
        _plan_round(report_run, f"{int(at.timestamp())}-{following.attempts}", at)


def leave_out_waiting(report_run: ReportRun, why: str) -> None:
    """Ends every mail that still waits."""
    _waiting(report_run).update(state=State.LEFT_OUT, why=why[:300], next_at=None)


def sweep() -> int:
    """Gives mails that every round forgot one of their own; returns for how many reports."""
    long_due = ReportDelivery.objects.filter(state=State.WAITING, next_at__lt=clock.now() - FORGOTTEN)
    forgotten = set(long_due.order_by("next_at").values_list("report_run_id", flat=True)[:500])
    rounds = Run.objects.filter(kind=KIND, target_id__in=forgotten)
    under_way = set(rounds.filter(state__in=OPEN).values_list("target_id", flat=True))
    for report_run in ReportRun.objects.filter(pk__in=forgotten - under_way):
        latest = rounds.filter(target_id=report_run.pk).order_by("-id").values_list("state", flat=True).first()
        if latest == RunState.CANCELLED:
            leave_out_waiting(report_run, "Staff cancelled the mailing.")
        else:
            go_on(report_run)
    return len(forgotten - under_way)


def look_after(now: datetime) -> None:
    """Called with every check of the watchdog: one probe of an index while nothing is forgotten."""
    sweep()


def trouble(report_run: ReportRun) -> list[str]:
    """One line for everybody whom the report did not reach, and would have."""
    missed = _mails(report_run).filter(attempts__gt=0).exclude(state=State.SENT) | _mails(report_run).filter(
        state=State.LEFT_OUT
    )
    missed = missed.exclude(why__in=("", recipients.UNSUBSCRIBED)).select_related("user").order_by("pk")
    return [f"{one.address or one.user}: {one.why}" for one in missed[: 20 * telling.MAX_LINES]]


def _plan_round(report_run: ReportRun, name: str, at: datetime | None) -> None:
    key = f"{KIND}-{report_run.pk}-{name}"
    events.start(KIND, report_run, idempotency_key=key, not_before_at=at, max_attempts=3)


def _mails(report_run: ReportRun) -> QuerySet[ReportDelivery]:
    return ReportDelivery.objects.filter(report_run=report_run, channel=ReportDelivery.Channel.MAIL)


def _waiting(report_run: ReportRun) -> QuerySet[ReportDelivery]:
    return _mails(report_run).filter(state=State.WAITING)


def _result(report_run: ReportRun) -> str:
    states = list(_mails(report_run).values_list("state", flat=True))
    parts = [f"Mailed to {words.counted(states.count(State.SENT), 'recipient')}."]
    for state, said in ((State.WAITING, "tried again"), (State.FAILED, "failed"), (State.LEFT_OUT, "left out")):
        if number := states.count(state):
            parts.append(f"{number:,} {said}.")
    return " ".join(parts)


class _Round:
    """The mails of one report that are due now, by one connection, one after another."""

    def __init__(self, run: RunContext, report_run: ReportRun) -> None:
        self._run = run
        self._report_run = report_run
        self._connection = get_connection()
        self._parcel: report_mail.Parcel | None = None
        self._outage: Answer | None = None

    def send(self) -> None:
        """Each mail is sent, put off, or ended with its reason; one that fails stops no other."""
        due = list(_waiting(self._report_run).filter(next_at__lte=clock.now()).order_by("pk"))
        try:
            for number, delivery in enumerate(due):
                self._run.progress(number, len(due), "mails")
                if _take(delivery):
                    self._one(delivery)
            self._run.progress(len(due), len(due), "mails")
        finally:
            self._connection.close()

    def _one(self, delivery: ReportDelivery) -> None:
        if delivery.attempts > MOST_ATTEMPTS:  # its worker died each time before it could say so
            _settle(delivery, state=State.FAILED, why=f"The worker stopped in the middle {MOST_ATTEMPTS} times.")
            return
        if why_not := recipients.why_not(delivery):
            _settle(delivery, state=State.LEFT_OUT, why=why_not)
            return
        if self._outage is not None:  # the server would not answer this one either
            _put_off(delivery, self._outage)
            return
        if self._parcel is None:
            self._parcel = report_mail.pack(self._report_run)
        if self._parcel.why_not:
            _settle(delivery, state=State.FAILED, why=self._parcel.why_not)
            return
        try:
            answer = self._hand_over(delivery, self._parcel)
        except (DatabaseError, SoftTimeLimitExceeded):
            raise
        except Exception as error:  # whatever is wrong with this one, the others get theirs
            logger.exception("the mail of report delivery %s cannot be written", delivery.pk)
            answer = Answer(Fate.LATER, f"Something unexpected went wrong ({type(error).__name__}: {error}).")
        if answer.fate is Fate.SENT:
            _settle(delivery, state=State.SENT, sent_at=clock.now())
        elif answer.fate is Fate.NEVER:
            _settle(delivery, state=State.FAILED, why=answer.why)
        else:
            _put_off(delivery, answer)
        if answer.is_server:
            self._outage = answer

    def _hand_over(self, delivery: ReportDelivery, parcel: report_mail.Parcel) -> Answer:
        link = None
        url = links.absolute(links.page_of(self._report_run))
        if delivery.user_id is None and not parcel.attached:
            link, token = share_links.make(delivery, parcel.expires_at)
            url = links.public("link", token)
        answer = posting.hand_over(self._connection, report_mail.compose(delivery, parcel, url, self._connection))
        if link is not None and answer.fate is not Fate.SENT and not answer.may_have_arrived:
            link.delete()  # nobody has it; the next attempt makes another
        return answer


def _take(delivery: ReportDelivery) -> bool:
    """Takes one mail in hand: only one of many workers changes the row, and knows by that that it is theirs."""
    now = clock.now()
    mine = ReportDelivery.objects.filter(
        pk=delivery.pk, state=State.WAITING, attempts=delivery.attempts, next_at__lte=now
    )
    if not mine.update(attempts=F("attempts") + 1, next_at=now + HELD):
        return False
    delivery.attempts += 1
    return True


def _put_off(delivery: ReportDelivery, answer: Answer) -> None:
    if delivery.attempts >= MOST_ATTEMPTS:
        _settle(delivery, state=State.FAILED, why=f"{answer.why} Tried {delivery.attempts} times.")
        return
    again = clock.now() + BACK_OFF[delivery.attempts - 1]
    _settle(delivery, state=State.WAITING, why=answer.why, next_at=again)


def _settle(delivery: ReportDelivery, **values: Any) -> None:
    """Writes what became of the mail, as long as it is still in our hands."""
    values = {"why": "", "next_at": None, **values}
    values["why"] = values["why"][:300]
    ReportDelivery.objects.filter(pk=delivery.pk, state=State.WAITING, attempts=delivery.attempts).update(**values)
