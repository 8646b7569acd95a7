"""Makes a report: rows to draft files in one pass, then files and records become visible together, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from django.db.models import Sum

from reports import (
    charts,
    comparison,
    conditions,
    copying,
    failures,
    opening,
    pausing,
    publishing,
    reading,
    results,
    rights,
    sources,
    storage,
)
from reports.datasets import registry
from reports.models import Artefact, Condition, Format, OnCap, ReportDefinition, ReportRun
from reports.outputs import CannotWrite, Outputs
from reports.periods import Window
from reports.pouring import Pouring
from reports.watching import Watch
from reports.writers.writer import About
from runs import database_away, words
from runs.ledger import LeaseLost, RunCancelled
from runs.tasks import JobFailed, RunContext

READINGS = 3
"""How often a report is begun anew whose database went away in the middle."""
download_url = publishing.download_url


def perform(run: RunContext) -> str:
    """Makes the report ``run.target_id`` for the window that its due time implies; returns what was made.

    May be called again for the same run after a worker died: what was published stays as it is, what was
    not is made anew. There is never a second file for one run.

    Raises:
        JobFailed: in words; the disk is full, the definition is gone or cannot be read.
    """
    definition = ReportDefinition.objects.filter(pk=run.target_id or 0).first()
    if definition is None:
        raise JobFailed("The report no longer exists. Edit the schedule and choose another.", may_retry=False)
    report_run = opening.open_run(run, definition)
    if publishing.is_published(report_run):
        publishing.link(run, report_run)
        return results.of(report_run)
    try:
        _make_patiently(run, definition, report_run)
    except LeaseLost:
        raise  # another attempt owns the run now, and its record
    except RunCancelled:
        failures.close_cancelled(report_run)
        raise
    except Exception as error:
        known = failures.in_words(error)
        if isinstance(error, rights.OwnerGone):
            pausing.pause_schedules(definition, str(error))
        failures.close(report_run, str(known or error) or type(error).__name__)
        if known is None or known is error:
            raise
        raise known from error
    return results.of(report_run)


def _make_patiently(run: RunContext, definition: ReportDefinition, report_run: ReportRun) -> None:
    """A database that restarts in the middle is waited for, and the report begun anew."""
    for readings_left in reversed(range(READINGS)):
        driver = reading.driver_connection()
        try:
            _make(run, definition, report_run)
            return
        except database_away.ERRORS as error:
            if not readings_left or not failures.is_database_away(error, driver):
                raise
            database_away.wait(error, run.checkpoint)
            run.confirm()
            run.log("The database went away in the middle; the report is begun anew.")


def _make(run: RunContext, definition: ReportDefinition, report_run: ReportRun) -> None:
    window = publishing.frozen_window(report_run)
    choices = sources.Choices.from_json(report_run.choices)
    rights.require(definition, choices)
    storage.require_room(2 * _last_size(definition))
    run.log(f"Lists {_label(choices, definition)} for {window.words}.")
    run.progress(0, None, "rows")
    with ExitStack() as kept:
        stoppers: list[Callable[[], None]] = []
        with Watch(run, _interrupt(stoppers)) as watch:
            try:
                with reading.snapshot():
                    source = sources.of(choices, window)
                    if hasattr(source, "interrupt"):  # it reads on a connection of its own
                        stoppers.append(source.interrupt)
                    summary = comparison.summarise(source, _before(choices, definition, window))
                    outputs = kept.enter_context(_outputs(run, definition, report_run, source, window))
                    poured = _pour(definition, source, window, outputs, watch, summary)
                summary = _completed(summary, source, window, outputs, poured)
                outputs.end(summary)
            except Exception:
                run.checkpoint()  # what was interrupted failed for that reason, and not for the one it gives
                raise
        run.progress(outputs.row_count, outputs.row_count, "rows")
        totals = {total["label"]: total["value"] for total in summary["totals"]}
        before = publishing.content_before(report_run)
        made = conditions.Made(outputs.row_count, outputs.content_sha256, before, totals)
        publishing.publish(run, definition, report_run, outputs.done, made, summary, is_capped=poured.is_capped)


def _interrupt(stoppers: list[Callable[[], None]]) -> Callable[[], None] | None:
    """What ends whatever is being read; None where the reading is part of the caller's transaction."""
    if not reading.is_own():
        return None
    driver = reading.driver_connection()
    stoppers.append(lambda: reading.interrupt(driver))

    def interrupt() -> None:
        for stop in tuple(stoppers):
            stop()

    return interrupt


