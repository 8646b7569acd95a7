"""How many subscribers a rule finds, and some of them: exactly where that is quick, about where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Min, Q, QuerySet

from newsletters import segments
from newsletters.models import Segment, Subscriber
from runs import clock, words
from runs.bounded_queries import TookTooLong, within

SECONDS = 1.5
"""How long an exact count may take while somebody looks on."""
SAMPLES = 10
STRETCHES = 40
STRETCH = 250
"""Where it takes longer, so many stretches of so many neighbouring numbers are looked through."""


@dataclass(frozen=True)
class Counted:
    """How many the rule finds, and ten of them."""

    number: int | None
    """None when even a part took too long."""
    is_about: bool
    """Whether it was worked out from a part of the subscribers."""
    readers: list[Subscriber]


def count(rule: Any, *, seconds: float = SECONDS) -> Counted:
    """Counts within a bounded time.

    Raises:
        segments.BadRule: the rule is not complete.
    """
    condition = segments.condition(rule)
    found = Subscriber.objects.filter(condition)
    try:
        with within(seconds):
            return Counted(found.count(), False, list(_newest(found)))
    except TookTooLong:
        return _estimate(condition, seconds)


def refresh(segment: Segment) -> Counted:
    """Counts a stored segment and keeps the number with its time. Raises segments.BadRule."""
    counted = count(segment.rule)
    if counted.number is None:
        return counted
    now = clock.now()
    # Not save(): a count is no change that somebody made.
    Segment.objects.filter(pk=segment.pk, rule=segment.rule).update(count=counted.number, counted_at=now)
    segment.count, segment.counted_at = counted.number, now
    return counted


def in_words(counted: Counted) -> str:
    """ "1,234 subscribers", "about 200,000 subscribers"."""
    if counted.number is None:
        return "Too many to count while you wait"
    if not counted.is_about:
        return words.counted(counted.number, "subscriber")
    size = 10 ** max(0, len(str(counted.number)) - 2)  # two figures are all that a sample tells
    return f"about {words.counted(round(counted.number / size) * size, 'subscriber')}"


def _newest(found: QuerySet[Subscriber]) -> QuerySet[Subscriber]:
    return found.order_by("-pk")[:SAMPLES]


def _estimate(condition: Q, seconds: float) -> Counted:
    """The share that is found among evenly spread stretches of numbers, taken of all; one bounded statement as well."""
    ends = Subscriber.objects.aggregate(first=Min("pk"), last=Max("pk"))
    first, span = ends["first"] or 0, (ends["last"] or 0) - (ends["first"] or 0) + 1
    starts = range(first, first + span, max(STRETCH, span // STRETCHES))
    # Number by number: for so many ranges SQLite would read the whole table.
    looked_at = [pk for start in starts for pk in range(start, min(start + STRETCH, first + span))]
    inside = Subscriber.objects.filter(condition, pk__in=looked_at)
    try:
        with within(seconds * 2):
            return Counted(round(inside.count() * span / len(looked_at)), True, list(_newest(inside)))
    except TookTooLong:
        return Counted(None, True, [])
