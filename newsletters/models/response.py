"""What comes back after a sending: clicks on links, bounces, complaints, and the mailbox that bounces go to."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from newsletters.models.audience import Subscriber
from newsletters.models.delivery import Delivery
from newsletters.models.issue import Issue


class Link(models.Model):
    """An address that an issue links to, counted by click where the newsletter says so; nobody's name is kept."""

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="links")
    number = models.PositiveSmallIntegerField(help_text="Its place in the issue, from 1.")
    url = models.CharField(max_length=2000)
    clicks = models.PositiveIntegerField(default=0)
    machine_clicks = models.PositiveIntegerField(default=0, help_text="By programs that open every link.")

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["issue", "number"], name="link_once")]

    def __str__(self) -> str:
        return self.url


class ReaderEvent(models.Model):
    """What came back from a reader or their mail server; only ever added to."""

    class Kind(models.TextChoices):
        HARD_BOUNCE = "hard", "Bounced: the address does not exist"
        SOFT_BOUNCE = "soft", "Bounced for now"
        POLICY_BOUNCE = "policy", "Refused because of us, not of the reader"
        COMPLAINT = "complaint", "Marked as spam"
        UNSUBSCRIBED = "left", "Unsubscribed"
        CONFIRMED = "confirmed", "Confirmed"
        CHANGED = "changed", "Changed their preferences"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    subscriber = models.ForeignKey(
        Subscriber, null=True, blank=True, on_delete=models.SET_NULL, related_name="reader_events"
    )
    issue = models.ForeignKey(Issue, null=True, blank=True, on_delete=models.SET_NULL, related_name="reader_events")
    delivery = models.ForeignKey(Delivery, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=20, blank=True, help_text="Enhanced status code (RFC 3463), such as 5.1.1.")
    text = models.CharField("what the server said", max_length=300, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            # The same report that is read twice counts once.
            models.UniqueConstraint(
                fields=["delivery", "kind"], name="reader_event_once", condition=models.Q(delivery__isnull=False)
            )
        ]
        indexes: ClassVar = [models.Index(fields=["issue", "kind"], name="reader_event_by_issue")]

    def __str__(self) -> str:
        return self.get_kind_display()


class BounceMailbox(models.Model):
    """The mailbox that bounces go to, read by a job; its address and password are in the environment."""

    name = models.CharField(max_length=80, unique=True, default="Bounces")
    read_at = models.DateTimeField("last read", null=True, blank=True, editable=False)
    problem = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        verbose_name = "bounce mailbox"
        verbose_name_plural = "bounce mailboxes"

    def __str__(self) -> str:
        return self.name
