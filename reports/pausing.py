"""Schedules whose report cannot be made until somebody puts it right are paused: failing each time helps nobody."""

from __future__ import annotations

from contextlib import suppress

from django.core.exceptions import ValidationError

from reports.models import ReportDefinition
from schedules import services, targets


def pause_schedules(definition: ReportDefinition, why: str) -> None:
    """Pauses whatever runs this report, with the reason; what is paused already stays as it is."""
    for schedule in targets.schedules_of(definition).filter(paused_at=None):
        with suppress(ValidationError):  # somebody was quicker
            services.pause_schedule(None, schedule.pk, reason=why[:200])
