"""A policy's own page and its verbs. GET shows, POST changes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from cleanup import planner, services, targets
from cleanup.models import CleanupPolicy


@require_safe
def detail(request: HttpRequest, policy_id: int) -> HttpResponse:
    """The rule, the last preview, and what its runs deleted."""
    if not request.user.has_perm("cleanup.view_cleanuppolicy"):
        raise PermissionDenied
    policy = get_object_or_404(CleanupPolicy, pk=policy_id)
    preview = policy.previews.order_by("-id").first()
    known = {target.key: target.label for target in targets.all_targets()}
    context = {
        "policy": policy,
        "labels": [known.get(key, key) for key in policy.targets],
        "preview": preview,
        "is_fresh": services.valid_preview(policy) is not None,
        "is_same_rule": preview is not None and preview.rule_hash == planner.rule_hash(policy),
        "runs": policy.runs.all()[:20],
        "title": policy.name,
    }
    return TemplateResponse(request, "cleanup/detail.html", {**admin.site.each_context(request), **context})


@require_POST
def preview(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Counts now."""
    get_object_or_404(CleanupPolicy, pk=policy_id)
    try:
        found = services.preview_policy(request.user, policy_id)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        rows = f"{found.total:,} row{'' if found.total == 1 else 's'}"
        messages.success(request, f"It would delete {rows} now. Nothing was deleted by this preview.")
    return _back(policy_id)


@require_POST
def enable(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Switches it on."""
    return _switch(request, policy_id, services.enable_policy, "Enabled: schedules may run it.")


@require_POST
def disable(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Switches it off."""
    return _switch(request, policy_id, services.disable_policy, "Disabled: its schedules will not delete anything.")


def _switch(request: HttpRequest, policy_id: int, service: Any, done: str) -> HttpResponse:
    get_object_or_404(CleanupPolicy, pk=policy_id)
    try:
        service(request.user, policy_id)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, done)
    return _back(policy_id)


def _back(policy_id: int) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:cleanup_cleanuppolicy_detail", args=[policy_id]))
