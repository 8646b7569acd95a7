"""One sending of a newsletter, from the draft to the last count."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from newsletters.models.content import Format, LetterTemplate
from newsletters.models.newsletter import Newsletter
from runs import words


def attachment_path(issue: Issue, filename: str) -> str:
    """Where an issue's frozen attachment is kept: under a name of ours."""
    return f"attachments/{issue.public_id}"


class Issue(models.Model):
    """One sending of a newsletter; its content is frozen when it starts."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        APPROVAL = "approval", "Waits for approval"
        SCHEDULED = "scheduled", "Scheduled"
        PREPARING = "preparing", "Being prepared"
        RUNNING = "running", "Being sent"
        PAUSED = "paused", "Paused"
        SENT = "sent", "Sent"
        SENT_WITH_PROBLEMS = "sent_with_problems", "Sent, with problems"
        CANCELLED = "cancelled", "Cancelled"

    FINISHED = (State.SENT, State.SENT_WITH_PROBLEMS, State.CANCELLED)
    CHANGEABLE = (State.DRAFT, State.APPROVAL, State.SCHEDULED)

    newsletter = models.ForeignKey(Newsletter, on_delete=models.PROTECT, related_name="issues")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scheduled_for = models.DateTimeField("for", null=True, blank=True, help_text="Empty while it is an idea.")
    state = models.CharField(max_length=20, choices=State.choices, default=State.DRAFT)
    subject = models.CharField(max_length=250)
    preheader = models.CharField("preview line", max_length=200, blank=True)
    format = models.CharField("written in", max_length=8, choices=Format.choices, default=Format.MARKDOWN)
    template = models.ForeignKey(
        LetterTemplate, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", verbose_name="layout"
    )
    body = models.TextField("text", blank=True, help_text="The source; what is sent is frozen from it.")
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    from_name = models.CharField(max_length=120, blank=True)
    from_email = models.EmailField(blank=True)
    reply_to = models.EmailField(blank=True)
    sha256 = models.CharField("fingerprint", max_length=64, blank=True, help_text="SHA-256 of subject, HTML and text.")
    attachment_file = models.FileField(upload_to=attachment_path, max_length=200, blank=True)
    attachment_name = models.CharField(max_length=200, blank=True)
    attachment_type = models.CharField(max_length=100, blank=True)
    audience = models.CharField(max_length=500, blank=True, help_text="To whom it went, in words.")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Who wrote it last; somebody else must approve it.",
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    approved_at = models.DateTimeField("approved", null=True, blank=True)
    approved_sha256 = models.CharField(max_length=64, blank=True, help_text="The source that was approved.")
    tested_at = models.DateTimeField("test sent", null=True, blank=True)
    run_id = models.BigIntegerField(null=True, blank=True, help_text="The run that sends it, or sent it last.")
    planned = models.PositiveIntegerField("recipients", default=0)
    sent = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    uncertain = models.PositiveIntegerField(default=0)
    bounced = models.PositiveIntegerField(default=0)
    complained = models.PositiveIntegerField(default=0)
    unsubscribed = models.PositiveIntegerField(default=0)
    clicks = models.PositiveIntegerField(default=0)
    excluded = models.JSONField(
        default=dict, blank=True, help_text="Who was left out from the start, counted by reason."
    )
    pause_reason = models.CharField(max_length=300, blank=True)
    paused_by_name = models.CharField(max_length=150, blank=True, help_text="Empty when a problem paused it.")
    pause_code = models.CharField(max_length=20, blank=True)
    tolerated_codes = models.JSONField(
        default=list, blank=True, help_text="Answers that staff told us to take as they come."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField("started", null=True, blank=True)
    finished_at = models.DateTimeField("finished", null=True, blank=True)
    recipients_removed_at = models.DateTimeField(
        "recipients removed", null=True, blank=True, help_text="When a cleanup began to remove who got it."
    )
    kept_counts = models.JSONField(
        default=dict, blank=True, help_text="What is still counted after that: see newsletters/kept_counts.py."
    )

    class Meta:
        ordering: ClassVar = ["-scheduled_for", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["newsletter", "scheduled_for"], name="issue_once_per_due_time")
        ]
        indexes: ClassVar = [models.Index(fields=["-scheduled_for", "-id"], name="issue_newest_first")]

    def __str__(self) -> str:
        if self.scheduled_for is None:
            return f"{self.newsletter}: {self.subject}"
        due = timezone.localtime(self.scheduled_for)
        return f"{self.newsletter} of {words.plain_date(due)}, {due:%H:%M}"

    @property
    def waiting(self) -> int:
        """How many recipients are still open (not sent, failed, skipped or uncertain)."""
        return max(0, self.planned - self.sent - self.failed - self.skipped - self.uncertain)

    @property
    def is_finished(self) -> bool:
        return self.state in self.FINISHED
