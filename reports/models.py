"""What a report is (definition), one making of it (report run), the file it made (artefact), and who took that."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from reports import periods
from reports.periods import Window

MAX_RETENTION_DAYS = 3650


class Period(models.TextChoices):
    """Which days a report covers, counted from the moment it was due, in its own time zone."""

    YESTERDAY = "yesterday", "Yesterday"
    LAST_WEEK = "last_week", "Last week (Monday to Sunday)"
    LAST_MONTH = "last_month", "Last month"
    MONTH_TO_DATE = "month_to_date", "This month so far (without today)"
    LAST_N_DAYS = "last_n_days", "The last days (without today)"


class DefinitionManager(models.Manager["ReportDefinition"]):
    """Finds a report by its name."""

    def get_by_natural_key(self, name: str) -> ReportDefinition:
        return self.get(name=name)


class ReportDefinition(models.Model):
    """What is counted, for which days, and who hears about it. When it is made is its schedules' business."""

    name = models.CharField(max_length=120, unique=True)
    data_set = models.CharField("what it lists", max_length=60)
    period = models.CharField("days", max_length=20, choices=Period.choices, default=Period.LAST_WEEK)
    last_n = models.PositiveSmallIntegerField("number of days", null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    row_cap = models.PositiveIntegerField(
        "at most this many rows", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    retention_days = models.PositiveSmallIntegerField(
        "keep files for (days)", default=90, validators=[MinValueValidator(1), MaxValueValidator(MAX_RETENTION_DAYS)]
    )
    notify = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+", verbose_name="tell")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField("last changed", auto_now=True)

    objects = DefinitionManager()

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "report"
        permissions: ClassVar = [("run_report", "Can schedule a report, or run it now")]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)

    def window_at(self, due_at: datetime) -> Window:
        """The days it covers when it is due at that instant. Raises ValueError or KeyError when it cannot be read."""
        return periods.resolve(self.period, due_at, self.time_zone, self.last_n)


class ReportRun(models.Model):
    """One making of a report, with its window as it was resolved. It outlives its definition."""

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Being made"
        SUCCEEDED = "succeeded", "Complete"
        INCOMPLETE = "incomplete", "Incomplete"
        FAILED = "failed", "Failed"

    definition = models.ForeignKey(
        ReportDefinition, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
    )
    name = models.CharField("report", max_length=120)
    run_id = models.BigIntegerField(unique=True, help_text="The run in the ledger; history outlives it.")
    scheduled_for = models.DateTimeField("for")
    period = models.CharField("period", max_length=120, help_text="The window in words.")
    window_start = models.DateTimeField("from")
    window_end = models.DateTimeField("up to, without")
    time_zone = models.CharField(max_length=64, default="UTC")
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    row_count = models.PositiveBigIntegerField("rows", null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.name


class Artefact(models.Model):
    """A finished file. Once this row exists its file never changes; an expired one keeps its row without the file."""

    class Format(models.TextChoices):
        CSV = "csv", "CSV"

    report_run = models.ForeignKey(ReportRun, on_delete=models.CASCADE, related_name="artefacts")
    format = models.CharField(max_length=12, choices=Format.choices, default=Format.CSV)
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    file_name = models.CharField("file", max_length=200, help_text="The name that a browser saves it under.")
    byte_count = models.PositiveBigIntegerField("size")
    row_count = models.PositiveBigIntegerField("rows")
    sha256 = models.CharField("fingerprint (SHA-256)", max_length=64)
    created_at = models.DateTimeField("made", default=timezone.now)
    expires_at = models.DateTimeField("kept until")
    deleted_at = models.DateTimeField("file deleted", null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "report file"
        verbose_name_plural = "report library"
        permissions: ClassVar = [("download_artefact", "Can download report files")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["report_run", "format"], name="artefact_once_per_format")
        ]
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="artefact_by_expiry")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_available(self) -> bool:
        """Whether the file is still meant to be there."""
        return self.deleted_at is None and self.expires_at > timezone.now()


class DownloadEvent(models.Model):
    """One download, or part of one, by one person."""

    artefact = models.ForeignKey(Artefact, on_delete=models.CASCADE, related_name="downloads")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    ip = models.GenericIPAddressField("address", null=True, blank=True)
    byte_range = models.CharField(
        "part", max_length=60, blank=True, help_text="First and last byte; empty for the whole file."
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.user or 'somebody'} took {self.artefact}"
