"""One delivery per recipient of an issue, and the lane in which an issue is sent."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from newsletters.models.audience import Subscriber
from newsletters.models.issue import Issue


class Delivery(models.Model):
    """One recipient of one issue: no body is kept, the frozen issue and ``merge`` make it again."""

    class State(models.IntegerChoices):
        PENDING = 0, "Waiting"
        CLAIMED = 1, "Being sent"
        DEFERRED = 2, "Trying again later"
        SENT = 3, "Sent"
        FAILED = 4, "Failed"
        SKIPPED = 5, "Left out"
        UNCERTAIN = 6, "Uncertain"

    OPEN = (State.PENDING, State.CLAIMED, State.DEFERRED)

    id = models.BigAutoField(primary_key=True)
    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    subscriber = models.ForeignKey(
        Subscriber, null=True, blank=True, on_delete=models.SET_NULL, related_name="deliveries"
    )
    email = models.CharField("e-mail", max_length=254)
    email_norm = models.CharField(max_length=254)
    name = models.CharField(max_length=300, blank=True)
    merge = models.JSONField(default=dict, blank=True, help_text="The attributes that the text mentions.")
    state = models.SmallIntegerField(choices=State.choices, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    fence = models.BigIntegerField(
        default=0, help_text="The hold of the lane that claimed it; other holders cannot write."
    )
    next_at = models.DateTimeField(null=True, blank=True)
    code = models.PositiveSmallIntegerField("SMTP reply", null=True, blank=True)
    text = models.CharField("reason", max_length=200, blank=True)
    sent_at = models.DateTimeField("sent", null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [models.UniqueConstraint(fields=["issue", "email_norm"], name="delivery_once")]
        indexes: ClassVar = [
            # Not partial: SQLite uses a partial index only for the same literal condition, which bound
            # parameters never are. This one index serves claims, releases, counts and the failed list.
            models.Index(fields=["issue", "state", "id"], name="delivery_by_state"),
            models.Index(fields=["sent_at"], name="delivery_by_day", condition=models.Q(sent_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.email


class Lane(models.Model):
    """The right of one process to send mails of an issue, for as long as it shows that it lives.

    Whoever takes the lane gets a ``fence`` that none of the issue's lanes had before; a former holder that comes back
    can write nothing more. What the holder was doing when it was killed stands in its journal (newsletters/journal.py).
    """

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="lanes")
    number = models.PositiveSmallIntegerField(default=0, help_text="0 for the run's own; the others help.")
    run_id = models.BigIntegerField(null=True)
    fence = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=120, blank=True, help_text="The process; empty when nobody holds it.")
    lease_until = models.DateTimeField(null=True, help_text="How long the holder is believed to live.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["issue", "number"], name="lane_once")]

    def __str__(self) -> str:
        return f"lane {self.number} of issue {self.issue_id}"


class Pace(models.Model):
    """When the next mail of a rate may go, where the broker is no Redis (newsletters/pacing.py)."""

    key = models.CharField(max_length=300, unique=True)
    next_at = models.FloatField(default=0, help_text="Seconds since 1970; 0 for never asked before.")
    cap = models.FloatField(default=0, help_text="Mails a second after a server's complaint; 0 for none.")
    capped_at = models.FloatField(default=0)

    def __str__(self) -> str:
        return self.key
