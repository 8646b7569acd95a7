"""Schedule: what is run when, by which rules; 1:1 with django-celery-beat's PeriodicTask."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property
from django_celery_beat.models import PeriodicTask

from runs import words
from schedules import cron, kinds, zones
from schedules.policies import CALENDAR_CHOICES, MISSED_CHOICES, OVERLAP_CHOICES, Pause, Policy
from schedules.timing import CronTiming, IntervalTiming, MovingTiming, OnceTiming, Timing
from schedules.working_days import WorkingDays, working_days

YEAR_SECONDS = 366 * 86400


class HolidayCalendar(models.Model):
    """The days off of a country or region, with days of one's own; many schedules may follow one."""

    name = models.CharField(max_length=100, unique=True)
    country = models.CharField(max_length=2, blank=True)
    subdivision = models.CharField("region", max_length=10, blank=True)
    own_days = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def days(self) -> WorkingDays:
        """What it says about any day. Raises :class:`schedules.working_days.CalendarError`."""
        return working_days(self.country, self.subdivision, self.own_days)


class Schedule(models.Model):
    """The truth about one schedule; its PeriodicTask row is kept in step for stock tools."""

    class Mode(models.TextChoices):
        CRON = "cron", "On certain days and times"
        INTERVAL = "interval", "Every so often"
        ONCE = "once", "Once"

    # Not "schedule": that is a property of PeriodicTask, which stock tools use.
    periodic_task = models.OneToOneField(PeriodicTask, on_delete=models.CASCADE, related_name="desk_schedule")
    kind = models.CharField(max_length=40)
    target_id = models.BigIntegerField()
    # Without indexes of their own, the foreign keys here cost nothing when the beat moves a schedule on.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )

    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.CRON)
    expression = models.CharField(max_length=600, blank=True)  # stock rows may list every minute
    time_zone = models.CharField(max_length=64, default="UTC")
    every_seconds = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(60), MaxValueValidator(YEAR_SECONDS)]
    )
    anchor_at = models.DateTimeField(null=True, blank=True)
    once_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    max_runs = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])

    calendar = models.ForeignKey(
        HolidayCalendar, null=True, blank=True, on_delete=models.PROTECT, related_name="schedules", db_index=False
    )
    calendar_rule = models.CharField(max_length=8, choices=CALENDAR_CHOICES, default="skip")
    jitter_seconds = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(86400)])

    missed = models.CharField(max_length=8, choices=MISSED_CHOICES, default="latest")
    missed_cap = models.PositiveIntegerField(default=10, validators=[MinValueValidator(1), MaxValueValidator(100)])
    start_deadline_seconds = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(60)])
    overlap = models.CharField(max_length=8, choices=OVERLAP_CHOICES, default="skip")
    time_limit_seconds = models.PositiveIntegerField(
        default=3600, validators=[MinValueValidator(10), MaxValueValidator(86400)]
    )
    retries = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(10)])
    retry_delay_seconds = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(1), MaxValueValidator(86400)]
    )
    notify_after = models.PositiveIntegerField(default=1, help_text="Failures in a row; 0 tells nobody.")
    pause_after = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    consecutive_failures = models.PositiveIntegerField(default=0)

    paused_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=200, blank=True)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    skip_at = models.DateTimeField(null=True, blank=True)
    broken_reason = models.CharField(max_length=300, blank=True)

    cursor_at = models.DateTimeField(help_text="Every due time up to here has its ledger row.")
    next_due_at = models.DateTimeField(null=True, blank=True, db_index=True)
    planned_count = models.PositiveIntegerField(default=0)
    spec_version = models.PositiveIntegerField(default=1)
    settled_timing = models.TextField(
        blank=True, help_text="The timing that next_due_at was computed from; another one is an edit."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["periodic_task__name"]
        permissions: ClassVar = [
            ("pause_schedule", "Can pause and resume a schedule"),
            ("run_schedule", "Can run a schedule now"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["paused_until"], condition=Q(paused_at__isnull=False), name="schedule_paused"),
            models.Index(fields=["id"], condition=~Q(broken_reason=""), name="schedule_broken"),
            models.Index(fields=["kind", "target_id"], name="schedule_by_target"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        # A query may bring it along as joined_name, so that the PeriodicTask need not be loaded.
        return self.__dict__.get("joined_name") or str(self.periodic_task.name)

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None

    @property
    def own_pause(self) -> Pause | None:
        """Its pause as :mod:`schedules.policies` knows it; None while it is not paused."""
        return None if self.paused_at is None else Pause(self.paused_at, self.paused_until, self.pause_reason)

    @property
    def job_kind(self) -> kinds.JobKind | None:
        """The kind of job it runs; None when the app that knew it is not installed."""
        return kinds.find(self.kind)

    @cached_property
    def timing(self) -> Timing:
        """When it is due. Raises :class:`schedules.cron.CronError` when the stored values cannot be read."""
        plain = self._plain_timing()
        if self.calendar_id is None or self.calendar_rule != "move":
            return plain
        return MovingTiming(plain, self.time_zone, self._days_off)

    @cached_property
    def _days_off(self) -> WorkingDays:
        assert self.calendar is not None
        try:
            return self.calendar.days()
        except ValueError as error:
            raise cron.CronError(f"Its calendar cannot be read: {error}", "calendar") from error

    def _plain_timing(self) -> Timing:
        try:
            zones.zone(self.time_zone)
        except zones.UnknownZone as error:
            raise cron.CronError(str(error), "time zone") from error
        if self.mode == self.Mode.CRON:
            return CronTiming(cron.parse(self.expression, self.time_zone))
        if self.mode == self.Mode.INTERVAL:
            if not self.every_seconds or self.anchor_at is None:
                raise cron.CronError("The interval is missing; write for example 30 minutes.", "every")
            return IntervalTiming(self.anchor_at, timedelta(seconds=self.every_seconds))
        if self.once_at is None:
            raise cron.CronError("The date and time are missing; write for example 2026-12-24 18:00.", "once_at")
        return OnceTiming(self.once_at, self.time_zone)

    @property
    def timing_text(self) -> str:
        """Everything that decides when it is due, as one text to compare."""
        values = (
            self.mode, self.expression, self.time_zone, self.every_seconds, self.anchor_at, self.once_at, self.ends_at,
            self.max_runs, self.calendar_id, self.calendar_rule,
        )  # fmt: skip
        return "|".join("" if value is None else str(value) for value in values)

    @property
    def is_timed_anew(self) -> bool:
        """Whether its timing was changed past the services, and not reconciled yet."""
        return bool(self.settled_timing) and self.settled_timing != self.timing_text

    def why_day_off(self, due_at: datetime) -> str:
        """Why it does not run at this due time because of its calendar; empty when it does."""
        if self.calendar_id is None:
            return ""
        local = due_at.astimezone(zones.zone(self.time_zone))
        holiday = self._days_off.holiday(local.date())
        if not holiday or self.calendar_rule != "move":
            return holiday
        moved = MovingTiming.moved(due_at, zones.zone(self.time_zone), self._days_off)
        if self.ends_at is not None and moved > self.ends_at:
            return f"{holiday}; the next working day is after the schedule's end"
        later = moved.astimezone(zones.zone(self.time_zone))
        return f"{holiday}; moved to {words.full_day(later)}, {later:%H:%M}"

    def describe(self) -> str:
        """When it runs, in words; the reason instead when it cannot be read."""
        try:
            return self.timing.describe()
        except cron.CronError as error:
            return f"Cannot be read: {error}"

    def next_after(self, after: datetime) -> datetime | None:
        """The next due time strictly after ``after``, or None when it has ended."""
        following = self.timing.upcoming(after, 1)
        if not following or (self.ends_at is not None and following[0] > self.ends_at):
            return None
        if self.max_runs is not None and self.planned_count >= self.max_runs:
            return None
        return following[0]

    def policy(self, desk_pauses: Sequence[Pause] = ()) -> Policy:
        """Its rules in the form that :mod:`schedules.policies` decides on."""
        return Policy(
            missed=self.missed,
            missed_cap=self.missed_cap,
            start_deadline=_seconds(self.start_deadline_seconds),
            overlap=self.overlap,
            pauses=(*filter(None, [self.own_pause]), *desk_pauses),
            skip_at=self.skip_at,
            day_off=self.why_day_off,
            runs_left=None if self.max_runs is None else max(0, self.max_runs - self.planned_count),
        )

    def target(self) -> models.Model | None:
        """What it runs; None when that was deleted or its kind is not installed."""
        kind = self.job_kind
        return None if kind is None else kind.target(self.target_id)

    def run_values(self) -> dict[str, Any]:
        """What every run of it takes over, whatever started the run."""
        kind = self.job_kind
        return {
            "schedule_id": self.pk,
            "schedule_name": self.name[:200],
            "kind": self.kind,
            "target_id": self.target_id,
            "time_zone": self.time_zone,
            "queue": "default" if kind is None else kind.queue,
            "exclusive": self.overlap != "allow",
            "time_limit_seconds": self.time_limit_seconds,
            "max_attempts": min(self.retries, 100) + 1,
            "retry_delay_seconds": self.retry_delay_seconds,
        }


def _seconds(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


class DeskPause(models.Model):
    """A stretch of time in which no schedule runs; what falls due in it is recorded as skipped, with the reason."""

    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField("why", max_length=200)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["-started_at"]
        permissions: ClassVar = [("pause_everything", "Can pause and resume everything")]
        constraints: ClassVar = [
            models.UniqueConstraint(models.Value(1), condition=Q(ended_at=None), name="desk_pause_one_at_a_time"),
        ]

    def __str__(self) -> str:
        return self.reason

    @property
    def as_pause(self) -> Pause:
        """As :mod:`schedules.policies` knows it."""
        return Pause(self.started_at, self.ended_at, self.reason, is_of_all=True)

    @classmethod
    def covering(cls, since: datetime) -> list[Pause]:
        """The pauses that lasted after ``since``."""
        rows = cls.objects.filter(Q(ended_at=None) | Q(ended_at__gt=since))
        return [row.as_pause for row in rows]


class OutsideEdit(models.Model):
    """A note that triggers in the database leave when a schedule's rows change, whoever changed them.

    Numbers instead of foreign keys: the rows may be gone. See :mod:`schedules.outside`.
    """

    periodic_task_id = models.BigIntegerField(null=True, blank=True)
    schedule_id = models.BigIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return f"task {self.periodic_task_id}, schedule {self.schedule_id}"
