"""CleanupPolicy: what is removed when it is old enough; its previews; and who allowed more than usual."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

MAX_DAYS = 3650


class Archiving(models.TextChoices):
    """What is kept of the rows before they go."""

    NONE = "none", "Nothing: deleted rows are gone"
    JSONL = "jsonl", "An archive of JSON lines, compressed"
    PARQUET = "parquet", "An archive in Parquet, for analysis"


class PolicyManager(models.Manager["CleanupPolicy"]):
    """Finds policies by name, for fixtures."""

    def get_by_natural_key(self, name: str) -> CleanupPolicy:
        return self.get(name=name)


class CleanupPolicy(models.Model):
    """Which registered targets are cleaned, how old a row must be, and how far a run may go."""

    name = models.CharField(max_length=120, unique=True)
    targets = models.JSONField(default=list)
    days = models.PositiveIntegerField(
        "older than (days)", default=30, validators=[MinValueValidator(1), MaxValueValidator(MAX_DAYS)]
    )
    filters = models.JSONField(default=dict, blank=True)
    """{target key: {filter name: value}}: the rows of a target that staff narrowed it down to."""
    keep_last = models.PositiveIntegerField(
        "keep the last", null=True, blank=True, validators=[MinValueValidator(1)],
        help_text="So many of each group stay, however old they are.",
    )  # fmt: skip
    batch_size = models.PositiveIntegerField(
        "at most this many rows at once", default=10_000, validators=[MinValueValidator(1), MaxValueValidator(20_000)]
    )
    max_rows = models.PositiveIntegerField(
        "at most this many rows a run", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    max_minutes = models.PositiveIntegerField(
        "at most this many minutes a run", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    rest_ms = models.PositiveIntegerField(
        "rest between batches (milliseconds)", default=0, validators=[MaxValueValidator(60_000)]
    )
    archive = models.CharField(max_length=8, choices=Archiving.choices, default=Archiving.NONE)
    archive_days = models.PositiveIntegerField(
        "keep archives for (days)", null=True, blank=True, validators=[MinValueValidator(1)],
        help_text="Leave empty to keep them until somebody deletes them.",
    )  # fmt: skip
    approve_above_rows = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    approve_above_percent = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    approve_above_times = models.PositiveIntegerField(default=10, validators=[MinValueValidator(2)])
    """A run that would delete more than so many times the usual needs somebody else's approval."""
    version = models.PositiveIntegerField(default=1)
    """Rises with every change of the rule."""
    is_enabled = models.BooleanField("enabled", default=False)
    enabled_rule_hash = models.CharField(max_length=64, blank=True, editable=False)
    """The rule that was previewed when it was enabled; runs refuse any other."""
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    changed_at = models.DateTimeField(auto_now=True)

    objects = PolicyManager()

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "policy"
        verbose_name_plural = "policies"
        permissions: ClassVar = [
            ("run_cleanup", "Can enable and run a cleanup"),
            ("approve_cleanup", "Can approve a large cleanup of somebody else"),
        ]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)

    def rule(self) -> dict[str, Any]:
        """The values that decide what is deleted, and what is kept of it; a run keeps a copy."""
        return {
            # Ticked in another order it is the same rule. A run goes by this order too, whatever one leaves behind for whom:
            # people whose sign-ups were cleaned are found on no list by the next run.
            "targets": sorted(self.targets),
            "days": self.days,
            "filters": {key: chosen for key, chosen in sorted(self.filters.items()) if chosen},
            "keep_last": self.keep_last,
            "max_rows": self.max_rows,
            "max_minutes": self.max_minutes,
            "archive": self.archive,
            "archive_days": self.archive_days,
        }


class CleanupPreview(models.Model):
    """What a policy would delete, counted at one moment."""

    policy = models.ForeignKey(CleanupPolicy, on_delete=models.CASCADE, related_name="previews")
    rule_hash = models.CharField(max_length=64)
    version = models.PositiveIntegerField(default=1)
    findings = models.JSONField(default=list)
    """One for each target, as :meth:`cleanup.findings.Plan.as_json` writes them."""
    total = models.PositiveBigIntegerField(default=0)
    is_estimate = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    enabled_it = models.BooleanField(default=False, editable=False)
    """The policy was enabled by this one: what it counted was agreed to."""

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["policy"], condition=Q(enabled_it=True), name="enabled_by_one_preview"),
        ]

    def __str__(self) -> str:
        return f"Preview of {self.policy}"


class CleanupApproval(models.Model):
    """A cleaning larger than usual that somebody asked for, and what somebody else answered."""

    policy = models.ForeignKey(CleanupPolicy, on_delete=models.CASCADE, related_name="approvals")
    preview = models.ForeignKey(CleanupPreview, null=True, on_delete=models.SET_NULL, related_name="approvals")
    rule_hash = models.CharField(max_length=64)
    why = models.CharField(max_length=300, blank=True)
    """Which limits it is above, in words."""
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_at = models.DateTimeField(default=timezone.now)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    approved_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)
    rows_allowed = models.PositiveBigIntegerField(default=0)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            # A person who asks does not answer; a person who is gone has left the answer behind.
            models.CheckConstraint(
                condition=Q(approved_by=None) | Q(asked_by=None) | ~Q(approved_by=models.F("asked_by")),
                name="approval_by_another",
            ),
        ]

    def __str__(self) -> str:
        return f"Approval of {self.policy}"
