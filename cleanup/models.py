"""CleanupPolicy (what is removed when it is old enough), its previews and runs, and holds that stop it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

MAX_DAYS = 3650


class PolicyManager(models.Manager["CleanupPolicy"]):
    """Finds policies by name, for fixtures."""

    def get_by_natural_key(self, name: str) -> CleanupPolicy:
        return self.get(name=name)


class CleanupPolicy(models.Model):
    """Which registered targets are cleaned and how old a row must be."""

    name = models.CharField(max_length=120, unique=True)
    targets = models.JSONField(default=list)
    days = models.PositiveIntegerField(
        "older than (days)", default=30, validators=[MinValueValidator(1), MaxValueValidator(MAX_DAYS)]
    )
    max_rows = models.PositiveIntegerField(
        "at most this many rows a run", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    is_enabled = models.BooleanField("enabled", default=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    changed_at = models.DateTimeField(auto_now=True)

    objects = PolicyManager()

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "policy"
        verbose_name_plural = "policies"
        permissions: ClassVar = [("run_cleanup", "Can enable and run a cleanup")]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)

    def rule(self) -> dict[str, Any]:
        """The values that decide what is deleted."""
        return {"targets": sorted(self.targets), "days": self.days, "max_rows": self.max_rows}


class CleanupPreview(models.Model):
    """What a policy would delete, counted at one moment."""

    policy = models.ForeignKey(CleanupPolicy, on_delete=models.CASCADE, related_name="previews")
    rule_hash = models.CharField(max_length=64)
    findings = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"Preview of {self.policy}"

    @property
    def total(self) -> int:
        """How many rows it found."""
        return sum(int(finding["count"]) for finding in self.findings)


class CleanupRun(models.Model):
    """One cleaning: its frozen cutoff, and what has been deleted so far."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        PARTIAL = "partial", "Stopped at its limit"

    policy = models.ForeignKey(CleanupPolicy, null=True, on_delete=models.SET_NULL, related_name="runs")
    policy_name = models.CharField(max_length=120)
    run_id = models.BigIntegerField(unique=True)
    rule = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    deleted = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.policy_name} (run {self.run_id})"

    @property
    def total(self) -> int:
        """How many rows it has deleted."""
        return sum(int(count) for count in self.deleted.values())


class Hold(models.Model):
    """Keeps rows from being cleaned, whatever their age, until it is released or ends."""

    target = models.CharField(max_length=60)
    object_id = models.CharField(
        "number of the row", max_length=64, blank=True, help_text="Leave empty to hold all of them."
    )
    reason = models.CharField(max_length=200)
    until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["target", "object_id"], name="hold_by_row")]
        constraints: ClassVar = [models.CheckConstraint(condition=~Q(reason=""), name="hold_has_reason")]

    def __str__(self) -> str:
        return f"{self.target} {self.object_id or '(all)'}: {self.reason}"
