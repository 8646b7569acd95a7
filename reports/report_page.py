"""What the page of one report shows, gathered: every list in it is bounded."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Max, Q
from django.http import HttpRequest
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import reverse
from django.utils import timezone

from reports import access, keeping, library, report_words
from reports.first_rows import first_rows
from reports.models import Artefact, DownloadEvent, ReportRun
from runs import clock
from runs.models import AuditEntry, Run
from runs.pace import first_mark, pace

LISTED = 20
PARTS = ("_figures", "_charts", "_deliveries", "_links")
"""Pieces of the page that stand in templates of their own, as far as there are any."""


def whole(request: HttpRequest, report_run: ReportRun) -> dict[str, Any]:
    """Everything on the page."""
    run = Run.objects.filter(pk=report_run.run_id).first()
    shown = report_words.shown(report_run, run)
    artefacts = list(report_run.artefacts.order_by("format", "part"))
    is_latest = report_run.is_kept
    files = library.there(artefacts, is_latest=is_latest)
    may_see = access.may_see_rows(request.user, report_run)
    user = request.user
    return {
        **live(report_run, run),
        "report_run": report_run,
        "shown": shown,
        "period": report_words.period(report_run),
        "files": _files(artefacts, files),
        "kept": report_words.kept(artefacts, is_latest=is_latest),
        "is_any_there": bool(files),
        "is_any_left": any(one.deleted_at is None for one in artefacts),
        "may_see": may_see,
        "may_download_some": user.has_perm(access.DOWNLOAD),
        "first_rows": first_rows(files) if may_see else None,
        "summary": report_run.summary if may_see else {},
        "charts": report_run.summary.get("charts", []) if may_see else [],
        "parts": {name.strip("_"): found for name in PARTS if (found := _template(name))},
        "chosen": report_words.chosen(report_run),
        "started_by": report_words.started_by(run),
        "again": list(ReportRun.objects.filter(again_of=report_run).order_by("-id")[:LISTED]),
        "deeds": deeds(report_run, artefacts),
        "may_extend": user.has_perm(keeping.EXTEND),
        "may_delete": user.has_perm(keeping.DELETE),
        "may_run": user.has_perm(keeping.RUN) and report_run.definition is not None,
        "may_cancel": user.has_perm("runs.cancel_run"),
        "is_cancelling": run is not None and run.cancel_requested_at is not None,
        "zone_name": timezone.get_current_timezone_name(),
    }


def live(report_run: ReportRun, run: Run | None) -> dict[str, Any]:
    """How far the making is, while it is under way."""
    if run is None or not run.is_open or not (run.progress_total or run.progress_done):
        return {"run": run, "pace": None}
    start = first_mark(run.started_at, run.attempt)
    now = clock.now()
    return {"run": run, "pace": pace(run.progress_done, run.progress_total, run.progress_unit, start=start, now=now)}


def deeds(report_run: ReportRun, artefacts: list[Artefact]) -> list[AuditEntry]:
    """What people did with it and its files, the latest first."""
    of_files = Q(object_type="reports.artefact", object_id__in=[str(one.pk) for one in artefacts])
    of_report = Q(object_type="reports.reportrun", object_id=str(report_run.pk))
    return list(AuditEntry.objects.filter(of_files | of_report).order_by("-id")[:LISTED])


def _files(artefacts: list[Artefact], there: list[Artefact]) -> list[dict[str, Any]]:
    taken = DownloadEvent.objects.filter(artefact__in=artefacts).order_by().values("artefact")
    counts = {row["artefact"]: (row["times"], row["last"]) for row in taken.annotate(times=Count("pk"), last=Max("at"))}
    parts = {one.format for one in artefacts if one.part > 1}
    return [
        {
            "artefact": one,
            "label": f"{one.get_format_display()}, part {one.part}"
            if one.format in parts
            else one.get_format_display(),
            "url": reverse("admin:reports_artefact_download", args=[one.key]),
            "is_there": one in there,
            "times": counts.get(one.pk, (0, None))[0],
            "last": counts.get(one.pk, (0, None))[1],
        }
        for one in artefacts
    ]


def _template(name: str) -> str:
    path = f"reports/{name}.html"
    try:
        get_template(path)
    except TemplateDoesNotExist:
        return ""
    return path
