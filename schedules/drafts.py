"""What a schedule is to become, and the one validation that every door goes through."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django_celery_beat.models import PeriodicTask

from runs import clock, names
from schedules import cron, kinds, targets, zones
from schedules.models import YEAR_SECONDS, HolidayCalendar, Schedule
from schedules.policies import CALENDAR_CHOICES, MISSED_CHOICES, OVERLAP_CHOICES
from schedules.working_days import CalendarError

MAX_NAME_LENGTH = 200
_CHOICES: dict[str, list[str]] = {
    "mode": list(Schedule.Mode.values),
    "missed": [value for value, _ in MISSED_CHOICES],
    "overlap": [value for value, _ in OVERLAP_CHOICES],
    "calendar_rule": [value for value, _ in CALENDAR_CHOICES],
}


@dataclass(frozen=True)
class ScheduleDraft:
    """Every value that staff decide about a schedule."""

    name: str
    kind: str
    target_id: int | None
    mode: str = Schedule.Mode.CRON
    expression: str = ""
    time_zone: str = "UTC"
    every_seconds: int | None = None
    once_at: datetime | None = None
    ends_at: datetime | None = None
    max_runs: int | None = None
    missed: str = "latest"
    start_deadline_seconds: int | None = None
    overlap: str = "skip"
    time_limit_seconds: int = 3600
    retries: int = 0
    missed_cap: int = 10
    retry_delay_seconds: int = 60
    jitter_seconds: int = 0
    calendar_id: int | None = None
    calendar_rule: str = "skip"
    notify_after: int = 1
    pause_after: int | None = None

    @classmethod
    def for_kind(cls, kind: str, **values: Any) -> ScheduleDraft:
        """A draft with the rules that the kind of job starts with, and the given values."""
        return cls(kind=kind, **{**kind_defaults(kind), **values})

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleDraft:
        """The values that an existing schedule has."""
        return cls(**{field.name: getattr(schedule, field.name) for field in fields(cls)})

    @property
    def timing_values(self) -> tuple[Any, ...]:
        """The values that decide when it is due; a change of any is a new version of the schedule."""
        return (
            self.mode, self.expression, self.time_zone, self.every_seconds, self.once_at, self.calendar_id,
            self.calendar_rule,
        )  # fmt: skip

    def schedule_values(self) -> dict[str, Any]:
        """The values stored on Schedule itself (its name is on the PeriodicTask)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["name"]
        return values


def kind_defaults(kind: str) -> dict[str, Any]:
    """The rules that a new schedule of this kind starts with; none for a kind that is not installed."""
    known = kinds.find(kind)
    return {} if known is None else asdict(known.defaults)


def validate(draft: ScheduleDraft, existing: Schedule | None = None) -> None:
    """Raises ValidationError with a message per field, in plain words."""
    errors: dict[str, str] = {}
    _check_name(draft, existing, errors)
    _check_target(draft, errors)
    _check_zone(draft, errors)
    if "time_zone" not in errors:
        _check_timing(draft, existing, errors)
    if draft.start_deadline_seconds is not None and draft.start_deadline_seconds < 60:
        errors["start_deadline_seconds"] = "Give it at least one minute to start."
    if not 10 <= draft.time_limit_seconds <= 86400:
        errors["time_limit_seconds"] = "The time limit must be between 10 seconds and 24 hours."
    _check_numbers(draft, errors)
    _check_calendar(draft, errors)
    for field in _CHOICES:
        choices = _CHOICES[field]
        if getattr(draft, field) not in choices:
            errors[field] = f"Choose one of: {', '.join(choices)}."
    if errors:
        raise ValidationError(errors)


_LIMITS = {
    "retries": (0, 10, "Write a number from 0 to 10."),
    "missed_cap": (1, 100, "Write a number from 1 to 100."),
    "retry_delay_seconds": (1, 86400, "Write at least 1 second and at most 24 hours."),
    "jitter_seconds": (0, 86400, "Spread the start over at most 24 hours; 0 starts at the due time."),
    "notify_after": (0, 100, "Write a number from 0 (tell nobody) to 100."),
    "max_runs": (1, 1_000_000, "Write a number from 1 to 1,000,000, or leave it empty for no limit."),
    "pause_after": (1, 100, "Write a number from 1 to 100, or leave it empty to go on."),
}


def _check_numbers(draft: ScheduleDraft, errors: dict[str, str]) -> None:
    for name, (low, high, words) in _LIMITS.items():
        value = getattr(draft, name)
        if value is not None and not low <= value <= high:
            errors[name] = words


def _check_calendar(draft: ScheduleDraft, errors: dict[str, str]) -> None:
    if draft.calendar_id is None:
        return
    calendar = HolidayCalendar.objects.filter(pk=draft.calendar_id).first()
    if calendar is None:
        errors["calendar_id"] = "That calendar no longer exists. Choose another one, or none."
        return
    try:
        calendar.days()
    except CalendarError as error:
        errors["calendar_id"] = f"That calendar cannot be read: {error}"


def _check_name(draft: ScheduleDraft, existing: Schedule | None, errors: dict[str, str]) -> None:
    others = (
        PeriodicTask.objects.all() if existing is None else PeriodicTask.objects.exclude(pk=existing.periodic_task_id)
    )
    found = names.problem(draft.name, "schedule", "Weekly letter, Mondays", max_length=MAX_NAME_LENGTH, others=others)
    if found:
        errors["name"] = found


def _check_target(draft: ScheduleDraft, errors: dict[str, str]) -> None:
    if words := targets.missing(draft.kind, draft.target_id):
        errors["target_id"] = words


def _check_zone(draft: ScheduleDraft, errors: dict[str, str]) -> None:
    try:
        zones.zone(draft.time_zone)
    except zones.UnknownZone as error:
        errors["time_zone"] = str(error)


def _check_timing(draft: ScheduleDraft, existing: Schedule | None, errors: dict[str, str]) -> None:
    if draft.mode == Schedule.Mode.CRON:
        try:
            cron.parse(draft.expression, draft.time_zone)
        except cron.CronError as error:
            errors["expression"] = str(error)
    elif draft.mode == Schedule.Mode.INTERVAL:
        if draft.every_seconds is None or not 60 <= draft.every_seconds <= YEAR_SECONDS:
            errors["every_seconds"] = "Write how often: at least every minute, at most once a year."
    elif draft.mode == Schedule.Mode.ONCE:
        if draft.once_at is None:
            errors["once_at"] = "Write the date and time, such as 2026-12-24 18:00."
        elif (existing is None or existing.once_at != draft.once_at) and draft.once_at <= clock.now():
            errors["once_at"] = "That time has passed. Choose one in the future, or use Run now."
    if (
        draft.ends_at is not None
        and draft.ends_at <= clock.now()
        and (existing is None or existing.ends_at != draft.ends_at)
    ):
        errors["ends_at"] = "That end has already passed. Choose a later one, or leave it empty."
