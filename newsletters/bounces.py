"""What comes back after a sending is recorded once, and acted on: hard ones and complaints end in the suppression list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery

from newsletters import audience, bounce_reading, suppressions
from newsletters.bounce_classes import Kind, classify
from newsletters.bounce_reading import Failure
from newsletters.models import Delivery, Issue, ReaderEvent, Subscriber, Suppression
from runs import clock

SOFT_IN_A_ROW = 5
SOFT_FOR = timedelta(days=14)
"""A mailbox that was full or unreachable this often, over at least this time, is given up."""
RECOVERED_AFTER = timedelta(days=6)
"""Servers try for five days: a mail that has not come back by then has arrived."""

Event = ReaderEvent.Kind
_EVENTS = {
    Kind.HARD: Event.HARD_BOUNCE,
    Kind.SOFT: Event.SOFT_BOUNCE,
    Kind.POLICY: Event.POLICY_BOUNCE,
    Kind.COMPLAINT: Event.COMPLAINT,
}
_BOUNCES = (Event.HARD_BOUNCE, Event.SOFT_BOUNCE, Event.POLICY_BOUNCE)
_CHUNK = 500


@dataclass(frozen=True)
class Outcome:
    """What became of one mail or webhook event."""

    words: str
    is_ours: bool
    """It names a delivery of ours, so nobody else needs to look at it."""
    kind: Kind = Kind.NOTHING
    is_new: bool = False


def process(raw: bytes, envelope_to: str = "") -> Outcome:
    """Reads one mail that came back and does what it asks for. The same mail again changes nothing."""
    if not raw.strip():
        return Outcome("It is empty.", is_ours=False)
    report = bounce_reading.read(raw, envelope_to)
    if report.delivery_id is None:
        forged = "It names a delivery by a mark that is not ours, so nothing was changed."
        return Outcome(forged if report.is_forged else "It names no delivery of ours.", is_ours=False)
    delivery = Delivery.objects.filter(pk=report.delivery_id).first()
    if delivery is None:
        return Outcome("The delivery that it names is no longer on record.", is_ours=True)
    failure = report.about(delivery.email_norm)
    if failure.kind is Kind.NOTHING:
        return Outcome(report.why or "It reports no failure.", is_ours=True)
    return record(delivery, failure)


def record(delivery: Delivery, failure: Failure) -> Outcome:
    """Records what became of a delivery, once per kind, and acts on it."""
    with transaction.atomic():
        event, is_new = ReaderEvent.objects.get_or_create(
            delivery=delivery, kind=_EVENTS[failure.kind],
            defaults=_facts(delivery, failure),
        )  # fmt: skip
        if not is_new:
            return Outcome("Known already.", True, failure.kind)
        if failure.kind is Kind.COMPLAINT:
            Issue.objects.filter(pk=delivery.issue_id).update(complained=F("complained") + 1)
            _suppress(delivery, Suppression.Reason.COMPLAINT, "Marked as spam")
        else:
            _count_bounce(delivery, event)
            _settle_uncertain(delivery)
        if failure.kind is Kind.HARD:
            _suppress(delivery, Suppression.Reason.HARD_BOUNCE, f"{failure.status} {failure.text}".strip())
        elif failure.kind is Kind.SOFT:
            _count_soft(delivery)
    return Outcome(event.get_kind_display(), True, failure.kind, is_new=True)


def note_refusals(issue_id: int) -> None:
    """Keeps what servers refused while the issue was sent; part of ending it, and doing it twice changes nothing.

    One such refusal alone suppresses nobody: it may be our own server's mistake, and staff can try again. A second
    one, in another issue, does.
    """
    known = ReaderEvent.objects.filter(delivery=OuterRef("pk"), kind__in=_BOUNCES)
    failed = Delivery.objects.filter(issue_id=issue_id, state=Delivery.State.FAILED).exclude(Exists(known))
    last = 0
    while rows := list(failed.filter(pk__gt=last).order_by("pk")[:_CHUNK]):
        last = rows[-1].pk
        with transaction.atomic():
            _note(rows)


def _note(rows: list[Delivery]) -> None:
    judged = [(row, Failure(*classify("", f"{row.code or ''} {row.text}"), row.text)) for row in rows]
    ReaderEvent.objects.bulk_create(
        [
            ReaderEvent(delivery=row, kind=_EVENTS[failure.kind], **_facts(row, failure))
            for row, failure in judged
            if row.code is not None
        ],
        ignore_conflicts=True,
    )
    hard = {row.subscriber_id: row for row, failure in judged if failure.kind is Kind.HARD and row.subscriber_id}
    before = ReaderEvent.objects.filter(subscriber__in=list(hard), kind=Event.HARD_BOUNCE)
    again = before.exclude(delivery__in=[row.pk for row in rows]).values_list("subscriber_id", flat=True)
    for subscriber_id in set(again):
        _suppress(hard[subscriber_id], Suppression.Reason.HARD_BOUNCE, hard[subscriber_id].text)
    for row, failure in judged:
        if failure.kind is Kind.SOFT and row.code is not None:
            _count_soft(row)


def forget_recovered() -> int:
    """Sets the count of temporary refusals back for readers to whom a mail has gone through since; returns how many."""
    last = ReaderEvent.objects.filter(subscriber=OuterRef("pk"), kind=Event.SOFT_BOUNCE, delivery__isnull=False)
    counted = Subscriber.objects.filter(soft_bounces__gt=0).annotate(
        last_soft=Subquery(last.order_by("-delivery_id").values("delivery_id")[:1])
    )
    arrived = _arrived(subscriber=OuterRef("pk"), pk__gt=OuterRef("last_soft")).filter(
        sent_at__lt=clock.now() - RECOVERED_AFTER
    )
    recovered = list(counted.filter(Exists(arrived)).order_by("pk").values_list("pk", flat=True)[:_CHUNK])
    return Subscriber.objects.filter(pk__in=recovered).update(soft_bounces=0)


def _facts(delivery: Delivery, failure: Failure) -> dict[str, Any]:
    return {
        "subscriber_id": delivery.subscriber_id,
        "issue_id": delivery.issue_id,
        "status": failure.status[:20],
        "text": failure.text.replace("\0", "")[:300],
        "at": clock.now(),
    }


def _count_bounce(delivery: Delivery, event: ReaderEvent) -> None:
    """A delivery counts once, whatever its server says later."""
    others = ReaderEvent.objects.filter(delivery=delivery, kind__in=_BOUNCES).exclude(pk=event.pk)
    if delivery.state != Delivery.State.FAILED and not others.exists():
        Issue.objects.filter(pk=delivery.issue_id).update(bounced=F("bounced") + 1)


def _settle_uncertain(delivery: Delivery) -> None:
    """What comes back was sent: nobody has to decide about it any more."""
    uncertain = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.UNCERTAIN)
    if uncertain.update(state=Delivery.State.SENT, sent_at=clock.now(), text="It came back, so it was sent."):
        Issue.objects.filter(pk=delivery.issue_id).update(sent=F("sent") + 1, uncertain=F("uncertain") - 1)
        Issue.objects.filter(
            pk=delivery.issue_id, state=Issue.State.SENT_WITH_PROBLEMS, uncertain=0, failed=0
        ).update(state=Issue.State.SENT)  # fmt: skip


def _count_soft(delivery: Delivery) -> None:
    """One more in a row, or the first again where a mail has gone through in between."""
    subscriber = Subscriber.objects.select_for_update().filter(pk=delivery.subscriber_id or 0).first()
    if subscriber is None:
        return
    softs = ReaderEvent.objects.filter(subscriber=subscriber, kind=Event.SOFT_BOUNCE)
    former = (
        softs.filter(delivery__lt=delivery.pk).order_by("-delivery_id").values_list("delivery_id", flat=True).first()
    )
    has_recovered = former is None or (_arrived(subscriber=subscriber, pk__gt=former, pk__lt=delivery.pk).exists())
    count = 1 if has_recovered else min(subscriber.soft_bounces + 1, 32_000)
    Subscriber.objects.filter(pk=subscriber.pk).update(soft_bounces=count)
    if count < SOFT_IN_A_ROW:
        return
    first = softs.order_by("-id").values_list("at", flat=True)[count - 1 : count].first()
    if first is not None and first <= clock.now() - SOFT_FOR:
        _suppress(delivery, Suppression.Reason.HARD_BOUNCE, f"{count} mails in a row came back since {first:%-d %B %Y}")


def _arrived(**which: Any) -> QuerySet[Delivery]:
    """Deliveries that were sent and did not come back."""
    came_back = ReaderEvent.objects.filter(delivery=OuterRef("pk"), kind__in=_BOUNCES)
    return Delivery.objects.filter(**which, state=Delivery.State.SENT).exclude(Exists(came_back))


def _suppress(delivery: Delivery, reason: str, note: str) -> None:
    """The address the mail went to, not the one the reader may have now; an erased one is suppressed already."""
    norm, note = delivery.email_norm, note.replace("\0", "")[:200]
    if "@" not in norm or audience.suppressed_among([norm]):
        return
    suppressions.note(None, norm, reason, note)
