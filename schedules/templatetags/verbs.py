"""The buttons that do something with one schedule."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs.addresses import of_row
from schedules.models import Schedule

register = template.Library()


@register.simple_tag
def verb_button(verb: str, label: str, schedule: Schedule, look: str = "") -> SafeString:
    """``verb`` is pause, resume or run_now. It posts through _verb_form.html, and asks in a dialog where scripts run."""
    return format_html(
        '<button type="submit" form="verb-post" formaction="{}" class="al-button{}" data-dialog>{}'
        '<span class="al-hidden"> {}</span></button>',
        of_row(f"admin:schedules_schedule_{verb}", schedule.pk),
        f" al-button-{look}" if look else "",
        label,
        schedule.name,
    )
