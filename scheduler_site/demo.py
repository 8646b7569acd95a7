"""Demo schedules over the demo fixtures: one of each kind, one of which fires within two minutes."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import get_user_model

from cleanup import services as cleanup_services
from cleanup.models import CleanupPolicy
from reports.models import ReportDefinition
from schedules import calendars, kinds, services
from schedules.drafts import ScheduleDraft
from schedules.models import HolidayCalendar, Schedule


@dataclass(frozen=True)
class _Demo:
    name: str
    kind: str
    target: str
    """The start of the target's name in the fixtures."""
    expression: str
    time_zone: str = "UTC"
    pause_reason: str = ""
    calendar_rule: str = ""
    """What it does on a German holiday; empty when it follows no calendar."""


_DEMOS = (
    _Demo("Team memo, every two minutes", "newsletter", "Team memo", "*/2 * * * *"),
    _Demo(
        "Weekly letter, Mondays at nine",
        "newsletter",
        "Weekly letter",
        "0 9 * * mon",
        "Europe/Berlin",
        calendar_rule="move",
    ),
    _Demo(
        "Deliveries and subscribers, every Monday",
        "report",
        "Deliveries and subscribers",
        "0 7 * * mon",
        "Europe/Berlin",
    ),
    _Demo(
        "Runs by schedule, daily",
        "report",
        "Runs by schedule",
        "15 6 * * *",
        pause_reason="Nobody needs it in the holidays",
    ),
    _Demo("Tidy up, every night", "cleanup", "Old sign-ups", "30 3 * * *"),
    _Demo("Old runs, first of the month", "cleanup", "Runs of more than a year", "0 4 1 * *"),
)


_ENABLED = ("Old sign-ups and sessions", "Runs of more than a year ago")
"""Cleanups that are on from the start; nothing in the demo is old enough for the others to show."""


def load() -> int:
    """Adds the demo schedules whose targets exist, unless there are schedules already; returns how many."""
    if Schedule.objects.exists():
        return 0
    first = get_user_model()._default_manager.filter(is_superuser=True).order_by("pk").first()
    ReportDefinition.objects.filter(owner=None).update(owner=first)  # reports are made with somebody's rights
    _enable_cleanups()
    calendar = calendars.save_calendar(
        None, HolidayCalendar(), name="Germany", country="DE", own_days="12-24 Christmas Eve"
    )
    added = 0
    for demo in _DEMOS:
        target = next((t for t in kinds.get(demo.kind).targets() if str(t).startswith(demo.target)), None)
        if target is None:
            continue
        schedule = services.create_schedule(
            None,
            ScheduleDraft.for_kind(
                demo.kind,
                name=demo.name,
                target_id=target.pk,
                expression=demo.expression,
                time_zone=demo.time_zone,
                calendar_id=calendar.pk if demo.calendar_rule else None,
                calendar_rule=demo.calendar_rule or "skip",
            ),
        )
        if demo.pause_reason:
            services.pause_schedule(None, schedule.pk, reason=demo.pause_reason)
        added += 1
    return added


def _enable_cleanups() -> None:
    """As a person does it: no policy is on that was not previewed."""
    for policy in CleanupPolicy.objects.filter(name__in=_ENABLED):
        cleanup_services.preview_policy(None, policy.pk)
        cleanup_services.enable_policy(None, policy.pk)
