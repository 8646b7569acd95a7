"""Who may not be erased by a cleanup because something is held that erasing them would change: their rows, and whatever names them.

Given held rows of one table, each function says which subscribers stay. newsletters/erasing.py says what is changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Lower

from newsletters import known_addresses
from newsletters.known_addresses import ABOUT
from newsletters.models import Delivery, ImportProblem, Issue
from runs import forgetting
from runs.models import AuditEntry, RunEvent

MOST = 2000
"""So many held rows with an address in them are read; more, and nobody is erased while they are held."""
_EVERYBODY = Q(pk__isnull=False)
_NOBODY = Q(pk__in=())
# As narrow as forgetting.py finds an address within a text, and as wide as an address may be.
_ADDRESSES = (
    re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)*"),
    re.compile(r"[\w.+%'!#$&*/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)*"),
)


def of_subscriptions(held: QuerySet[Any]) -> Q:
    """Those whose sign-ups are held."""
    return Q(Exists(held.filter(subscriber=OuterRef("pk"))))


def of_deliveries(held: QuerySet[Any]) -> Q:
    """Those to whom they went, by their row or by their address."""
    return Q(Exists(held.filter(subscriber=OuterRef("pk")))) | Q(Exists(_to_them(held)))


def of_events(held: QuerySet[Any]) -> Q:
    """Those from whom they came, or to whom the letter went that they answer."""
    answered = _to_them(Delivery.objects.all()).filter(Exists(held.filter(delivery=OuterRef("pk"))))
    return (
        Q(Exists(held.filter(subscriber=OuterRef("pk"))))
        | Q(Exists(held.filter(delivery__subscriber=OuterRef("pk"))))
        | Q(Exists(answered))
    )


def of_feedback(held: QuerySet[Any]) -> Q:
    """Those who wrote it, and whom it names."""
    return Q(Exists(held.filter(email__iexact=OuterRef("email")))) | _named_in([(held, ("email", "text"))])


def of_imports(held: QuerySet[Any]) -> Q:
    """Those whom their problems name; everybody while their files are there, which may hold anybody."""
    if held.exclude(file="").exists():
        return _EVERYBODY
    return _named_in([(ImportProblem.objects.filter(job__in=held.order_by().values("pk")), ("value", "message"))])


def of_runs(held: QuerySet[Any]) -> Q:
    """Those whom they, or their logs, name."""
    lines = RunEvent.objects.filter(run__in=held.order_by().values("pk"))
    return _named_in([(rows, forgetting.names_of(rows.model)) for rows in (held, lines)])


def of_notes(held: QuerySet[Any]) -> Q:
    """Those whom the entries of a log, alerts or notices name, or are about."""
    named = _named_in([(held, forgetting.names_of(held.model))])
    if held.model is AuditEntry:
        named |= Q(Exists(held.filter(object_type=ABOUT, object_id=Cast(OuterRef("pk"), CharField()))))
    return named


def _to_them(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The deliveries that carry their address; one look into the index for each issue."""
    return rows.filter(email_norm=OuterRef("email_norm"), issue__in=Issue.objects.order_by().values("pk"))


def _named_in(tables: Iterable[tuple[QuerySet[Any], Sequence[str]]]) -> Q:
    """Those whose address, present or former, stands in the texts of the rows."""
    found: set[str] = set()
    left = MOST
    for rows, names in tables:
        texts = forgetting.texts_with_addresses(rows, names, left)
        if texts is None:
            return _EVERYBODY
        left -= len(texts)
        found |= {address for text in texts for pattern in _ADDRESSES for address in pattern.findall(text)}
    return _known_as(found) if found else _NOBODY


def _known_as(written: Collection[str]) -> Q:
    norms = {norm for address in written if (norm := known_addresses.normal(address))}
    spelled = sorted({*(address.lower() for address in written), *norms})
    sent = Delivery.objects.filter(subscriber=OuterRef("pk"), email_norm__in=sorted(norms))
    entries = AuditEntry.objects.filter(object_type=ABOUT, object_id=Cast(OuterRef("pk"), CharField()))
    changed = entries.annotate(was=Lower(KT("before__email")), became=Lower(KT("after__email"))).filter(
        Q(was__in=spelled) | Q(became__in=spelled)
    )
    return Q(email_norm__in=sorted(norms)) | Q(Exists(sent)) | Q(Exists(changed))
