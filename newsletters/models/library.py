"""The image library and what readers wrote through the feedback form."""

from __future__ import annotations

import uuid
from pathlib import PurePosixPath
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


def original_path(image: Image, filename: str) -> str:
    """Where an upload is kept: under a name of ours, never one that the browser sent."""
    return f"images/originals/{image.public_id}"


def size_path(size: ImageSize, filename: str) -> str:
    """Where a made size is kept; the same for every attempt, so that a repeated job leaves no orphan."""
    return f"images/sizes/{size.image.public_id}-{size.width}{PurePosixPath(filename).suffix}"


class Image(models.Model):
    """A picture that staff uploaded; a worker makes the sizes that are shown and mailed."""

    class State(models.TextChoices):
        WAITING = "waiting", "Sizes are being made"
        READY = "ready", "Ready"
        REFUSED = "refused", "Cannot be used"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    file = models.FileField(upload_to=original_path, max_length=200)
    original_name = models.CharField("file", max_length=200, blank=True)
    alt = models.CharField(
        "description", max_length=250, blank=True, help_text="What the picture shows, for readers who cannot see it."
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    problem = models.CharField(max_length=300, blank=True)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    bytes = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField("uploaded", default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.alt or self.original_name or "image"


class ImageSize(models.Model):
    """One size of an image, without the original's metadata."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="sizes")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField(default=0)
    file = models.FileField(upload_to=size_path, max_length=200)

    class Meta:
        ordering: ClassVar = ["width"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["image", "width"], name="image_size_once")]

    def __str__(self) -> str:
        return f"{self.width} × {self.height}"


class FeedbackMessage(models.Model):
    """What a reader wrote; kept whether or not the mail to staff gets through."""

    name = models.CharField(max_length=120, blank=True)
    email = models.EmailField("e-mail", blank=True)
    text = models.TextField("message", max_length=5000)
    created_at = models.DateTimeField("received", default=timezone.now, editable=False)
    mailed_at = models.DateTimeField("mailed to staff", null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "feedback"
        verbose_name_plural = "feedback"

    def __str__(self) -> str:
        return f"Feedback from {self.name or self.email or 'a reader'}"


class FormPost(models.Model):
    """That somebody sent one of the readers' forms: counted to slow floods down, and soon forgotten."""

    form = models.CharField(max_length=20)
    ip = models.GenericIPAddressField(null=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["form", "ip", "at"], name="form_post_by_ip"),
            models.Index(fields=["at"], name="form_post_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.form} from {self.ip}"
