"""Makes a report: rows to a draft file, then file and records become visible together, or not at all."""

from __future__ import annotations

import uuid
from datetime import timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from django.db import transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.text import slugify

from reports import storage
from reports.datasets import registry
from reports.models import Artefact, ReportDefinition, ReportRun
from reports.periods import Window
from reports.writers.csv_file import write_csv
from runs import clock, notices, words
from runs.ledger import LeaseLost, RunCancelled
from runs.models import RunEvent
from runs.tasks import JobFailed, RunContext


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
    report_run = _open(run, definition)
    published = report_run.artefacts.filter(format=Artefact.Format.CSV).first()
    if published is not None and storage.is_intact(storage.path_of(published.key), published.sha256):
        run.attach(_link_label(published), download_url(published))
        return _result(report_run, published)
    try:
        artefact = _make(run, definition, report_run)
    except LeaseLost:
        raise  # another attempt owns the run now, and its record
    except RunCancelled:
        _close_failed(report_run, "It was cancelled.")
        raise
    except storage.StorageError as error:
        _close_failed(report_run, str(error))
        raise JobFailed(str(error), may_retry=False) from error
    except Exception as error:
        _close_failed(report_run, str(error))
        raise
    return _result(report_run, artefact)


def download_url(artefact: Artefact) -> str:
    """The address of the permission-checked download."""
    return reverse("admin:reports_artefact_download", args=[artefact.key])


def _open(run: RunContext, definition: ReportDefinition) -> ReportRun:
    try:
        window = definition.window_at(run.due_at)
    except (KeyError, ValueError) as error:
        why = f"The days of the report cannot be worked out ({error}). Edit the report and choose them again."
        raise JobFailed(why, may_retry=False) from error
    report_run, _ = ReportRun.objects.get_or_create(
        run_id=run.id,
        defaults={
            "definition": definition,
            "name": definition.name,
            "scheduled_for": run.due_at,
            "period": window.words,
            "window_start": window.start,
            "window_end": window.end,
            "time_zone": definition.time_zone,
            "state": ReportRun.State.RUNNING,
        },
    )
    return report_run


def _make(run: RunContext, definition: ReportDefinition, report_run: ReportRun) -> Artefact:
    try:
        data_set = registry.get(definition.data_set)
    except registry.UnknownDataSet:
        why = "What this report lists is no longer available. Edit the report and choose something else."
        raise JobFailed(why, may_retry=False) from None
    window = _frozen_window(report_run)
    expected = data_set.count(window)
    cap = definition.row_cap
    total = min(expected, cap) if expected is not None and cap is not None else expected
    run.log(f"Lists {data_set.label} for {window.words}.")
    run.progress(0, total, "rows")
    rows = data_set.rows(window)
    with storage.DraftFile(run.id, run.attempt) as draft:
        count = 0
        for count in write_csv(draft, data_set.columns, islice(rows, cap), window.zone):
            run.progress(count, total if total is None else max(total, count), "rows")
        is_capped = cap is not None and count >= cap and next(rows, None) is not None
        draft.seal()
        return _publish(run, definition, report_run, draft, window, count, is_capped)


def _publish(
    run: RunContext,
    definition: ReportDefinition,
    report_run: ReportRun,
    draft: storage.DraftFile,
    window: Window,
    count: int,
    is_capped: bool,
) -> Artefact:
    """Everything that others see, in one transaction, while this attempt holds its run's row."""
    now = clock.now()
    key = _key_of(run.id, Artefact.Format.CSV)
    values = {
        "key": key,
        "file_name": _file_name(definition, window, is_capped),
        "byte_count": draft.byte_count,
        "row_count": count,
        "sha256": draft.sha256,
        "created_at": now,
        "expires_at": now + timedelta(days=definition.retention_days),
        "deleted_at": None,
    }
    with transaction.atomic():
        # The renewal locks the run's row until the commit: no other attempt can start between it and the file.
        run.confirm()
        draft.publish(storage.path_of(key))
        artefact, _ = Artefact.objects.update_or_create(
            report_run=report_run, format=Artefact.Format.CSV, defaults=values
        )
        report_run.state = ReportRun.State.INCOMPLETE if is_capped else ReportRun.State.SUCCEEDED
        report_run.row_count, report_run.error = count, ""
        report_run.save(update_fields=["state", "row_count", "error"])
        run.attach(_link_label(artefact), download_url(artefact))
        if is_capped:
            run.log(_result(report_run, artefact), RunEvent.Level.WARNING)
        _tell(run, definition, report_run, artefact)
    return artefact


def _tell(run: RunContext, definition: ReportDefinition, report_run: ReportRun, artefact: Artefact) -> None:
    level = RunEvent.Level.WARNING if report_run.state == ReportRun.State.INCOMPLETE else RunEvent.Level.INFO
    people = set(definition.notify.filter(is_active=True).values_list("pk", flat=True)) | {run.requested_by_id}
    for user_id in people - {None}:
        text = f"“{report_run.name}” is ready: {_result(report_run, artefact)}"
        notices.tell(user_id, text, url=reverse("admin:runs_run_change", args=[run.id]), level=level)


def _close_failed(report_run: ReportRun, why: str) -> None:
    ReportRun.objects.filter(pk=report_run.pk).update(state=ReportRun.State.FAILED, error=why[:500])


def _frozen_window(report_run: ReportRun) -> Window:
    """The window as the first attempt resolved it, whatever the definition says by now."""
    zone = ZoneInfo(report_run.time_zone)
    first, beyond = report_run.window_start.astimezone(zone).date(), report_run.window_end.astimezone(zone).date()
    return Window(first, beyond, report_run.time_zone)


def _key_of(run_id: int, file_format: str) -> uuid.UUID:
    """The same key for every attempt of a run, so that what a killed attempt left is overwritten; not to be guessed."""
    return uuid.UUID(bytes=salted_hmac("reports.artefact", f"{run_id}:{file_format}", algorithm="sha256").digest()[:16])


def _file_name(definition: ReportDefinition, window: Window, is_capped: bool) -> str:
    name = slugify(definition.name, allow_unicode=True)[:100] or "report"
    last = max(window.first, window.beyond - timedelta(days=1))
    days = f"{window.first}" if last == window.first else f"{window.first}_to_{last}"
    return f"{name}_{days}{'_INCOMPLETE' if is_capped else ''}.csv"


def _link_label(artefact: Artefact) -> str:
    return f"Download CSV ({words.counted(artefact.row_count, 'row')})"


def _result(report_run: ReportRun, artefact: Artefact) -> str:
    if report_run.state == ReportRun.State.INCOMPLETE:
        rows = words.counted(artefact.row_count, "row")
        return f"INCOMPLETE: only the first {rows} of {report_run.period}, because the report stops at {rows}."
    return f"{words.counted(artefact.row_count, 'row')} for {report_run.period}."
