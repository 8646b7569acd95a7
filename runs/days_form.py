"""Days that staff choose: from one day to another, each of which may be left open."""

from __future__ import annotations

from datetime import date, datetime, time

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

_NO_DATE = "This is not a date. Write year, month and day, such as 2026-12-24."


def date_field(label: str, *, required: bool = False, help_text: str = "") -> forms.DateField:
    """One day, as browsers offer it and as it can be typed."""
    widget = UnfoldAdminTextInputWidget(attrs={"type": "date", "min": "1970-01-01", "max": "2199-12-31"})
    return forms.DateField(
        label=label, required=required, input_formats=["%Y-%m-%d"], widget=widget, help_text=help_text,
        error_messages={"invalid": _NO_DATE, "required": "Choose a day."},
    )  # fmt: skip


def midnight(day: date | None) -> datetime | None:
    """When that day begins in the reader's time zone."""
    return None if day is None else datetime.combine(day, time.min, timezone.get_current_timezone())


class DaysForm(forms.Form):
    """For forms with the fields ``since`` and ``until``, both of :func:`date_field`."""

    def clean_since(self) -> date | None:
        return self._sensible("since")

    def clean_until(self) -> date | None:
        return self._sensible("until")

    def clean(self) -> None:
        super().clean()
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and until < since:
            self.add_error("until", "The last day lies before the first one.")

    def _sensible(self, name: str) -> date | None:
        day: date | None = self.cleaned_data[name]
        if day is not None and not 1970 <= day.year <= 2199:
            raise forms.ValidationError("Write a year from 1970 to 2199.")
        return day
