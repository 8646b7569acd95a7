"""Files of subscribers that staff upload, how far each was read, and what was wrong with which row."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from newsletters.models.audience import List


def upload_path(job: ImportJob, filename: str) -> str:
    """Where an uploaded file is kept: under a name of ours, never one that the browser sent."""
    return f"imports/{job.public_id}"


class ImportJob(models.Model):
    """One file on its way in: uploaded, its columns assigned, tried, taken over."""

    class State(models.TextChoices):
        UPLOADED = "uploaded", "Columns to assign"
        CHECKING = "checking", "Being checked"
        CHECKED = "checked", "Checked, not imported yet"
        RUNNING = "running", "Being imported"
        DONE = "done", "Imported"
        FAILED = "failed", "Stopped by a problem"
        CANCELLED = "cancelled", "Cancelled"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    file = models.FileField(upload_to=upload_path, max_length=200)
    original_name = models.CharField("file", max_length=200, blank=True)
    bytes = models.PositiveBigIntegerField(default=0)
    encoding = models.CharField(max_length=20, default="utf-8")
    delimiter = models.CharField(max_length=1, default=",")
    has_header = models.BooleanField(default=True)
    columns = models.JSONField(default=list, help_text="The names in the first row.")
    mapping = models.JSONField(default=dict, help_text="Column number to field: email, name, language, attribute keys.")
    lists = models.ManyToManyField(List, related_name="+", blank=True)
    update_existing = models.BooleanField(
        "change those we have", default=False, help_text="Otherwise their name and attributes stay as they are."
    )
    consent = models.CharField(
        "how they agreed", max_length=300, blank=True, help_text="Kept with each subscription, as proof."
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.UPLOADED)
    problem = models.CharField(max_length=300, blank=True)
    run_id = models.BigIntegerField(null=True, blank=True)
    position = models.PositiveBigIntegerField(
        default=0, help_text="Rows that are settled; a repeated run goes on here."
    )
    rows = models.PositiveBigIntegerField(null=True, blank=True, help_text="In the file; known after the check.")
    added = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    suppressed = models.PositiveIntegerField("opted out", default=0)
    wrong = models.PositiveIntegerField(default=0)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField("uploaded", default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "import"

    def __str__(self) -> str:
        return self.original_name or "an import"


class ImportProblem(models.Model):
    """A row that was not taken over, and why."""

    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="problems")
    row = models.PositiveBigIntegerField(help_text="Counted from 1, the heading included, as a spreadsheet shows it.")
    kind = models.CharField(max_length=12, help_text="wrong or suppressed.")
    column = models.CharField(max_length=80, blank=True)
    value = models.CharField(max_length=200, blank=True)
    message = models.CharField(max_length=300)

    class Meta:
        ordering: ClassVar = ["job", "row"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["job", "row"], name="import_problem_once")]

    def __str__(self) -> str:
        return f"Row {self.row}: {self.message}"
