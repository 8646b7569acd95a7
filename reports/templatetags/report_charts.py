"""The charts and figures of a report's summary, for the templates that draw them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

from reports import drawings, figures

register = template.Library()


@register.filter
def drawn(charts: Any) -> list[drawings.Drawing]:
    """The ``charts`` of a summary, ready to be drawn; none where there are none."""
    return drawings.of(charts)


@register.filter
def figures_of(summary: Any) -> list[figures.Figure]:
    """The rows and totals of a summary, with what they were before."""
    return figures.of(summary) if isinstance(summary, Mapping) else []
