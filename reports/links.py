"""The addresses that notices and mails about a report lead to."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse

from reports.models import ReportRun
from runs import addresses


def page_of(report_run: ReportRun) -> str:
    """The page of one making of a report, which asks for the permission each time it is opened."""
    own = addresses.page("admin:reports_reportrun_change", report_run.pk)
    return own or page_of_run(report_run.run_id)


def page_of_run(run_id: int) -> str:
    """The page of a run of the ledger."""
    return addresses.page("admin:runs_run_change", run_id)


def absolute(path: str) -> str:
    """The same with the name of our host, for mails."""
    return f"{settings.PUBLIC_URL}{path}"


def public(name: str, *arguments: str) -> str:
    """The absolute address of a page for people outside."""
    return absolute(reverse(f"reports:{name}", args=arguments))
