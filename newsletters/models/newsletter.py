"""The recurring newsletter: to whom, from whom, with what text, how fast."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.text import slugify

from newsletters.models.audience import List, Segment
from newsletters.models.content import Format, LetterTemplate


class NewsletterManager(models.Manager["Newsletter"]):
    """Finds a newsletter by its name."""

    def get_by_natural_key(self, name: str) -> Newsletter:
        return self.get(name=name)


class Newsletter(models.Model):
    """A recurring newsletter: to whom, from whom and with what text. When it goes out is its schedules' business."""

    class Source(models.TextChoices):
        TEXT = "text", "The text written here"
        FEED = "feed", "What is new in an RSS or Atom feed"

    class Tracking(models.TextChoices):
        OFF = "off", "Do not count"
        AGGREGATE = "aggregate", "Count clicks, without knowing whose"

    class RatePer(models.TextChoices):
        SECOND = "second", "per second"
        MINUTE = "minute", "per minute"
        HOUR = "hour", "per hour"
        DAY = "day", "per day"

    RATE_SECONDS: ClassVar = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

    name = models.CharField(max_length=120, unique=True)
    lists = models.ManyToManyField(List, related_name="newsletters")
    segment = models.ForeignKey(
        Segment,
        null=True,
        blank=True,
        on_delete=models.PROTECT,  # without its segment a newsletter would go to everybody
        related_name="newsletters",
        help_text="Only these of the lists' readers; empty for all of them.",
    )
    subject = models.CharField(max_length=250)
    preheader = models.CharField(
        "preview line", max_length=200, blank=True, help_text="What mail programs show beside the subject."
    )
    format = models.CharField("written in", max_length=8, choices=Format.choices, default=Format.MARKDOWN)
    template = models.ForeignKey(
        LetterTemplate,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="newsletters",
        verbose_name="layout",
        help_text="Empty for our own.",
    )
    body = models.TextField("text")
    source = models.CharField("what goes out", max_length=8, choices=Source.choices, default=Source.TEXT)
    feed_url = models.URLField("address of the feed", max_length=500, blank=True)
    feed_items = models.PositiveSmallIntegerField(
        "at most",
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="Entries in one issue.",
    )
    feed_when_empty = models.CharField(
        "when nothing is new",
        max_length=8,
        choices=[("skip", "Send nothing"), ("send", "Send the text alone")],
        default="skip",
    )
    feed_seen = models.JSONField(default=list, editable=False, help_text="Hashes of the entries that went out already.")
    attachment = models.CharField(
        max_length=80, blank=True, help_text="What is attached: the key of an offered file, such as report:3."
    )
    from_name = models.CharField("sender's name", max_length=120, blank=True)
    from_email = models.EmailField("sender's address", blank=True)
    reply_to = models.EmailField("answers go to", blank=True)
    rate = models.PositiveIntegerField(
        "at most", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(10_000_000)]
    )
    rate_per = models.CharField("mails", max_length=8, choices=RatePer.choices, default=RatePer.MINUTE)
    approve_above = models.PositiveIntegerField(
        "ask for approval above",
        null=True,
        blank=True,
        help_text="Recipients. An issue with more waits until a second person approves it; empty for never.",
    )
    tracking = models.CharField("clicks", max_length=10, choices=Tracking.choices, default=Tracking.OFF)
    is_archived = models.BooleanField(
        "in the public archive", default=False, help_text="Issues that were sent can be read on a page of the website."
    )
    postal_address = models.CharField(
        max_length=300, blank=True, help_text="Shown at the foot of each mail, as many countries' laws ask."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField("last changed", auto_now=True)

    objects = NewsletterManager()

    class Meta:
        ordering: ClassVar = ["name"]
        permissions: ClassVar = [
            ("send_newsletter", "Can send a newsletter, and pause or stop one that is being sent"),
            ("approve_issue", "Can approve an issue that somebody else wrote"),
        ]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)

    natural_key.dependencies = ["newsletters.list"]  # type: ignore[attr-defined]

    @property
    def slug(self) -> str:
        return slugify(self.name) or f"newsletter-{self.pk}"

    @property
    def seconds_per_mail(self) -> float:
        """The least time between two mails; 0 where the server's own speed is the limit."""
        return self.RATE_SECONDS[self.rate_per] / self.rate if self.rate else 0.0
