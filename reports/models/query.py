"""SQL that staff wrote and that a second person approved."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class ReportQuery(models.Model):
    """One SELECT with typed parameters. Only the text that was approved is ever run; each new text is approved anew."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        WAITING = "waiting", "Waits for approval"
        APPROVED = "approved", "Approved"
        REFUSED = "refused", "Refused"

    name = models.CharField(max_length=120, unique=True)
    description = models.CharField("what it answers", max_length=300, blank=True)
    sql = models.TextField("SQL")
    parameters = models.JSONField(default=list, blank=True, help_text="Name, label, kind and default of each.")
    state = models.CharField(max_length=12, choices=State.choices, default=State.DRAFT, editable=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    approved_at = models.DateTimeField(null=True, blank=True, editable=False)
    approved_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    approved_sql = models.TextField(blank=True, editable=False)
    approved_parameters = models.JSONField(default=list, blank=True, editable=False)
    note = models.CharField("what the approver said", max_length=300, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField("last changed", auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "SQL query"
        verbose_name_plural = "SQL queries"
        permissions: ClassVar = [("approve_reportquery", "Can approve SQL queries of others")]

    def __str__(self) -> str:
        return self.name
