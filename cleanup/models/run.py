"""CleanupRun: one cleaning and how far it is; ArchivePart: what it kept; FileOutbox: files that are still to go."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from cleanup.models.policy import Archiving, CleanupApproval, CleanupPolicy, CleanupPreview


class CleanupRun(models.Model):
    """One cleaning: frozen rule and cutoff, and what has been done so far, written with each batch."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        PARTIAL = "partial", "Stopped at its limit"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"

    policy = models.ForeignKey(CleanupPolicy, null=True, on_delete=models.SET_NULL, related_name="runs")
    policy_name = models.CharField(max_length=120)
    policy_version = models.PositiveIntegerField(default=0)
    run_id = models.BigIntegerField(unique=True)
    attempt = models.PositiveIntegerField(default=0)
    """The attempt of the run that owns it: a batch of any other one is refused."""
    rule = models.JSONField(default=dict)
    rule_hash = models.CharField(max_length=64, blank=True)
    preview = models.ForeignKey(CleanupPreview, null=True, on_delete=models.SET_NULL, related_name="runs")
    approval = models.ForeignKey(CleanupApproval, null=True, on_delete=models.SET_NULL, related_name="runs")
    cutoff = models.DateTimeField(null=True, blank=True)
    expected = models.PositiveBigIntegerField(null=True, blank=True)
    """How many rows were counted before the first batch."""
    allowed = models.PositiveBigIntegerField(null=True, blank=True)
    """It stops before it deletes more than this, whatever appears meanwhile."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    reason = models.CharField(max_length=300, blank=True)
    """Why it stopped, was refused or failed, in words."""

    deleted = models.JSONField(default=dict)
    """{target key: rows of the target itself}"""
    tables = models.JSONField(default=dict)
    """{model label: {"deleted": n, "unlinked": n}}, children included."""
    cursor = models.JSONField(default=dict)
    """{target key: {"place": where the last batch ended, "round": n, "done": bool}}"""
    skipped = models.JSONField(default=dict)
    """{target key: {"locked": n, "held": n}}: eligible rows that stayed, counted at the end."""
    poison = models.JSONField(default=list)
    """[{"target", "table", "pk", "error"}]: rows that could not be deleted, however they were tried."""
    batches = models.PositiveIntegerField(default=0)
    longest_batch_ms = models.PositiveIntegerField(default=0)
    spent_ms = models.PositiveBigIntegerField(default=0)
    """Time within batches, over all attempts."""
    files_removed = models.PositiveBigIntegerField(default=0)
    bytes_removed = models.PositiveBigIntegerField(default=0)
    backlog = models.PositiveBigIntegerField(null=True, blank=True)
    """Eligible rows that were left when it ended."""
    backlog_is_estimate = models.BooleanField(default=False)
    oldest_eligible = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["policy", "-id"], name="cleanup_run_by_policy")]

    def __str__(self) -> str:
        return f"{self.policy_name} (run {self.run_id})"

    @property
    def total(self) -> int:
        """How many rows it has deleted, children left out."""
        return sum(int(count) for count in self.deleted.values())

    @property
    def total_rows(self) -> int:
        """How many rows of all tables it has deleted."""
        return sum(int(counts.get("deleted", 0)) for counts in self.tables.values())


class ArchivePart(models.Model):
    """One file of archived rows: what exactly one batch deleted. Its record stays when the file goes."""

    cleanup_run = models.ForeignKey(CleanupRun, on_delete=models.PROTECT, related_name="parts")
    target = models.CharField(max_length=60)
    number = models.PositiveIntegerField()
    """Counts from 1 within the run; what was deleted last is put back first."""
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    format = models.CharField(max_length=8, choices=Archiving.choices)
    database = models.CharField(max_length=20)
    """The kind of database whose values it holds; only the same kind can take them back."""
    rows = models.JSONField(default=dict)
    """{model label: {"deleted": n, "unlinked": n}}"""
    row_count = models.PositiveBigIntegerField(default=0)
    byte_count = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64)
    first_pk = models.CharField(max_length=64, blank=True)
    last_pk = models.CharField(max_length=64, blank=True)
    written_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    deleted_why = models.CharField(max_length=200, blank=True)
    restored_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["cleanup_run", "number"], name="archive_part_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["expires_at", "id"], condition=Q(deleted_at=None), name="archive_part_there"),
        ]
        permissions: ClassVar = [
            ("download_archivepart", "Can download archived rows"),
            ("restore_archivepart", "Can put archived rows back"),
        ]
        verbose_name = "archive"

    def __str__(self) -> str:
        return f"{self.cleanup_run.policy_name}, part {self.number}"


class FileOutbox(models.Model):
    """A file whose row was deleted: written with the batch, removed after it, tried again until it is gone."""

    path = models.CharField(max_length=400)
    """Relative to the folder of all files."""
    named_by = models.JSONField(default=list)
    """[[model label, {column: value}]]: rows that would still need it; asked once more before it goes."""
    why = models.CharField(max_length=200)
    target = models.CharField(max_length=60)
    cleanup_run = models.ForeignKey(CleanupRun, null=True, on_delete=models.SET_NULL, related_name="files")
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["next_try_at", "id"], name="file_outbox_due")]
        verbose_name_plural = "file outbox"

    def __str__(self) -> str:
        return self.path
