"""Erases a person: their row, and their address and name wherever else they were written down.

What stays is a keyed hash of the address, so that no import and no form of staff writes to them again, and the
counts of the issues that they got.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import CharField, F, Q, Value
from django.db.models.functions import Cast, Concat

from newsletters import addresses, import_traces
from newsletters.models import Delivery, FeedbackMessage, ImportProblem, Issue, ReaderEvent, Subscriber, Suppression
from runs import audit, forgetting
from runs.audit import Actor
from runs.locking import locked
from runs.models import AuditEntry, Run
from runs.states import OPEN
from runs.tasks import RunContext
from schedules import events

ERASE = "newsletters.delete_subscriber"
ERASED = "(erased)"
KIND = "reader_erasure"
_ISSUES_AT_ONCE = 500


def erase(actor: Actor, subscriber_id: int, typed_address: str) -> None:
    """Erases a person for good; the address is typed once more, because nothing brings them back.

    Raises:
        ValidationError: another address was typed.
    """
    subscriber = Subscriber.objects.get(pk=subscriber_id)
    audit.require(actor, ERASE, "erase this person", subscriber)
    try:
        is_same = addresses.normalise(typed_address) == subscriber.email_norm
    except addresses.BadAddress:
        is_same = False
    if not is_same:
        raise ValidationError({"address": f"This is not their address. Type {subscriber.email} to erase them."})
    remove(actor, subscriber)


def plan(subscriber: Subscriber) -> None:
    """Has a worker erase a reader who asked for it, because files and logs of any length must be read for that.

    From now on nothing is sent to them. Call it inside a transaction, with their row locked.
    """
    _remember_hash(subscriber.email_norm)
    if not Run.objects.filter(kind=KIND, target_id=subscriber.pk, state__in=OPEN).exists():
        events.start(KIND, subscriber)


def perform(run: RunContext) -> str:
    """Erases the reader; what names them in the run itself goes with it."""
    subscriber = Subscriber.objects.filter(pk=run.target_id or 0).first()
    if subscriber is None:
        return "Nothing to do: erased already."
    remove(None, subscriber)
    return "Erased."


def remove(actor: Actor, subscriber: Subscriber) -> None:
    """Erases a person who asked for it, or for whom staff did; whoever calls has made sure of that."""
    files = import_traces.holding(_words(subscriber))  # long files are read before anything is locked
    with transaction.atomic():
        if locked(Subscriber.objects.filter(pk=subscriber.pk)).first() is None:
            return  # somebody else was faster
        words = _words(subscriber)
        import_traces.delete(files)
        _remember_hash(subscriber.email_norm)
        _blank_deliveries(subscriber, words)
        _blank_rest(words)
        forgetting.forget(subscriber, words)
        number = subscriber.pk
        subscriber.delete()
        _record(actor, number)


def _words(subscriber: Subscriber) -> list[str]:
    """Every address of theirs that we know, former ones included, and the ways in which rows were called by them."""
    known = {subscriber.email, subscriber.email_norm}
    known |= set(subscriber.deliveries.values_list("email", flat=True).distinct())
    theirs = AuditEntry.objects.filter(object_type="newsletters.subscriber", object_id=str(subscriber.pk))
    for before, after in theirs.values_list("before", "after"):
        known |= {values["email"] for values in (before, after) if isinstance(values.get("email"), str)}
    with_name = [f"{subscriber.name} <{address}>" for address in known] if subscriber.name else []
    return [*with_name, *(word for word in sorted(known) if word)]


def _remember_hash(norm: str) -> None:
    hashes = addresses.address_hashes(norm)
    Suppression.objects.filter(Q(address_hash__in=hashes) | Q(email_norm=norm)).update(
        email_norm="", note="", reason=Suppression.Reason.ERASED
    )
    Suppression.objects.get_or_create(address_hash=hashes[0], defaults={"reason": Suppression.Reason.ERASED})


def _blank_deliveries(subscriber: Subscriber, words: list[str]) -> None:
    """Those of their row, and those by address whose row was another or is gone: one look into the index per issue."""
    norms = {norm for word in words if (norm := _norm(word))}
    blank: dict[str, Any] = {
        "email": ERASED, "name": "", "merge": {}, "text": "", "subscriber": None,
        # Unique within an issue, as the address was.
        "email_norm": Concat(Value("erased-"), Cast(F("pk"), CharField())),
    }  # fmt: skip
    ReaderEvent.objects.filter(Q(subscriber=subscriber) | Q(delivery__subscriber=subscriber)).update(text="")
    subscriber.deliveries.update(**blank)
    for issue_ids in _issues():
        by_address = Delivery.objects.filter(issue_id__in=issue_ids, email_norm__in=norms)
        ReaderEvent.objects.filter(delivery__in=by_address).update(text="")
        by_address.update(**blank)


def _issues() -> Iterator[list[int]]:
    last = 0
    while ids := list(Issue.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:_ISSUES_AT_ONCE]):
        last = ids[-1]
        yield ids


def _blank_rest(words: list[str]) -> None:
    for word in forgetting.forms(words):
        FeedbackMessage.objects.filter(email__iexact=word).update(email="", name="")
        for message in FeedbackMessage.objects.filter(text__icontains=word):
            FeedbackMessage.objects.filter(pk=message.pk).update(text=forgetting.without(message.text, words))
        mentioned = ImportProblem.objects.filter(Q(value__icontains=word) | Q(message__icontains=word))
        theirs = [row.pk for row in mentioned if _names(row, words)]
        ImportProblem.objects.filter(pk__in=theirs).update(
            value="", message="This row is of somebody who was erased since."
        )


def _names(row: ImportProblem, words: list[str]) -> bool:
    """Whether it is about them, and not about somebody whose longer address holds theirs."""
    text = f"{row.value} {row.message}"
    return forgetting.without(text, words) != text


def _record(actor: Actor, number: int) -> None:
    entry = audit.record(actor, "erased a person", None)
    AuditEntry.objects.filter(pk=entry.pk).update(
        object_type="newsletters.subscriber", object_id=str(number), object_label=forgetting.GONE
    )


def _norm(word: str) -> str:
    try:
        return addresses.normalise(word)
    except addresses.BadAddress:
        return ""
