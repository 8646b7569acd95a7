"""Who may see what a report holds: its files, its first rows, its totals and its charts. Asked anew each time."""

from __future__ import annotations

from typing import Any

from reports.datasets import registry
from reports.models import ReportRun
from runs import audit
from runs.audit import Actor

VIEW = "reports.view_artefact"
"""To see the library, and that a report was made; not what is in it."""
DOWNLOAD = "reports.download_artefact"
NOBODYS = "reports.see_rows_of_what_is_gone"
"""Held by no role: what nobody can look up any more, administrators may see."""


def needed(report_run: ReportRun) -> list[str]:
    """The permissions that seeing its rows takes: what a report lists may need one of its own."""
    key = str(report_run.choices.get("data_set") or "")
    try:
        own = registry.get(key).permission if key else ""
    except registry.UnknownDataSet:
        own = NOBODYS
    return [DOWNLOAD, *filter(None, [own])]


def is_open_to_all_readers(report_run: ReportRun) -> bool:
    """Whether what it lists takes no permission of its own, so that its totals may stand in the ledger and in notices."""
    return needed(report_run) == [DOWNLOAD]


def may_see_rows(user: Any, report_run: ReportRun) -> bool:
    """Whether this person may see its rows now."""
    return all(user.has_perm(permission) for permission in needed(report_run))


def require_rows(actor: Actor, action: str, report_run: ReportRun, target: Any = None) -> None:
    """Raises PermissionDenied, and records the attempt, when the actor may not see its rows."""
    for permission in needed(report_run):
        audit.require(actor, permission, action, target or report_run)
