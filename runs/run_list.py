"""The runs of one page of the list, newest first: by place instead of by page number, so that no page is a deep one.

Nothing is counted. What no index answers (a name, a kind) is looked for among a bounded number of runs, and the page
says how far back that was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import BooleanField, DateTimeField, F, Func, Q, QuerySet, Value
from django.db.models.fields import BigIntegerField
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual

from runs.models import Run
from runs.row_numbers import row_number
from runs.states import EXCEPTIONS, OPEN, State

PER_PAGE = 50
LOOKED_THROUGH = 20_000
"""Runs that one page looks through for what no index answers: some 20 ms."""

_NEEDS_NOTING = (State.FAILED, State.MISSED)
_BY_INDEX = ("open", *EXCEPTIONS)
_BEYOND = 2**62
"""A number that no run reaches."""


@dataclass(frozen=True)
class Wanted:
    """Which runs somebody asks for; empty values ask for all."""

    shown: str = ""
    """"open", or one of the final states."""
    schedule_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Not included."""
    name: str = ""
    kind: str = ""
    trigger: str = ""
    queue: str = ""
    is_unnoted: bool = False
    """Only failed and missed ones that nobody has acknowledged."""


@dataclass(frozen=True)
class Place:
    """Between two runs of the list."""

    due_at: datetime
    run_id: int

    def __str__(self) -> str:
        return f"{self.due_at.isoformat()}_{self.run_id}"

    @classmethod
    def of(cls, run: Run) -> Place:
        return cls(run.due_at, run.pk)

    @classmethod
    def read(cls, text: str) -> Place | None:
        """The place that ``str()`` wrote; None for anything else."""
        moment, _, number = text.rpartition("_")
        try:
            due_at = datetime.fromisoformat(moment)
        except ValueError:
            return None
        pk = row_number(number)
        return None if pk is None or due_at.tzinfo is None or due_at.year <= 1 else cls(due_at, pk)


@dataclass(frozen=True)
class Listing:
    """One page, and where the neighbouring ones begin."""

    runs: list[Run]
    newer: Place | None = None
    older: Place | None = None
    looked_back_to: datetime | None = None
    """Set when older runs were not looked through."""


def newest(wanted: Wanted, *, after: Place | None = None) -> Listing:
    """The newest runs, or those that follow ``after`` in the list."""
    indexed = _indexed(wanted).order_by("-due_at", "-id")
    if after is not None:
        indexed = indexed.filter(LessThan(_KEY, _value(after)), due_at__lte=after.due_at)
    edge = _edge(indexed, wanted, beyond=0)
    if edge is not None:
        indexed = indexed.filter(GreaterThanOrEqual(_KEY, _value(edge)))
    runs = list(indexed.filter(_rest(wanted))[: PER_PAGE + 1])
    more = len(runs) > PER_PAGE
    del runs[PER_PAGE:]
    newer = None if after is None else Place.of(runs[0]) if runs else after
    return Listing(runs, newer, Place.of(runs[-1]) if more else edge, None if more or edge is None else edge.due_at)


def newer_than(wanted: Wanted, before: Place) -> Listing:
    """The page that comes before ``before`` in the list; the first page where less than a page is newer."""
    indexed = _indexed(wanted).order_by("due_at", "id")
    indexed = indexed.filter(GreaterThan(_KEY, _value(before)), due_at__gte=before.due_at)
    edge = _edge(indexed, wanted, beyond=_BEYOND)
    if edge is not None:
        indexed = indexed.filter(LessThanOrEqual(_KEY, _value(edge)))
    runs = list(indexed.filter(_rest(wanted))[: PER_PAGE + 1])
    more = len(runs) > PER_PAGE
    if not more and edge is None:
        return newest(wanted)
    runs = runs[:PER_PAGE][::-1]
    return Listing(runs, Place.of(runs[0]) if more else edge, Place.of(runs[-1]) if runs else before)


def _edge(indexed: QuerySet[Run], wanted: Wanted, *, beyond: int) -> Place | None:
    """Where to stop looking for what no index answers; None when the end comes sooner or nothing has to be looked for."""
    if not _rest(wanted):
        return None
    if wanted.schedule_id is None and wanted.shown not in _BY_INDEX:
        ends = list(indexed.values_list("due_at", "id")[LOOKED_THROUGH - 1 : LOOKED_THROUGH + 1])
        return Place(*ends[0]) if len(ends) > 1 else None
    # Their indexes know the moment and not the number: all runs of that moment are still looked at.
    moments = indexed.order_by("due_at" if beyond else "-due_at").values_list("due_at", flat=True)
    ends_at = list(moments[LOOKED_THROUGH - 1 : LOOKED_THROUGH + 1])
    return Place(ends_at[0], beyond) if len(ends_at) > 1 else None


def _indexed(wanted: Wanted) -> QuerySet[Run]:
    """The part of the question that an index answers in the order of the list."""
    runs = Run.objects.defer("parameters", "traceback")
    if wanted.since is not None:
        runs = runs.filter(due_at__gte=wanted.since)
    if wanted.until is not None:
        runs = runs.filter(due_at__lt=wanted.until)
    if wanted.schedule_id is not None:
        return runs.filter(schedule_id=wanted.schedule_id)
    if wanted.shown == "open":
        # Their numbers first, from the small index of what is not finished: SQLite would walk through all runs otherwise.
        return runs.filter(pk__in=Run.objects.filter(finished_at=None).order_by().values("pk"), state__in=OPEN)
    if wanted.shown not in EXCEPTIONS:
        return runs
    runs = runs.filter(state=wanted.shown)
    return runs.filter(_IS_EXCEPTION) if connection.vendor == "sqlite" else runs


def _rest(wanted: Wanted) -> Q:
    """What has to be looked for, run by run; empty (and false) when nothing has."""
    rest = Q()
    if wanted.schedule_id is not None and wanted.shown:
        rest &= Q(state__in=OPEN) if wanted.shown == "open" else Q(state=wanted.shown)
    elif wanted.shown == State.SUCCEEDED:
        rest &= Q(state=State.SUCCEEDED)
    if wanted.name:
        rest &= Q(schedule_name__icontains=wanted.name) | Q(target_label__icontains=wanted.name)
    if wanted.kind:
        rest &= Q(kind=wanted.kind)
    if wanted.trigger:
        rest &= Q(trigger=wanted.trigger)
    if wanted.queue:
        rest &= Q(queue=wanted.queue)
    if wanted.is_unnoted:
        rest &= Q(state__in=_NEEDS_NOTING, acknowledged_at=None)
    return rest


# Both columns in one comparison, which both databases answer from the index of both; two comparisons joined by OR would
# walk over every run that was due at the same moment.
_KEY = Func(F("due_at"), F("id"), function="", output_field=BooleanField())
# The words of the partial index itself: SQLite recognises them only when they are no parameters.
_IS_EXCEPTION = Func(
    F("state"),
    template="%(expressions)s IN ({})".format(", ".join(f"'{state.value}'" for state in EXCEPTIONS)),
    output_field=BooleanField(),
)


def _value(place: Place) -> Func:
    due_at = Value(place.due_at, output_field=DateTimeField())
    return Func(due_at, Value(place.run_id, output_field=BigIntegerField()), function="", output_field=BooleanField())
