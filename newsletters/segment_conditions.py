"""Turns one rule of a segment into SQL that is true or false for each subscriber, never NULL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from newsletters import addresses, attribute_tests, fields
from newsletters.models import Delivery, Issue, ReaderEvent, SubscriberField, Subscription
from newsletters.remembered_issues import NEVER_SENT
from newsletters.segment_leaves import Known, Leaf, attribute_key, day, days_ago, midnight

Kind = SubscriberField.Kind
FIRST_DAY, LAST_DAY = "0001-01-01", "9999-12-31"


def condition(leaf: Leaf, known: Known, now: datetime) -> Q:
    """The rule as a filter of subscribers; call it for rules that have no problem."""
    key = attribute_key(leaf["about"])
    if key is not None:
        return _ATTRIBUTES[known.fields[key].kind](key, leaf["op"], leaf.get("value"), now)
    return _OTHERS[leaf["about"]](leaf, now)


def _text(key: str, op: str, value: Any, now: datetime) -> Q:
    if op in ("filled", "empty"):
        return _filled(key, op)
    word = fields.clean_text(value)
    tests = {"is": attribute_tests.is_one_of(key, [word]), "contains": attribute_tests.contains(key, word)}
    if op == "begins":
        return Q(attribute_tests.begins(key, word))
    is_not = {"is_not": "is", "contains_not": "contains"}.get(op)
    return ~Q(tests[is_not]) if is_not else Q(tests[op])


def _number(key: str, op: str, value: Any, now: datetime) -> Q:
    if op in ("filled", "empty"):
        return _filled(key, op)
    if op == "is_not":
        return ~Q(attribute_tests.compares(key, "=", value))
    return Q(attribute_tests.compares(key, {"is": "=", "less": "<", "more": ">"}[op], value))


def _date(key: str, op: str, value: Any, now: datetime) -> Q:
    if op in ("filled", "empty"):
        return _filled(key, op)
    first, last = FIRST_DAY, LAST_DAY
    today = _today(now)
    if op == "on":
        first = last = value
    elif op == "before":
        last = str(day(value) - timedelta(days=1))
    elif op == "after":
        first = str(day(value) + timedelta(days=1))
    elif op == "last":
        first, last = str(today - timedelta(days=value)), str(today)
    else:
        first, last = str(today), str(today + timedelta(days=value))
    return Q(attribute_tests.is_between(key, first, last))


def _yes_no(key: str, op: str, value: Any, now: datetime) -> Q:
    return _filled(key, op) if op in ("filled", "empty") else Q(attribute_tests.says(key, op == "yes"))


def _choice(key: str, op: str, value: Any, now: datetime) -> Q:
    if op in ("filled", "empty"):
        return _filled(key, op)
    found = Q(attribute_tests.is_one_of(key, value))
    return found if op == "in" else ~found


def _filled(key: str, op: str) -> Q:
    found = Q(attribute_tests.is_filled(key))
    return found if op == "filled" else ~found


def _list(leaf: Leaf, now: datetime) -> Q:
    rows = Subscription.objects.filter(
        subscriber=OuterRef("pk"), list_id=leaf["which"], state=Subscription.State.CONFIRMED
    )
    op: str = leaf["op"]
    value: Any = leaf.get("value")
    if op == "before":
        since = midnight(day(value))
        rows = rows.filter(Q(confirmed_at__lt=since) | Q(confirmed_at=None, created_at__lt=since))
    elif op in ("after", "last"):
        since = midnight(day(value) + timedelta(days=1)) if op == "after" else days_ago(now, value)
        rows = rows.filter(Q(confirmed_at__gte=since) | Q(confirmed_at=None, created_at__gte=since))
    return ~Q(Exists(rows)) if op == "not_on" else Q(Exists(rows))


def _subscribed(leaf: Leaf, now: datetime) -> Q:
    op, value = leaf["op"], leaf["value"]
    if op == "before":
        return Q(created_at__lt=midnight(day(value)))
    if op == "after":
        return Q(created_at__gte=midnight(day(value) + timedelta(days=1)))
    since = days_ago(now, value)
    return Q(created_at__gte=since) if op == "last" else Q(created_at__lt=since)


def _language(leaf: Leaf, now: datetime) -> Q:
    if leaf["op"] == "empty":
        return Q(language="")
    code = leaf["value"].strip().lower()
    found = Q(language__iexact=code) | Q(language__istartswith=f"{code}-")  # de is the German of Austria, too
    return found if leaf["op"] == "is" else ~found


def _domain(leaf: Leaf, now: datetime) -> Q:
    domain = addresses.normalise(f"x@{leaf['value'].strip()}").partition("@")[2]
    found = Q(email_norm__endswith=f"@{domain}")
    return found if leaf["op"] == "is" else ~found


def _issue(leaf: Leaf, now: datetime) -> Q:
    found = _received([leaf["which"]])
    return found if leaf["op"] == "received" else ~found


def _newsletter(leaf: Leaf, now: datetime) -> Q:
    sent = Issue.objects.filter(newsletter_id=leaf["which"]).exclude(state__in=NEVER_SENT)
    found = _received(list(sent.order_by("-scheduled_for", "-pk").values_list("pk", flat=True)[: leaf["value"]]))
    return found if leaf["op"] == "received" else ~found


def _received(issue_ids: list[int]) -> Q:
    sent = Delivery.objects.filter(issue_id__in=issue_ids, state=Delivery.State.SENT)
    if connection.vendor == "postgresql":  # joins the two tables once; an IN that did not fit its memory would crawl
        return Q(Exists(sent.filter(subscriber=OuterRef("pk"))))
    # SQLite would look up each subscriber's deliveries one by one, but it builds this list once.
    return Q(pk__in=sent.filter(subscriber__isnull=False).values("subscriber_id"))


def _bounced(leaf: Leaf, now: datetime) -> Q:
    kinds = (ReaderEvent.Kind.HARD_BOUNCE, ReaderEvent.Kind.SOFT_BOUNCE)
    found = Q(Exists(ReaderEvent.objects.filter(subscriber=OuterRef("pk"), kind__in=kinds)))
    return found if leaf["op"] == "ever" else ~found


def _today(now: datetime) -> date:
    return now.astimezone(midnight(now.date()).tzinfo).date()


_ATTRIBUTES: dict[str, Callable[[str, str, Any, datetime], Q]] = {
    Kind.TEXT: _text, Kind.NUMBER: _number, Kind.DATE: _date, Kind.YES_NO: _yes_no, Kind.CHOICE: _choice,
}  # fmt: skip
_OTHERS: dict[str, Callable[[Leaf, datetime], Q]] = {
    "list": _list, "subscribed": _subscribed, "language": _language, "domain": _domain, "issue": _issue,
    "newsletter": _newsletter, "bounced": _bounced,
}  # fmt: skip
