"""Report files whose time is over, and the records of reports that are left when their files have gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.db.models.lookups import IsNull, LessThan

from cleanup.targets import scopes
from cleanup.targets.registry import Child, Target
from runs import words

_COMPLETE = ("succeeded", "skipped")
_FINAL = (*_COMPLETE, "incomplete", "failed", "cancelled")


def not_kept(cutoff: datetime) -> Q:
    """Those of which the report does not keep the last so many complete ones, as the reports app counts them: the latest are
    those whose days end last, not those that were made last.
    """
    there = apps.get_model("reports.Artefact")._default_manager.filter(report_run=OuterRef("pk"), deleted_at=None)
    end = OuterRef("report_run__window_end")
    newer = apps.get_model("reports.ReportRun")._default_manager.filter(
        Q(window_end__gt=end) | Q(window_end=end, pk__gt=OuterRef("report_run")),
        Exists(there), definition=OuterRef("report_run__definition"), state__in=_COMPLETE,
    )  # fmt: skip
    count = Coalesce(Subquery(newer.order_by().values("definition").annotate(n=Count("pk")).values("n")), 0)
    is_kept = Q(report_run__definition__isnull=False, report_run__state__in=_COMPLETE) & Q(
        LessThan(count, F("report_run__definition__keep_last"))
    )
    return Q(deleted_at=None) & ~is_kept


def report_files(remove: Callable[[Sequence[Any], datetime], Mapping[str, int]]) -> Target:
    """Files that are kept no longer. The reports app removes them itself within minutes; this is for what it could not.

    Args:
        remove: takes the files away, keeps their records, and says how many.
    """
    return Target(
        key="report_files",
        label="Report files whose time is over",
        noun=("report file", "report files"),
        model="reports.Artefact",
        date_field="expires_at",
        floor_days=1,
        condition=not_kept,
        description="Files of reports that are past the day until which they are kept. Their records stay.",
        promise="The latest complete files of each report stay, however old they are.",
        describe=lambda row: f"{row.file_name}, kept until {words.plain_date(row.expires_at)}",
        may_archive=False,
        most_per_batch=200,
        remove=remove,
    )


def without_files(cutoff: datetime) -> Q:
    """Ended, all files gone, nothing waits to be mailed, and a later complete one is there to be compared with that reaches as far:
    a report since the last one looks up there where that ended.
    """
    runs = apps.get_model("reports.ReportRun")._default_manager
    files = apps.get_model("reports.Artefact")._default_manager.filter(report_run=OuterRef("pk"), deleted_at=None)
    waiting = apps.get_model("reports.ReportDelivery")._default_manager.filter(
        report_run=OuterRef("pk"), state="waiting"
    )
    later = runs.filter(
        definition=OuterRef("definition"),
        pk__gt=OuterRef("pk"),
        state__in=_COMPLETE,
        window_end__gte=OuterRef("window_end"),
    )
    is_outlived = Q(definition=None) | Q(IsNull(Subquery(later.order_by("pk").values("pk")[:1]), False))
    return Q(state__in=_FINAL) & ~Q(Exists(files)) & ~Q(Exists(waiting)) & is_outlived


REPORT_RECORDS = Target(
    key="report_records",
    label="Records of old reports",
    noun=("report record", "report records"),
    model="reports.ReportRun",
    date_field="created_at",
    order=("pk",),
    floor_days=90,
    condition=without_files,
    description="That a report was made, for which days, who was sent it and who took it; its files have gone already.",
    promise="A report with a file that is still there, and the latest complete one of each report, always stay.",
    group_by="definition",
    group_members=Q(),
    children=(
        Child("reports.Artefact", "report_run", children=(Child("reports.DownloadEvent", "artefact"),)),
        Child("reports.ReportDelivery", "report_run"),
        Child("reports.ShareLink", "report_run", children=(Child("reports.DownloadEvent", "link", "unlink"),)),
        Child("reports.ReportRun", "again_of", "unlink"),
    ),
    filters=(scopes.by("report", "Only of the report", scopes.REPORTS, lambda value: Q(definition=value)),),
    describe=lambda row: f"{row.name}, {row.period}",
)  # fmt: skip

DOWNLOADS = Target(
    key="downloads",
    label="Who downloaded which report, long ago",
    noun=("download", "downloads"),
    model="reports.DownloadEvent",
    date_field="at",
    order=("pk",),
    floor_days=90,
    description="One row for each download of a report file, with the person or link, and the address.",
    promise="The files themselves and their records stay.",
    describe=lambda row: f"{row.artefact.file_name}, {words.plain_date(row.at)}",
    describe_related=("artefact",),
)
