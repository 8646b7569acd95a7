"""What a report would look like now: its next window in words and its first rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db.models import Min

from reports.datasets import registry
from reports.datasets.registry import Row
from reports.models import ReportDefinition
from runs import clock
from schedules.models import Schedule

ROWS_SHOWN = 10


@dataclass(frozen=True)
class Preview:
    """The days of the next report, and a look at those of a report made now."""

    next_words: str
    next_due_at: datetime | None
    """None when no schedule is about to make it."""
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    total: int | None = None
    now_words: str = ""
    problem: str = ""


def preview(definition: ReportDefinition) -> Preview:
    """Reads at most ten rows; a problem is told in words instead."""
    now = clock.now()
    schedules = Schedule.objects.filter(kind="report", target_id=definition.pk, paused_at=None)
    due_at = schedules.aggregate(due_at=Min("next_due_at"))["due_at"]
    try:
        window, upcoming = definition.window_at(now), definition.window_at(due_at or now)
        data_set = registry.get(definition.data_set)
    except registry.UnknownDataSet:
        return Preview("", due_at, problem="What this report lists is no longer available. Choose something else.")
    except (ValueError, KeyError):
        return Preview("", due_at, problem="The days of this report cannot be worked out. Choose them again.")
    rows = tuple(islice(data_set.rows(window), ROWS_SHOWN))
    return Preview(upcoming.words, due_at, data_set.columns, rows, data_set.count(window), window.words)
