"""What the form of a new schedule starts with: a copy of another one, one of the templates, or what a link named."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django_celery_beat.models import PeriodicTask

from runs import clock
from runs.audit import Actor
from runs.row_numbers import row_number
from schedules import templates_offered
from schedules.drafts import MAX_NAME_LENGTH
from schedules.forms import rules_as_fields, values_of
from schedules.models import Schedule


def of_request(request: HttpRequest) -> dict[str, Any]:
    """Initial values of the form, from the address.

    Raises:
        PermissionDenied: it asks for a copy of a schedule that this person may not see.
    """
    asked = request.GET
    if number := asked.get("from", ""):
        return copy_of(request.user, number)
    template = templates_offered.find(request.user, asked.get("template", ""))
    if template is not None:
        return {**rules_as_fields(template.kind), **templates_offered.field_values_of(template)}
    named = {name: asked[name] for name in ("what", "name", "words") if asked.get(name)}
    if "what" in named:
        named = {**rules_as_fields(named["what"].partition(":")[0]), **named}
    return named


def copy_of(actor: Actor, number: str) -> dict[str, Any]:
    """The values of an existing schedule, under a name of its own. Pauses, skips and what is past stay behind."""
    if actor is not None and not actor.has_perm("schedules.view_schedule"):  # type: ignore[union-attr]
        raise PermissionDenied("You may not see the schedule that this would be a copy of.")
    schedule = Schedule.objects.select_related("periodic_task").filter(pk=row_number(number) or 0).first()
    if schedule is None:
        return {}
    values = {**values_of(schedule), "name": _free_name(schedule.name)}
    now = clock.now()
    if schedule.once_at is not None and schedule.once_at <= now:
        values["once_at"] = None
    if schedule.ends_at is not None and schedule.ends_at <= now:
        values["ends_at"] = None
    return values


def _free_name(name: str) -> str:
    """ "Copy of Weekly letter", or "Copy of Weekly letter (2)" where that is taken; never longer than a name may be."""
    stem = f"Copy of {name}"[: MAX_NAME_LENGTH - 6].rstrip()
    for number in range(1, 100):
        candidate = stem if number == 1 else f"{stem} ({number})"
        if not PeriodicTask.objects.filter(name=candidate).exists():
            return candidate
    return ""
