"""One making of a report, the files it made, and who took them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from reports.models.definition import COMPLETE, ReportDefinition


class Format(models.TextChoices):
    """The formats a report can be written in."""

    CSV = "csv", "CSV"
    XLSX = "xlsx", "Excel (XLSX)"
    JSONL = "jsonl", "JSON Lines"
    PARQUET = "parquet", "Parquet"
    PDF = "pdf", "PDF"


class ReportRun(models.Model):
    """One making of a report, with its window as it was resolved. It outlives its definition."""

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Being made"
        SUCCEEDED = "succeeded", "Complete"
        INCOMPLETE = "incomplete", "Incomplete"
        SKIPPED = "skipped", "Made, not sent"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    definition = models.ForeignKey(
        ReportDefinition, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
    )
    name = models.CharField("report", max_length=120)
    run_id = models.BigIntegerField(unique=True, help_text="The run in the ledger; history outlives it.")
    again_of = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Made again for its window.",
    )
    version = models.PositiveIntegerField(default=1, help_text="Of the definition.")
    choices = models.JSONField(
        default=dict,
        blank=True,
        help_text="What the definition said when it was made: data set, selection, parameters.",
    )
    scheduled_for = models.DateTimeField("for")
    period = models.CharField("period", max_length=120, help_text="The window in words.")
    window_start = models.DateTimeField("from")
    window_end = models.DateTimeField("up to, without")
    time_zone = models.CharField(max_length=64, default="UTC")
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    row_count = models.PositiveBigIntegerField("rows", null=True, blank=True)
    content_sha256 = models.CharField(
        max_length=64, blank=True, help_text="Of the rows, whatever the formats; whether they changed is told by it."
    )
    summary = models.JSONField(
        default=dict, blank=True, help_text="Totals, what they were in the period before, and the points of its charts."
    )
    error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["definition", "-id"], name="reportrun_of_definition")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_kept(self) -> bool:
        """Whether it is one of the latest complete ones, which its report keeps however old they are.

        The latest are those of the latest days: an old one that was made again takes no new one's place.
        """
        if self.definition is None or self.state not in COMPLETE:
            return False
        complete = ReportRun.objects.filter(definition_id=self.definition_id, state__in=COMPLETE)
        later = models.Q(window_end__gt=self.window_end) | models.Q(window_end=self.window_end, pk__gt=self.pk)
        newer = complete.filter(
            later, models.Exists(Artefact.objects.filter(report_run=models.OuterRef("pk"), deleted_at=None))
        )
        return len(newer.order_by("pk").values("pk")[: self.definition.keep_last]) < self.definition.keep_last


class Artefact(models.Model):
    """A finished file. Once this row exists its file never changes; an expired one keeps its row without the file."""

    report_run = models.ForeignKey(ReportRun, on_delete=models.CASCADE, related_name="artefacts")
    format = models.CharField(max_length=12, choices=Format.choices, default=Format.CSV)
    part = models.PositiveSmallIntegerField(default=1, help_text="Of the files that a report was split into.")
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    file_name = models.CharField("file", max_length=200, help_text="The name that a browser saves it under.")
    byte_count = models.PositiveBigIntegerField("size")
    row_count = models.PositiveBigIntegerField("rows")
    sha256 = models.CharField("fingerprint (SHA-256)", max_length=64)
    created_at = models.DateTimeField("made", default=timezone.now)
    expires_at = models.DateTimeField("kept until")
    deleted_at = models.DateTimeField("file deleted", null=True, blank=True)
    deleted_why = models.CharField("why", max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "report file"
        verbose_name_plural = "report library"
        permissions: ClassVar = [("download_artefact", "Can download report files")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["report_run", "format", "part"], name="artefact_once_per_format")
        ]
        indexes: ClassVar = [
            # Only what is still there: what was deleted stays on record for good, with its time in the past.
            models.Index(fields=["expires_at", "id"], condition=models.Q(deleted_at=None), name="artefact_there")
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_in_time(self) -> bool:
        """Whether the day until which it is kept has not come."""
        return self.expires_at > timezone.now()

    @property
    def is_available(self) -> bool:
        """Whether the file is still meant to be there: not past its time, or one of the latest, which have none."""
        return self.deleted_at is None and (self.is_in_time or self.report_run.is_kept)


class DownloadEvent(models.Model):
    """One download, or part of one, by one person, or by whoever holds a link."""

    artefact = models.ForeignKey(Artefact, on_delete=models.CASCADE, related_name="downloads")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    link = models.ForeignKey(
        "reports.ShareLink", null=True, blank=True, on_delete=models.SET_NULL, related_name="downloads"
    )
    ip = models.GenericIPAddressField("address", null=True, blank=True)
    byte_range = models.CharField(
        "part", max_length=60, blank=True, help_text="First and last byte; empty for the whole file."
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["ip", "at"], name="downloadevent_by_address")]

    def __str__(self) -> str:
        return f"{self.user or 'somebody'} took {self.artefact}"
