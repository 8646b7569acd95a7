"""The panel that says when a thing runs, for the page of the thing."""

from __future__ import annotations

from typing import Any

from django import template
from django.db import models
from django.template import RequestContext

from schedules import target_panel

register = template.Library()


@register.inclusion_tag("schedules/_target_panel.html", takes_context=True)
def when_it_runs(context: RequestContext, target: models.Model | None, title: str = "When it runs") -> dict[str, Any]:
    """Its schedules with state, times and buttons; nothing for a thing that is not saved yet."""
    request = context["request"]
    shown = target_panel.panel(target, request.user) if target is not None and target.pk else None
    return {"panel": shown, "title": title, "request": request, "csrf_token": context.get("csrf_token")}
