"""The newsletters' tables: the audience, what is sent and to whom, and the library of images and feedback."""

from __future__ import annotations

from newsletters.models.audience import List, Subscriber, Subscription, Suppression
from newsletters.models.library import FeedbackMessage, Image, ImageSize
from newsletters.models.sending import Delivery, Issue, Lane, Newsletter

__all__ = [
    "Delivery",
    "FeedbackMessage",
    "Image",
    "ImageSize",
    "Issue",
    "Lane",
    "List",
    "Newsletter",
    "Subscriber",
    "Subscription",
    "Suppression",
]
