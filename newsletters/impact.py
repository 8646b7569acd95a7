"""What running a newsletter now would do, in words."""

from __future__ import annotations

from typing import cast

from django.db import models

from newsletters import audience, preparing, segments
from newsletters.models import Newsletter
from runs import words


def describe_impact(target: models.Model) -> str:
    """ "Sends to 200 subscribers of City news", or why it would reach nobody."""
    newsletter = cast(Newsletter, target)
    try:
        counted = audience.count(audience.Reach.of(newsletter))
    except segments.BadRule as error:
        return preparing.unusable_segment(newsletter, error)
    if not counted.recipients:
        return preparing.nobody(newsletter, counted)
    names = [str(name) for name in newsletter.lists.order_by("name").values_list("name", flat=True)]
    only = f", only those in the segment {newsletter.segment}" if newsletter.segment else ""
    return f"Sends to {words.counted(counted.recipients, 'subscriber')} of {' and '.join(names)}{only}"
