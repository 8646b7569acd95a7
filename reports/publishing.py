"""Everything that others see of a report that was made: its files, its record and who is told, in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.text import slugify

from reports import conditions, deliveries, results, storage
from reports.models import Artefact, Format, ReportDefinition, ReportRun
from reports.outputs import Output
from reports.periods import Window
from runs import clock, failpoints, words
from runs.models import RunEvent
from runs.tasks import RunContext

State = ReportRun.State
PUBLISHED = (State.SUCCEEDED, State.INCOMPLETE, State.SKIPPED)
SENT_BEFORE = "everybody was sent it when it was first made."


def is_published(report_run: ReportRun) -> bool:
    """Whether an earlier attempt got so far, and every one of its files is still what it was."""
    kept = list(report_run.artefacts.filter(deleted_at=None))
    return (
        report_run.state in PUBLISHED
        and bool(kept)
        and all(storage.is_intact(storage.path_of(one.key, one.format), one.sha256) for one in kept)
    )


def publish(
    run: RunContext,
    definition: ReportDefinition,
    report_run: ReportRun,
    outputs: Sequence[Output],
    made: conditions.Made,
    summary: Mapping[str, Any],
    *,
    is_capped: bool,
) -> None:
    """Shows the files under their names, and plans who is told, while this attempt holds its run's row.

    Raises LeaseLost, RunCancelled and storage.StorageError.
    """
    summary = {**summary, "parts": max(output.part for output in outputs)}
    with transaction.atomic():
        # The renewal locks the run's row until the commit: no other attempt can start between it and the files.
        run.confirm()
        failpoints.passing("report_confirmed")
        with _unshown_on_error() as fresh:
            artefacts = [_show(definition, report_run, output, fresh, is_capped=is_capped) for output in outputs]
            failpoints.passing("report_shown")
            report_run.artefacts.exclude(pk__in=[one.pk for one in artefacts]).delete()
            _record(definition, report_run, made, summary, is_capped=is_capped)
            link(run, report_run)
            if is_capped:
                run.log(results.of(report_run), RunEvent.Level.WARNING)
            if not report_run.summary.get("not_sent"):
                deliveries.plan(report_run, results.of(report_run))
            failpoints.passing("report_recorded")


@contextmanager
def _unshown_on_error() -> Iterator[list[Path]]:
    """Removes the files noted in it when something fails, as long as the run's row is held."""
    fresh: list[Path] = []
    try:
        yield fresh
    except BaseException:
        for path in fresh:
            path.unlink(missing_ok=True)
        raise


def link(run: RunContext, report_run: ReportRun) -> None:
    """Puts a link to each file on the run's page."""
    for artefact in report_run.artefacts.order_by("part", "pk"):
        run.attach(_link_label(artefact), download_url(artefact))


def download_url(artefact: Artefact) -> str:
    """The address of the permission-checked download."""
    return reverse("admin:reports_artefact_download", args=[artefact.key])


def frozen_window(report_run: ReportRun) -> Window:
    """The window as the first attempt resolved it, whatever the definition says by now."""
    zone = ZoneInfo(report_run.time_zone)
    first, beyond = report_run.window_start.astimezone(zone).date(), report_run.window_end.astimezone(zone).date()
    return Window(first, beyond, report_run.time_zone)


def content_before(report_run: ReportRun) -> str:
    """The fingerprint of the rows of the last report of the same definition; one made again is not in that line.

    Empty where nobody took it: what is not known to be the same is sent.
    """
    earlier = ReportRun.objects.filter(
        definition_id=report_run.definition_id, pk__lt=report_run.pk, state__in=PUBLISHED, again_of=None
    )
    found = earlier.order_by("-pk").values_list("content_sha256", flat=True).first()
    return found or ""


def _show(
    definition: ReportDefinition, report_run: ReportRun, output: Output, fresh: list[Path], *, is_capped: bool
) -> Artefact:
    now = clock.now()
    key = _key_of(report_run.run_id, output)
    path = storage.path_of(key, output.format)
    is_new = not report_run.artefacts.filter(format=output.format, part=output.part).exists()
    values = {
        "key": key,
        "file_name": _file_name(definition, report_run, output, is_capped=is_capped),
        "byte_count": output.draft.byte_count,
        "row_count": output.row_count,
        "sha256": output.draft.sha256,
        "created_at": now,
        "expires_at": now + timedelta(days=definition.retention_days),
        "deleted_at": None,
    }
    if is_new:
        fresh.append(path)
    output.draft.publish(path)
    artefact, _ = Artefact.objects.update_or_create(
        report_run=report_run, format=output.format, part=output.part, defaults=values
    )
    return artefact


def _record(
    definition: ReportDefinition,
    report_run: ReportRun,
    made: conditions.Made,
    summary: Mapping[str, Any],
    *,
    is_capped: bool,
) -> None:
    was_decided = report_run.state in PUBLISHED  # its file was lost, and is made once more
    report_run.row_count, report_run.error = made.row_count, ""
    report_run.content_sha256 = made.content_sha256
    not_sent = report_run.summary.get("not_sent", "")
    if not was_decided:
        first = report_run.again_of
        not_sent = _decide(definition, made) if first is None else _not_sent_again(first)
    report_run.summary = {**summary, **({"not_sent": not_sent} if not_sent else {})}
    is_skipped = not_sent not in ("", SENT_BEFORE)
    report_run.state = State.INCOMPLETE if is_capped else State.SKIPPED if is_skipped else State.SUCCEEDED
    report_run.save(update_fields=["state", "row_count", "error", "content_sha256", "summary"])


def _not_sent_again(first: ReportRun) -> str:
    """One made again is for whoever asked: it is mailed only where the first could not be made, so that nobody has it."""
    return first.summary.get("not_sent", "") or (SENT_BEFORE if first.state in PUBLISHED else "")


def _decide(definition: ReportDefinition, made: conditions.Made) -> str:
    """Why it is not sent; the next report goes by where this one left the threshold."""
    now = ReportDefinition.objects.select_for_update().filter(pk=definition.pk).first() or definition
    decision = conditions.decide(now, made)
    if decision.is_past != now.is_past_threshold:
        ReportDefinition.objects.filter(pk=now.pk).update(is_past_threshold=decision.is_past)
    return decision.why_not


def _key_of(run_id: int, output: Output) -> uuid.UUID:
    """The same key for every attempt of a run, so that what a killed attempt left is overwritten; not to be guessed."""
    part = "" if output.part == 1 else f":{output.part}"
    digest = salted_hmac("reports.artefact", f"{run_id}:{output.format}{part}", algorithm="sha256").digest()
    return uuid.UUID(bytes=digest[:16])


def _file_name(definition: ReportDefinition, report_run: ReportRun, output: Output, *, is_capped: bool) -> str:
    name = slugify(definition.name, allow_unicode=True)[:100] or "report"
    window = frozen_window(report_run)
    last = max(window.first, window.beyond - timedelta(days=1))
    days = f"{window.first}" if last == window.first else f"{window.first}_to_{last}"
    part = f"_part_{output.part}" if output.is_of_many else ""
    return f"{name}_{days}{part}{'_INCOMPLETE' if is_capped else ''}.{output.format}"


def _link_label(artefact: Artefact) -> str:
    of_part = f", part {artefact.part}" if artefact.part > 1 else ""
    name = "Excel" if artefact.format == Format.XLSX else artefact.get_format_display()
    return f"Download {name}{of_part} ({words.counted(artefact.row_count, 'row')})"


def made_at(report_run: ReportRun) -> datetime:
    """What a file says of when it was made: alike for each attempt, so that they are alike to the byte."""
    return report_run.created_at
