"""The address of a cleaning's page, for whoever leads there."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from cleanup.models import CleanupRun

VIEW = "cleanup.view_cleanuppolicy"
PAGE = "admin:cleanup_cleanuprun_change"


def page_of_run(reader: Any, run_id: int) -> tuple[str, str] | None:
    """Where the ledger's page of a run leads to: what it deleted."""
    if not reader.has_perm(VIEW):
        return None
    number = CleanupRun.objects.filter(run_id=run_id).values_list("pk", flat=True).first()
    return None if number is None else ("What it deleted", reverse(PAGE, args=[number]))
