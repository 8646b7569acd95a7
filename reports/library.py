"""The reports of one page of the library, newest first: by place instead of by page number, so that no page is a deep one.

Nothing is counted. What somebody asks for is looked for among a bounded number of reports, and the page says how far
back that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from reports import access, report_words, retention
from reports.models import Artefact, ReportDefinition, ReportRun
from reports.report_words import Shown
from runs.models import Run

PER_PAGE = 50
LOOKED_THROUGH = 5_000
"""Reports that one page looks through for what was asked."""
BY_SCHEDULE = "schedule"
"""Instead of a person: whatever nobody asked for."""
State = ReportRun.State
STATES = [
    ("complete", "Complete"), ("incomplete", "Incomplete"), ("skipped", "Made, not sent"), ("open", "Being made"),
    ("failed", "Failed"), ("cancelled", "Cancelled"),
]  # fmt: skip
_STORED = {"complete": (State.SUCCEEDED,), "open": (State.QUEUED, State.RUNNING)}


@dataclass(frozen=True)
class Wanted:
    """Which reports somebody asks for; empty values ask for all."""

    mine_of: int | None = None
    """Only what this person owns, asked for, or is told of."""
    definition_id: int | None = None
    name: str = ""
    state: str = ""
    file_format: str = ""
    who: str = ""
    """The number of the person who asked for it, or "schedule"."""
    since: datetime | None = None
    until: datetime | None = None
    """Not included. Reports that cover some day between."""

    @property
    def is_narrowed(self) -> bool:
        return self != Wanted()


@dataclass(frozen=True)
class Listing:
    """One page, and where the neighbouring ones begin."""

    report_runs: list[ReportRun]
    newer: int | None = None
    older: int | None = None
    looked_back_to: datetime | None = None
    """Set when older ones were not looked through."""


@dataclass(frozen=True)
class Row:
    """One report as the library shows it to one person."""

    report_run: ReportRun
    shown: Shown
    period: str
    files: list[Artefact]
    """Those that can be downloaded."""
    may_download: bool
    byte_count: int
    started_by: str
    kept: str
    kept_note: str


def newest(wanted: Wanted, *, after: int | None = None) -> Listing:
    """The newest reports, or those that follow the number ``after`` in the list."""
    everything = ReportRun.objects.order_by("-id")
    if after is not None:
        everything = everything.filter(pk__lt=after)
    edge = _edge(everything) if wanted.is_narrowed else None
    rows = everything.filter(_asked(wanted))
    if edge is not None:
        rows = rows.filter(pk__gte=edge[0])
    found = list(_whole(rows)[: PER_PAGE + 1])
    more = len(found) > PER_PAGE
    del found[PER_PAGE:]
    newer = None if after is None else found[0].pk if found else after
    older = found[-1].pk if more else edge[0] if edge else None
    return Listing(found, newer, older, None if more or edge is None else edge[1])


def newer_than(wanted: Wanted, before: int) -> Listing:
    """The page that comes before the number ``before`` in the list; the first page where less than a page is newer."""
    everything = ReportRun.objects.filter(pk__gt=before).order_by("id")
    edge = _edge(everything) if wanted.is_narrowed else None
    rows = everything.filter(_asked(wanted))
    if edge is not None:
        rows = rows.filter(pk__lte=edge[0])
    found = list(_whole(rows)[: PER_PAGE + 1])
    more = len(found) > PER_PAGE
    if not more and edge is None:
        return newest(wanted)
    found = found[:PER_PAGE][::-1]
    return Listing(found, found[0].pk if more else edge and edge[0], found[-1].pk if found else before)


def rows_of(report_runs: Sequence[ReportRun], reader: AbstractBaseUser | AnonymousUser) -> list[Row]:
    """The row of each: as many queries for fifty as for one."""
    runs = Run.objects.filter(pk__in=[one.run_id for one in report_runs])
    known = {run.pk: run for run in runs.only("state", "trigger", "requested_by_name")}
    latest = retention.kept_runs(report_runs)
    return [_row(one, known.get(one.run_id), one.pk in latest, reader) for one in report_runs]


def _row(report_run: ReportRun, run: Run | None, is_latest: bool, reader: Any) -> Row:
    artefacts = list(report_run.artefacts.all())
    files = there(artefacts, is_latest=is_latest)
    kept, note = report_words.kept(artefacts, is_latest=is_latest)
    return Row(
        report_run=report_run,
        shown=report_words.shown(report_run, run),
        period=report_words.period(report_run),
        files=files,
        may_download=access.may_see_rows(reader, report_run),
        byte_count=sum(one.byte_count for one in files),
        started_by=report_words.started_by(run),
        kept=kept,
        kept_note=note,
    )


def there(artefacts: Sequence[Artefact], *, is_latest: bool) -> list[Artefact]:
    """Those of a report's files that can be downloaded."""
    return [one for one in artefacts if one.deleted_at is None and (is_latest or one.is_in_time)]


def definitions(most: int) -> list[tuple[int, str]]:
    """The reports that staff may choose one of."""
    return list(ReportDefinition.objects.order_by("name").values_list("pk", "name")[:most])


def _whole(rows: QuerySet[ReportRun]) -> QuerySet[ReportRun]:
    files = Artefact.objects.order_by("format", "part")
    return rows.select_related("definition").prefetch_related(Prefetch("artefacts", files))


def _edge(rows: QuerySet[ReportRun]) -> tuple[int, datetime] | None:
    """Where to stop looking; None when the end comes sooner."""
    ends = list(rows.values_list("pk", "created_at")[LOOKED_THROUGH - 1 : LOOKED_THROUGH + 1])
    return ends[0] if len(ends) > 1 else None


def _asked(wanted: Wanted) -> Q:
    asked = Q()
    if wanted.mine_of is not None:
        told = ReportDefinition.notify.through.objects.filter(user_id=wanted.mine_of).values("reportdefinition_id")
        own = ReportDefinition.objects.filter(owner_id=wanted.mine_of).values("pk")
        asked &= Q(definition__in=told) | Q(definition__in=own) | Q(run_id__in=_asked_for_by(wanted.mine_of))
    if wanted.definition_id is not None:
        asked &= Q(definition_id=wanted.definition_id)
    if wanted.name:
        asked &= Q(name__icontains=wanted.name)
    if wanted.state:
        asked &= Q(state__in=_STORED.get(wanted.state, (wanted.state,)))
    if wanted.file_format:
        asked &= Q(
            Exists(Artefact.objects.filter(report_run=OuterRef("pk"), format=wanted.file_format, deleted_at=None))
        )
    if wanted.who == BY_SCHEDULE:
        by_people = Run.objects.filter(kind="report", requested_by__isnull=False).values("pk")
        asked &= ~Q(run_id__in=by_people)
    elif wanted.who:
        asked &= Q(run_id__in=_asked_for_by(int(wanted.who)))
    if wanted.since is not None:
        asked &= Q(window_end__gt=wanted.since)
    if wanted.until is not None:
        asked &= Q(window_start__lt=wanted.until)
    return asked


def _asked_for_by(user_id: int) -> QuerySet[Run, int]:
    return Run.objects.filter(kind="report", requested_by_id=user_id).values_list("pk", flat=True)
