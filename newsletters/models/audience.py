"""Who may be written to: subscribers, lists, who is on which list, and addresses never to write to."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from newsletters import addresses


class SubscriberManager(models.Manager["Subscriber"]):
    """Finds a subscriber by the address that fixtures know it by."""

    def get_by_natural_key(self, email_norm: str) -> Subscriber:
        return self.get(email_norm=email_norm)


class Subscriber(models.Model):
    """One person (one address), on any number of lists."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField("e-mail", max_length=254)
    email_norm = models.CharField(max_length=254, unique=True, editable=False)
    name = models.CharField(max_length=300, blank=True)
    attributes = models.JSONField(default=dict, blank=True, help_text="Further facts that a newsletter may mention.")
    language = models.CharField(max_length=12, blank=True)
    soft_bounces = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="Temporary refusals in a row; a mail that arrives sets it back to 0."
    )
    created_at = models.DateTimeField("since", default=timezone.now, editable=False)

    objects = SubscriberManager()

    class Meta:
        ordering: ClassVar = ["-id"]
        permissions: ClassVar = [("export_subscriber", "Can take readers' addresses out as a file")]
        indexes: ClassVar = [
            models.Index(fields=["created_at"], name="subscriber_by_day"),
            models.Index(fields=["id"], condition=models.Q(soft_bounces__gt=0), name="subscriber_soft_bounced"),
        ]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email_norm = addresses.normalise(self.email)
        super().save(*args, **kwargs)

    def natural_key(self) -> tuple[str]:
        return (self.email_norm,)

    def clean(self) -> None:
        """Brings the address into the one spelling we compare. Raises ValidationError in words."""
        try:
            self.email_norm = addresses.normalise(self.email)
        except addresses.BadAddress as error:
            raise ValidationError({"email": str(error)}) from error
        twin = Subscriber.objects.filter(email_norm=self.email_norm).exclude(pk=self.pk).first()
        if twin is not None:
            raise ValidationError({"email": f"{twin.email} is a subscriber already; open that one instead."})


class ListManager(models.Manager["List"]):
    """Finds a list by the short name that fixtures know it by."""

    def get_by_natural_key(self, slug: str) -> List:
        return self.get(slug=slug)


class List(models.Model):
    """A list that people are on."""

    slug = models.SlugField(
        "short name", max_length=60, unique=True, help_text="Used in addresses; letters, digits and hyphens."
    )
    name = models.CharField(max_length=120, unique=True)
    public = models.BooleanField(default=False, help_text="Shown on the page where readers subscribe.")
    description = models.CharField(max_length=300, blank=True, help_text="One sentence for readers.")
    opt_in = models.CharField(
        "sign-up",
        max_length=8,
        choices=[("double", "Readers confirm by e-mail first"), ("single", "Readers are on it at once")],
        default="double",
    )
    welcome_subject = models.CharField(
        "subject of the welcome mail", max_length=250, blank=True, help_text="Empty for no welcome mail."
    )
    welcome_body = models.TextField(
        "welcome mail", blank=True, help_text="Written in Markdown; sent once, when a reader has confirmed."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ListManager()

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.slug,)


class SubscriptionManager(models.Manager["Subscription"]):
    """Finds a subscription by its subscriber's address and its list's short name."""

    def get_by_natural_key(self, email_norm: str, slug: str) -> Subscription:
        return self.get(subscriber__email_norm=email_norm, list__slug=slug)


class Subscription(models.Model):
    """One subscriber's place on one list; only confirmed ones are written to."""

    class State(models.TextChoices):
        PENDING = "pending", "Not confirmed yet"
        CONFIRMED = "confirmed", "Confirmed"
        UNSUBSCRIBED = "unsubscribed", "Unsubscribed"

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="subscriptions")
    list = models.ForeignKey(List, on_delete=models.CASCADE, related_name="subscriptions")
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    source = models.CharField(
        max_length=40, blank=True, help_text="Where it came from: the web page, staff, an import."
    )
    created_at = models.DateTimeField(default=timezone.now)
    mailed_at = models.DateTimeField("confirmation asked for", null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    welcomed_at = models.DateTimeField("welcome mail sent", null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    consent_ip = models.GenericIPAddressField("confirmed from", null=True, blank=True)
    consent_text = models.CharField(
        max_length=300, blank=True, help_text="The sentence that the reader agreed to when they signed up."
    )

    objects = SubscriptionManager()

    class Meta:
        ordering: ClassVar = ["list__name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["subscriber", "list"], name="subscription_once")]
        indexes: ClassVar = [
            models.Index(fields=["list", "state", "subscriber"], name="subscription_audience"),
            models.Index(fields=["state", "created_at"], name="subscription_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} on {self.list}"

    def natural_key(self) -> tuple[str, str]:
        return (self.subscriber.email_norm, self.list.slug)

    natural_key.dependencies = ["newsletters.subscriber", "newsletters.list"]  # type: ignore[attr-defined]


class SubscriberField(models.Model):
    """A typed attribute that subscribers may have: used in segments, merge tags, imports and on the preference page."""

    class Kind(models.TextChoices):
        TEXT = "text", "Text"
        NUMBER = "number", "Number"
        DATE = "date", "Date"
        YES_NO = "yes_no", "Yes or no"
        CHOICE = "choice", "One of several"

    key = models.SlugField(
        "short name",
        max_length=40,
        unique=True,
        help_text="Used in merge tags: small letters, digits and underscores, such as district.",
    )
    label = models.CharField(max_length=80, help_text="What staff and readers see, such as District.")
    kind = models.CharField("what it holds", max_length=8, choices=Kind.choices, default=Kind.TEXT)
    choices = models.JSONField(default=list, blank=True, help_text="The values to choose from, one per line.")
    is_public = models.BooleanField(
        "readers may see and change it", default=False, help_text="On the page where readers manage their subscription."
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="Where it stands in forms; smaller is earlier.")

    class Meta:
        ordering: ClassVar = ["position", "label"]
        verbose_name = "subscriber field"

    def __str__(self) -> str:
        return self.label


class Segment(models.Model):
    """A named part of the audience: a tree of rules (see segments.py), never a list of people."""

    name = models.CharField(max_length=120, unique=True)
    description = models.CharField(max_length=300, blank=True)
    rule = models.JSONField(default=dict)
    count = models.PositiveIntegerField("subscribers", null=True, blank=True, editable=False)
    counted_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField("last changed", auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Suppression(models.Model):
    """An address that gets no newsletter at all, whatever lists it is on."""

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", "The address does not exist"
        COMPLAINT = "complaint", "The reader complained"
        MANUAL = "manual", "Staff added it"
        UNSUBSCRIBED = "unsubscribed", "The reader left everything"
        ERASED = "erased", "The person asked to be erased"

    address_hash = models.CharField(max_length=64, unique=True, help_text="Keyed hash: it outlives the address.")
    email_norm = models.CharField("address", max_length=254, blank=True, db_index=True)
    reason = models.CharField(max_length=12, choices=Reason.choices, default=Reason.MANUAL)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.email_norm or "an erased address"
