"""How long files are kept: what is past its time goes, the latest complete reports and what is held stay, records stay for good."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from reports import storage
from reports.models import COMPLETE, Artefact, ReportDefinition, ReportRun
from runs import clock, words
from runs.locking import skip_locked
from runs.models import Run

logger = logging.getLogger(__name__)

BATCH = 200
LEFTOVER_AFTER = timedelta(days=1)
"""What a killed run left half written is kept no longer; a run that goes on for days would not be one of ours."""
HOLD_TARGET = "report_files"
"""What a hold names when it keeps report files, together with the number of the file; or of none, for all."""
EXPIRED = "its time was over"
_LONG_AGO = datetime(1900, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Swept:
    """What one sweep removed."""

    files: int
    byte_count: int


def past_their_time(now: datetime) -> QuerySet[Artefact]:
    """Files that are still there although their time is over; some of them are kept all the same."""
    return Artefact.objects.filter(deleted_at=None, expires_at__lte=now)


def sweep(now: datetime) -> Swept:
    """Removes every file whose time is over, unless it is kept or held. Their records stay. May be broken off anywhere."""
    files = size = 0
    place: tuple[datetime, int] | None = None
    while batch := _next(now, place):
        place = (batch[-1].expires_at, batch[-1].pk)
        for artefact in removable(batch, now):
            if remove(artefact, EXPIRED):
                files, size = files + 1, size + artefact.byte_count
    return Swept(files, size)


def is_anything_due(now: datetime) -> bool:
    """Whether a sweep would find something to remove."""
    place: tuple[datetime, int] | None = None
    while batch := _next(now, place):
        place = (batch[-1].expires_at, batch[-1].pk)
        if removable(batch, now):
            return True
    return False


def removable(artefacts: Sequence[Artefact], now: datetime) -> list[Artefact]:
    """Those that neither their report keeps as one of its latest, nor a hold."""
    kept = kept_runs(artefact.report_run for artefact in artefacts)
    held = held_files([artefact.pk for artefact in artefacts], now)
    return [one for one in artefacts if one.report_run_id not in kept and one.pk not in held]


def kept_runs(report_runs: Iterable[ReportRun]) -> set[int]:
    """The numbers of those that are among the latest complete ones of their report: two queries, however many they are.

    (One more for each different number of reports that definitions keep.)
    """
    asked = [one for one in report_runs if one.definition_id and one.state in COMPLETE]
    definitions = ReportDefinition.objects.filter(pk__in={one.definition_id for one in asked})
    has_file = Exists(Artefact.objects.filter(report_run=OuterRef("pk"), deleted_at=None))
    complete = ReportRun.objects.filter(has_file, definition=OuterRef("pk"), state__in=COMPLETE)
    complete = complete.order_by("-window_end", "-id")
    oldest: dict[int, tuple[datetime, int]] = {}
    for count in definitions.order_by().values_list("keep_last", flat=True).distinct() if asked else ():
        if count:
            edge = [Subquery(complete.values(name)[count - 1 : count]) for name in ("window_end", "pk")]
            edges = definitions.filter(keep_last=count).annotate(end=edge[0], number=edge[1])
            for pk, end, number in edges.values_list("pk", "end", "number"):
                oldest[pk] = (end or _LONG_AGO, number or 0)  # where there are not that many, all are kept
    return {
        one.pk for one in asked if one.definition_id in oldest and (one.window_end, one.pk) >= oldest[one.definition_id]
    }


def held_files(numbers: Sequence[int], now: datetime) -> set[int]:
    """The numbers of those files that a hold keeps, whatever their age."""
    holds = apps.get_model("cleanup", "Hold")._default_manager.filter(target=HOLD_TARGET)
    named = set(holds.filter(Q(until=None) | Q(until__gt=now)).values_list("object_id", flat=True))
    return set(numbers) if "" in named else {number for number in numbers if str(number) in named}


def remove(artefact: Artefact, why: str) -> bool:
    """Takes the file away for good and keeps its record; says whether this call did it."""
    with transaction.atomic():
        there = Artefact.objects.filter(pk=artefact.pk, deleted_at=None)
        # Somebody may have extended it a moment ago: its time is looked at once more while nobody else can change it.
        there = there.filter(expires_at=artefact.expires_at)
        if not skip_locked(there).values_list("pk", flat=True)[:1]:
            return False
        if not _unlink(artefact):
            return False
        there.update(deleted_at=clock.now(), deleted_why=why[:200])
    return True


def remove_leftovers() -> int:
    """Removes what killed runs left half written more than a day ago; returns how many files."""
    removed = 0
    edge = time.time() - LEFTOVER_AFTER.total_seconds()
    for path in Path(settings.FILES_DIR, "reports").glob(".run-*.part"):
        with suppress(OSError):
            if path.stat().st_mtime < edge and not _is_running(path.name):
                path.unlink()
                removed += 1
    return removed


def in_words(swept: Swept) -> str:
    """ "3 files (1,234 bytes) removed"."""
    return f"{words.counted(swept.files, 'report file')} removed, whose time was over."


def _next(now: datetime, place: tuple[datetime, int] | None) -> list[Artefact]:
    rows = past_their_time(now).select_related("report_run").order_by("expires_at", "id")
    if place is not None:
        rows = rows.filter(Q(expires_at__gt=place[0]) | Q(expires_at=place[0], pk__gt=place[1]))
    return list(rows[:BATCH])


def _unlink(artefact: Artefact) -> bool:
    try:
        storage.path_of(artefact.key, artefact.format).unlink(missing_ok=True)
    except OSError as error:
        logger.warning("the report file %s cannot be removed (%s); trying again later", artefact.key, error)
        return False
    return True


def _is_running(name: str) -> bool:
    """Whether the run that the draft file ".run-<run>-<attempt>….part" belongs to is still under way."""
    number = name.split("-")[1]
    return number.isdigit() and Run.objects.filter(pk=int(number), state="running").exists()
