"""Who was told of a report, how that went, and the links that people outside were given."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from reports.models.definition import ReportRecipient
from reports.models.run import ReportRun


class ReportDelivery(models.Model):
    """One report to one recipient by one way; it has a state of its own, whatever becomes of the others."""

    class Channel(models.TextChoices):
        NOTICE = "notice", "Notice here"
        MAIL = "mail", "Mail"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        LEFT_OUT = "left_out", "Left out"

    report_run = models.ForeignKey(ReportRun, on_delete=models.CASCADE, related_name="deliveries")
    recipient = models.ForeignKey(ReportRecipient, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    address = models.EmailField(blank=True, help_text="As it was when it was sent.")
    channel = models.CharField(max_length=8, choices=Channel.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    why = models.CharField("why not", max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField("tried again at", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["pk"]
        verbose_name_plural = "report deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["report_run", "channel", "address"],
                condition=~models.Q(address=""),
                name="reportdelivery_address_once",
            ),
            models.UniqueConstraint(
                fields=["report_run", "channel", "user"],
                condition=models.Q(address=""),
                name="reportdelivery_user_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_at"], condition=models.Q(state="waiting"), name="reportdelivery_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.report_run} to {self.address or self.user}"


class ShareLink(models.Model):
    """A link by which somebody outside gets a report's files. Only the keyed hash of its token is kept."""

    report_run = models.ForeignKey(ReportRun, on_delete=models.CASCADE, related_name="links")
    recipient = models.ForeignKey(
        ReportRecipient, null=True, blank=True, on_delete=models.SET_NULL, related_name="links"
    )
    address = models.EmailField(help_text="Whom it was mailed to.")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.report_run} for {self.address}"
