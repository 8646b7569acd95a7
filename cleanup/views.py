"""A policy's own page and its verbs, and the live part of its form. GET shows, POST changes."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from cleanup import live as live_counts
from cleanup import policy_page, services
from cleanup.forms import PolicyForm
from cleanup.models import CleanupPolicy
from runs import words
from runs.pages import page, verb
from runs.row_numbers import row_number

VIEW, ADD, CHANGE = (f"cleanup.{one}_cleanuppolicy" for one in ("view", "add", "change"))
_verb = verb(CleanupPolicy, "admin:cleanup_cleanuppolicy_detail")
"""A button of the policy's page."""


@require_safe
def detail(request: HttpRequest, object_id: int) -> HttpResponse:
    """The state in a sentence, the steps until it is on, what it would delete, and how its runs got on."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    policy = get_object_or_404(CleanupPolicy.objects.select_related("owner"), pk=object_id)
    return page(request, "cleanup/detail.html", {**policy_page.whole(request, policy), "title": policy.name})


@require_POST
def live(request: HttpRequest) -> HttpResponse:
    """What the policy would delete as it is typed. Changes nothing stored."""
    number = row_number(request.GET.get("policy", ""))
    stored = CleanupPolicy.objects.filter(pk=number).first() if number is not None else None
    if not request.user.has_perm(CHANGE if stored is not None else ADD):
        raise PermissionDenied
    form: type[PolicyForm] = type("PolicyForm", (PolicyForm,), {"actor": request.user})
    shown = live_counts.of_form(form(request.POST, instance=stored))
    return render(request, "cleanup/_live.html", {"live": shown})


@_verb
def preview(request: HttpRequest, policy_id: int) -> str:
    """Counts now."""
    found = services.preview_policy(request.user, policy_id)
    about = "about " if found.is_estimate else ""
    said = f"It would delete {about}{words.counted(found.total, 'row')} now. Nothing was deleted by this preview."
    return said if found.pk else f"{said} It is not kept, as you only look on."


@_verb
def enable(request: HttpRequest, policy_id: int) -> str:
    """Switches it on."""
    services.enable_policy(request.user, policy_id)
    return "It is on: its schedules may run it from now on."


@_verb
def disable(request: HttpRequest, policy_id: int) -> str:
    """Switches it off."""
    services.disable_policy(request.user, policy_id)
    return "It is off: nothing deletes anything by it until it is switched on again."


@_verb
def ask(request: HttpRequest, policy_id: int) -> str:
    """Asks those who may approve it."""
    _, told = services.ask_for_approval(request.user, policy_id)
    if not told:
        return "Asked. Nobody else may approve it yet: an administrator has to give somebody the permission."
    return f"Asked. {words.counted(told, 'person has', 'people have')} been told."