def _before(choices: sources.Choices, definition: ReportDefinition, window: Window) -> sources.Source | None:
    if not definition.compares:
        return None
    return sources.of(choices, comparison.window_before(choices.period or definition.period, window))


def _outputs(
    run: RunContext, definition: ReportDefinition, report_run: ReportRun, source: sources.Source, window: Window
) -> Outputs:
    formats = [one for one in dict.fromkeys(definition.formats) if one in Format.values] or [Format.CSV.value]
    is_guarded = not definition.is_for_machines
    about = About(
        definition.name, window.words, window.zone, publishing.made_at(report_run), is_guarded, tuple(formats)
    )
    return Outputs(
        (run.id, run.attempt), formats, source.heads, about, run.checkpoint,
        rows_per_part=definition.row_cap if definition.on_cap == OnCap.SPLIT else None,
        has_content_hash=definition.condition == Condition.CHANGED,
    )  # fmt: skip


def _pour(
    definition: ReportDefinition,
    source: sources.Source,
    window: Window,
    outputs: Outputs,
    watch: Watch,
    summary: dict[str, Any],
) -> Pouring:
    expected, cap = summary["rows"], definition.row_cap
    if definition.on_cap == OnCap.FAIL and cap is not None and (expected or 0) > cap:
        raise CannotWrite(_too_many(cap))
    most = None if definition.on_cap == OnCap.SPLIT else cap
    watch.expect(expected if most is None or expected is None else min(expected, most))
    poured = Pouring(outputs, watch, summary, most)
    copy = None
    is_large = expected is None or expected > copying.FROM_ROWS
    if is_large and watch.is_beside and outputs.formats == [Format.CSV]:
        copy = copying.of(source.statement(), source.heads, window.zone, not definition.is_for_machines)
    if copy is None:
        poured.rows(source.rows())
    else:
        poured.copy(copy, window.zone)
    if poured.is_capped and definition.on_cap == OnCap.FAIL and cap is not None:
        raise CannotWrite(_too_many(cap))
    return poured


def _completed(
    summary: dict[str, Any], source: sources.Source, window: Window, outputs: Outputs, poured: Pouring
) -> dict[str, Any]:
    """With what is only known once the rows were read."""
    rows = summary["rows"] if poured.is_capped and summary["rows"] is not None else outputs.row_count
    first_rows = poured.first_rows if rows <= charts.MOST_ROWS else []
    said = {"incomplete": results.incomplete(outputs.row_count, window.words)} if poured.is_capped else {}
    return {**summary, **said, "rows": rows, "charts": charts.points(source.heads, first_rows)}


def _too_many(cap: int) -> str:
    return (
        f"It has more than {words.counted(cap, 'row')}, and is set to make no file then. "
        "Choose fewer days, or allow more rows."
    )


def _label(choices: sources.Choices, definition: ReportDefinition) -> str:
    if choices.query_id is not None:
        return str(definition.query or "an SQL query")
    return registry.get(choices.data_set).label


def _last_size(definition: ReportDefinition) -> int:
    """Of the files of its last report."""
    last = ReportRun.objects.filter(definition=definition, state__in=publishing.PUBLISHED).order_by("-pk").first()
    if last is None:
        return 0
    return int(Artefact.objects.filter(report_run=last).aggregate(size=Sum("byte_count"))["size"] or 0)
