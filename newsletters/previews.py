"""What a newsletter would look like and whom it would reach, before anything is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from newsletters import audience, content, mergetags, sending
from newsletters.audience import Audience
from newsletters.models import List

SAMPLE_NAME = "Anna Example"
SAMPLE_EMAIL = "anna@example.org"


@dataclass(frozen=True)
class Preview:
    """The letter as one reader would get it, or why it cannot be shown."""

    letter: content.Letter | None
    reader: str
    audience: Audience
    error: str = ""


def preview(*, title: str, subject: str, body: str, list_ids: Sequence[int]) -> Preview:
    """Fills the text in for the first reader of the lists, or for an invented one; never raises."""
    counted = audience.count(list_ids)
    reader = audience.recipients(list_ids).order_by("pk").first()
    name, email = (reader.name, reader.email) if reader is not None else (SAMPLE_NAME, SAMPLE_EMAIL)
    shown = f"{name} <{email}>" if name else email
    names = list(List.objects.filter(pk__in=list_ids).order_by("name").values_list("name", flat=True))
    try:
        for source in (subject, body):
            mergetags.check(source, audience.attribute_names())
        frozen = content.freeze(
            subject=subject, body=body[: content.MAX_BODY_CHARACTERS], title=title, list_names=names
        )
    except mergetags.MergeTagError as error:
        return Preview(None, shown, counted, str(error))
    values = sending.merge_values(
        name, email, f"{settings.PUBLIC_URL}/unsubscribe/example/", reader.attributes if reader is not None else {}
    )
    return Preview(content.Parts(frozen).fill(values), shown, counted)
