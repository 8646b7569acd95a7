"""The addresses of a report's page, for whoever leads there."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from reports import access
from reports.models import ReportRun

PAGE = "admin:reports_reportrun_change"


def page_of_run(reader: Any, run_id: int) -> tuple[str, str] | None:
    """Where the ledger's page of a run leads to: the page of its report."""
    if not reader.has_perm(access.VIEW):
        return None
    number = ReportRun.objects.filter(run_id=run_id).values_list("pk", flat=True).first()
    return None if number is None else ("Open the report", reverse(PAGE, args=[number]))
