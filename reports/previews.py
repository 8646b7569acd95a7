"""What a report would look like now: its days in words, its first rows, how many there are, and its totals."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db import DatabaseError
from django.db.models import Min

from reports import chosen_source, sources
from reports.datasets import registry
from reports.datasets.registry import Kind, Row
from reports.models import ReportDefinition
from reports.sources import Head, Source
from runs import bounded_queries, clock, words
from runs.audit import Actor
from schedules.models import Schedule

ROWS_SHOWN = 50
SECONDS = 3.0
"""How long the database may work while somebody looks on."""
_LEAST = 0.3
_DATABASE = "The database could not read these rows. Choose fewer columns or another filter, or ask an administrator."


@dataclass(frozen=True)
class Preview:
    """The days of the next report, and a look at those of a report made now."""

    next_words: str = ""
    next_due_at: datetime | None = None
    """None when no schedule is about to make it."""
    now_words: str = ""
    heads: tuple[Head, ...] = ()
    rows: tuple[Row, ...] = ()
    cells: tuple[tuple[tuple[Head, str], ...], ...] = ()
    """The rows as people read them."""
    total: int | None = None
    counted: str = ""
    """ "4,211 rows"; or why nobody counted them."""
    totals: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    @property
    def has_more(self) -> bool:
        return self.total is None or self.total > len(self.rows)


def preview(definition: ReportDefinition, reader: Actor) -> Preview:
    """Reads at most fifty rows within a bounded time, of a definition that may not be stored yet.

    What may not be seen, by the reader or by the owner, is not read; a problem is told in words.
    """
    key = chosen_source.key_of(definition.data_set, definition.query_id)
    if why := chosen_source.why_not(reader, key) or _owner_may_not(definition, key):
        return Preview(problem=why)
    now = clock.now()
    due_at = _next_due_at(definition)
    try:
        window, upcoming = definition.window_at(now), definition.window_at(due_at or now)
        source = sources.of(sources.Choices.of(definition), window, seconds=SECONDS)
        shown = Preview(upcoming.words, due_at, window.words)
        return _read(shown, source, window.zone)
    except registry.UnknownDataSet:
        return Preview("", due_at, problem="What this report lists is no longer available. Choose something else.")
    except sources.Unreadable as error:
        return Preview("", due_at, problem=str(error))
    except (ValueError, KeyError):
        return Preview("", due_at, problem="The days of this report cannot be worked out. Choose them again.")


def cell(value: Any, head: Head, zone: str) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if head.choices:
        return dict(head.choices).get(str(value), str(value))
    if isinstance(value, bool) or head.kind == Kind.YES_NO:
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return words.local(value, zone)
    if isinstance(value, date):
        return words.day(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal | float):
        return _number(value)
    return str(value)


def _read(shown: Preview, source: Source, zone: str) -> Preview:
    heads = tuple(source.heads)
    clocked = _Clock(SECONDS)
    try:
        with clocked.within(), closing(_closable(source.rows())) as begun:
            rows = tuple(islice(begun, ROWS_SHOWN))
    except bounded_queries.TookTooLong:
        slow = (
            f"Reading the first rows takes longer than {SECONDS:.0f} seconds, so there is no preview. The report itself"
        )
        return replace(shown, heads=heads, problem=f"{slow} may take its time. Fewer days or a filter make it faster.")
    except DatabaseError:
        return replace(shown, heads=heads, problem=_DATABASE)
    total, counted = _count(source, len(rows), clocked)
    return replace(
        shown, heads=heads, rows=rows, total=total, counted=counted, totals=_totals(source, zone, clocked),
        cells=tuple(tuple((head, cell(value, head, zone)) for head, value in zip(heads, row, strict=True)) for row in rows),
    )  # fmt: skip


def _closable(rows: Iterator[Row]) -> Generator[Row, None, None]:
    """What was begun and is not read to its end is ended."""
    yield from rows


def _count(source: Source, read: int, clocked: _Clock) -> tuple[int | None, str]:
    if read < ROWS_SHOWN:
        return read, words.counted(read, "row")
    try:
        with clocked.within():
            total = source.count()
    except bounded_queries.TookTooLong:
        total = None
    if total is None:
        return None, f"more than {read} rows; counting them takes longer than you would wait"
    return total, words.counted(total, "row")


def _totals(source: Source, zone: str, clocked: _Clock) -> tuple[tuple[str, str], ...]:
    try:
        with clocked.within():
            found = source.totals()
    except bounded_queries.TookTooLong:
        return (("Totals", "worked out when it is made: they take longer than you would wait"),)
    return tuple((label, cell(value, Head("", label, Kind.TEXT), zone)) for label, value in found.items())


class _Clock:
    """What is left of the time that a preview has."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @contextmanager
    def within(self) -> Iterator[None]:
        """Raises TookTooLong."""
        with bounded_queries.within(max(_LEAST, self._end - time.monotonic())):
            yield


def _next_due_at(definition: ReportDefinition) -> datetime | None:
    if not definition.pk:
        return None
    schedules = Schedule.objects.filter(kind="report", target_id=definition.pk, paused_at=None)
    found: datetime | None = schedules.aggregate(due_at=Min("next_due_at"))["due_at"]
    return found


def _owner_may_not(definition: ReportDefinition, key: str) -> str:
    if definition.owner_id is None:
        return ""
    owner = get_user_model()._default_manager.get(pk=definition.owner_id)  # afresh: rights change
    return chosen_source.why_not(owner, key, is_owner=True)


def _number(value: Decimal | float) -> str:
    text = f"{value:,.4f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
