"""What is sent: the recurring newsletter, one issue per sending, one delivery per recipient, and the sending lane."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.text import slugify

from newsletters.models.audience import List, Subscriber


class NewsletterManager(models.Manager["Newsletter"]):
    """Finds a newsletter by its name."""

    def get_by_natural_key(self, name: str) -> Newsletter:
        return self.get(name=name)


class Newsletter(models.Model):
    """A recurring newsletter: to whom, from whom and with what text. When it goes out is its schedules' business."""

    name = models.CharField(max_length=120, unique=True)
    lists = models.ManyToManyField(List, related_name="newsletters")
    subject = models.CharField(max_length=250)
    body = models.TextField("text")
    from_name = models.CharField("sender's name", max_length=120, blank=True)
    from_email = models.EmailField("sender's address", blank=True)
    reply_to = models.EmailField("answers go to", blank=True)
    rate_per_minute = models.PositiveIntegerField(
        "mails per minute", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(1_000_000)]
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField("last changed", auto_now=True)

    objects = NewsletterManager()

    class Meta:
        ordering: ClassVar = ["name"]
        permissions: ClassVar = [("send_newsletter", "Can send a newsletter, and pause or stop one that is being sent")]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)

    natural_key.dependencies = ["newsletters.list"]  # type: ignore[attr-defined]

    @property
    def slug(self) -> str:
        return slugify(self.name) or f"newsletter-{self.pk}"


class Issue(models.Model):
    """One sending of a newsletter; its content is frozen when it starts."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        SCHEDULED = "scheduled", "Scheduled"
        PREPARING = "preparing", "Being prepared"
        RUNNING = "running", "Being sent"
        PAUSED = "paused", "Paused"
        SENT = "sent", "Sent"
        SENT_WITH_PROBLEMS = "sent_with_problems", "Sent, with problems"
        CANCELLED = "cancelled", "Cancelled"

    FINISHED = (State.SENT, State.SENT_WITH_PROBLEMS, State.CANCELLED)

    newsletter = models.ForeignKey(Newsletter, on_delete=models.PROTECT, related_name="issues")
    scheduled_for = models.DateTimeField("for")
    state = models.CharField(max_length=20, choices=State.choices, default=State.DRAFT)
    subject = models.CharField(max_length=250)
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    from_name = models.CharField(max_length=120, blank=True)
    from_email = models.EmailField(blank=True)
    reply_to = models.EmailField(blank=True)
    sha256 = models.CharField("fingerprint", max_length=64, blank=True, help_text="SHA-256 of subject, HTML and text.")
    run_id = models.BigIntegerField(null=True, blank=True, help_text="The run that sends it, or sent it last.")
    planned = models.PositiveIntegerField("recipients", default=0)
    sent = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    uncertain = models.PositiveIntegerField(default=0)
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

    class Meta:
        ordering: ClassVar = ["-scheduled_for", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["newsletter", "scheduled_for"], name="issue_once_per_due_time")
        ]
        indexes: ClassVar = [models.Index(fields=["-scheduled_for", "-id"], name="issue_newest_first")]

    def __str__(self) -> str:
        return f"{self.newsletter} of {timezone.localtime(self.scheduled_for):%-d %B %Y, %H:%M}"

    @property
    def waiting(self) -> int:
        """How many recipients are still open (not sent, failed, skipped or uncertain)."""
        return max(0, self.planned - self.sent - self.failed - self.skipped - self.uncertain)

    @property
    def is_finished(self) -> bool:
        return self.state in self.FINISHED


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
    """The right to send an issue's mails one after another, and the journal of the mail in hand.

    Whoever takes the lane raises ``fence``; a former holder that comes back can write nothing more.
    Within one claimed batch mails go out in order of id: those up to ``sent_through`` were accepted by the
    server, and ``in_hand`` is the only one of which nobody knows when the holder was killed.
    """

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="lanes")
    number = models.PositiveSmallIntegerField(default=0)
    run_id = models.BigIntegerField(null=True)
    fence = models.BigIntegerField(default=0)
    in_hand = models.BigIntegerField(null=True)
    sent_through = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["issue", "number"], name="lane_once")]

    def __str__(self) -> str:
        return f"lane {self.number} of issue {self.issue_id}"
