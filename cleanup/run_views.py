"""The page of one cleaning: what it deleted, what stayed and why, what it kept a copy of."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from cleanup import policy_page, targets
from cleanup.models import CleanupRun
from cleanup.run_links import VIEW
from runs import words
from runs.models import Run
from runs.pages import page

LISTED = 50
PARTS = 12


@require_safe
def detail(request: HttpRequest, cleanup_run_id: int) -> HttpResponse:
    """Everything that is known of it."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    found = get_object_or_404(
        CleanupRun.objects.select_related("policy", "preview", "approval__approved_by"), pk=cleanup_run_id
    )
    rule = found.rule
    keys = [str(key) for key in rule.get("targets") or found.deleted]
    parts = list(found.parts.order_by("number")[: PARTS + 1])
    context = {
        "cleaning": found,
        "tone": policy_page.TONES[CleanupRun.State(found.state)],
        "run": Run.objects.filter(pk=found.run_id).first(),
        "what": [targets.label(key) for key in keys],
        "counts": [(targets.label(key), int(count)) for key, count in found.deleted.items()],
        "tables": _tables(found),
        "stayed": _stayed(found),
        "poison": found.poison[:LISTED],
        "poison_more": max(0, len(found.poison) - LISTED),
        "parts": parts[:PARTS],
        "parts_more": len(parts) > PARTS,
        "kept": found.parts.aggregate(parts=Count("pk"), rows=Sum("row_count"), bytes=Sum("byte_count")),
        "may_download": request.user.has_perm("cleanup.download_archivepart"),
        "may_delete": request.user.has_perm("cleanup.delete_archivepart"),
        "age": words.counted(int(rule["days"]), "day") if rule.get("days") else "",
        "took": words.duration(found.finished_at - found.started_at) if found.finished_at else "",
        **policy_page.room(keys, found),
        "title": f"{found.policy_name}, cleaned {words.here(found.started_at)}",
    }
    return page(request, "cleanup/run.html", context)


def _tables(found: CleanupRun) -> list[dict[str, Any]]:
    return [
        {"name": _name(label), "deleted": int(one.get("deleted", 0)), "unlinked": int(one.get("unlinked", 0))}
        for label, one in found.tables.items()
    ]


def _name(label: str) -> str:
    try:
        return str(apps.get_model(label)._meta.verbose_name_plural)
    except (LookupError, ValueError):
        return label


def _stayed(found: CleanupRun) -> list[tuple[str, int, int]]:
    """Target, rows that were locked, rows that were held."""
    return [
        (targets.label(key), int(one.get("locked", 0)), int(one.get("held", 0)))
        for key, one in found.skipped.items()
        if one.get("locked") or one.get("held")
    ]
