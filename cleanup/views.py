"""A policy's own page and its verbs. GET shows, POST changes."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from cleanup import planner, services, targets
from cleanup.models import CleanupPolicy
from runs import words
from runs.pages import page, verb

_verb = verb(CleanupPolicy, "admin:cleanup_cleanuppolicy_detail")
"""A button of the policy's page."""


@require_safe
def detail(request: HttpRequest, object_id: int) -> HttpResponse:
    """The rule, the last preview, and what its runs deleted."""
    if not request.user.has_perm("cleanup.view_cleanuppolicy"):
        raise PermissionDenied
    policy = get_object_or_404(CleanupPolicy, pk=object_id)
    preview = policy.previews.order_by("-id").first()
    context = {
        "policy": policy,
        "labels": [targets.label(key) for key in policy.targets],
        "preview": preview,
        "is_fresh": services.valid_preview(policy) is not None,
        "is_same_rule": preview is not None and preview.rule_hash == planner.rule_hash(policy),
        "runs": policy.runs.all()[:20],
        "title": policy.name,
    }
    return page(request, "cleanup/detail.html", context)


@_verb
def preview(request: HttpRequest, policy_id: int) -> str:
    """Counts now."""
    found = services.preview_policy(request.user, policy_id)
    return f"It would delete {words.counted(found.total, 'row')} now. Nothing was deleted by this preview."


@_verb
def enable(request: HttpRequest, policy_id: int) -> str:
    """Switches it on."""
    services.enable_policy(request.user, policy_id)
    return "Enabled: schedules may run it."


@_verb
def disable(request: HttpRequest, policy_id: int) -> str:
    """Switches it off."""
    services.disable_policy(request.user, policy_id)
    return "Disabled: its schedules will not delete anything."
