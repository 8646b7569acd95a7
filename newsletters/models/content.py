"""Reusable layouts for letters."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone


class Format(models.TextChoices):
    """The language that a text or a layout is written in."""

    MARKDOWN = "markdown", "Markdown"
    HTML = "html", "HTML"
    MJML = "mjml", "MJML"


class LetterTemplate(models.Model):
    """A layout around the text of newsletters: HTML or MJML with ``{{ content }}`` where the text goes."""

    name = models.CharField(max_length=120, unique=True)
    description = models.CharField(max_length=300, blank=True)
    format = models.CharField(max_length=8, choices=[(Format.HTML, "HTML"), (Format.MJML, "MJML")], default=Format.HTML)
    source = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField("last changed", auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "layout"

    def __str__(self) -> str:
        return self.name
