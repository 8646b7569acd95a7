"""The newsletters' tables: the audience, what is sent and to whom, imports, and the library of images and feedback."""

from __future__ import annotations

from newsletters.models.audience import List, Segment, Subscriber, SubscriberField, Subscription, Suppression
from newsletters.models.content import Format, LetterTemplate
from newsletters.models.delivery import Delivery, Lane, Pace
from newsletters.models.imports import ImportJob, ImportProblem
from newsletters.models.issue import Issue
from newsletters.models.library import FeedbackMessage, FormPost, Image, ImageSize
from newsletters.models.newsletter import Newsletter
from newsletters.models.response import BounceMailbox, Link, ReaderEvent

__all__ = [
    "BounceMailbox",
    "Delivery",
    "FeedbackMessage",
    "FormPost",
    "Format",
    "Image",
    "ImageSize",
    "ImportJob",
    "ImportProblem",
    "Issue",
    "Lane",
    "LetterTemplate",
    "Link",
    "List",
    "Newsletter",
    "Pace",
    "ReaderEvent",
    "Segment",
    "Subscriber",
    "SubscriberField",
    "Subscription",
    "Suppression",
]
