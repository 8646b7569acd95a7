"""The record of one making of a report: opened once for each run of the ledger, with everything that must not change later."""

from __future__ import annotations

from typing import Any

from reports import retention, sources
from reports.models import Period, ReportDefinition, ReportRun
from runs.models import Run
from runs.row_numbers import row_number
from runs.states import OPEN
from runs.tasks import JobFailed, RunContext

AGAIN_OF = "again_of"
"""The parameter of a run that makes an earlier report again: that report's number."""


def open_run(run: RunContext, definition: ReportDefinition) -> ReportRun:
    """The record of this run, the same for each of its attempts: its window is that of the first, whatever is edited since.

    Raises:
        JobFailed: in words; the days cannot be worked out.
    """
    retention.remove_leftovers()
    report_run = ReportRun.objects.filter(run_id=run.id).first()
    if report_run is None:
        values = _as_before(run) or _as_defined(run, definition)
        values |= {"definition": definition, "name": definition.name}
        report_run, _ = ReportRun.objects.get_or_create(run_id=run.id, defaults=values)
    report_run.definition = definition  # as it is now: it may be deleted while the report is made
    if report_run.state in (ReportRun.State.QUEUED, ReportRun.State.FAILED):
        report_run.state, report_run.error = ReportRun.State.RUNNING, ""
        report_run.save(update_fields=["state", "error"])
    return report_run


def repeated(original: ReportRun) -> dict[str, Any]:
    """What a report that is made again takes over from the one before: its days and what it listed."""
    return {
        "again_of": original,
        "version": original.version,
        "choices": original.choices,
        "scheduled_for": original.scheduled_for,
        "period": original.period,
        "window_start": original.window_start,
        "window_end": original.window_end,
        "time_zone": original.time_zone,
    }


def _as_before(run: RunContext) -> dict[str, Any] | None:
    if AGAIN_OF not in run.parameters:
        return None
    original = ReportRun.objects.filter(pk=row_number(str(run.parameters[AGAIN_OF])) or 0).first()
    if original is None:
        raise JobFailed("The report that was to be made again is no longer on record.", may_retry=False)
    return repeated(original)


def _as_defined(run: RunContext, definition: ReportDefinition) -> dict[str, Any]:
    if definition.period == Period.SINCE_LAST and _is_one_before_open(run, definition):
        raise JobFailed("The report before this one is still being made, and this one begins where that one ends.")
    try:
        window = definition.window_at(run.due_at)
    except (KeyError, ValueError) as error:
        why = f"The days of the report cannot be worked out ({error}). Edit the report and choose them again."
        raise JobFailed(why, may_retry=False) from error
    return {
        "version": definition.version,
        "choices": sources.Choices.of(definition).to_json(),
        "scheduled_for": run.due_at,
        "period": window.words,
        "window_start": window.start,
        "window_end": window.end,
        "time_zone": definition.time_zone,
    }


def _is_one_before_open(run: RunContext, definition: ReportDefinition) -> bool:
    # Asked of the ledger: one that failed and is tried again will still cover its days.
    earlier = Run.objects.filter(kind="report", target_id=definition.pk, due_at__lt=run.due_at, state__in=OPEN)
    return earlier.exists()
