"""Hold: rows that stay whatever their age, and why."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

ANY_TARGET = "*"
"""A hold on this keeps what its scope names in every target that knows the scope (one person, wherever they are)."""


class Hold(models.Model):
    """Keeps rows from being cleaned, whatever their age, until it is released or ends.

    It names one row (``object_id``), or all that belong to something (``scope`` and ``value``, such as one newsletter's
    issues), or, with all three empty, everything of its target.
    """

    target = models.CharField(max_length=60)
    object_id = models.CharField(
        "number of the row", max_length=400, blank=True, help_text="Leave empty to hold all of them."
    )
    """Of a file, its path in the folder of files."""
    scope = models.CharField("what it goes by", max_length=40, blank=True)
    value = models.CharField("which", max_length=254, blank=True)
    value_label = models.CharField(max_length=200, blank=True)
    """What the value was called when the hold was set: "City news", "ann@example.org"."""
    meant_id = models.BigIntegerField(null=True, blank=True, editable=False)
    """The number of whom the value meant when the hold was set: under another address they stay held."""
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
        which = f"{self.scope} {self.value_label or self.value}" if self.scope else self.object_id or "(all)"
        return f"{self.target} {which}: {self.reason}"
