"""The small forms of a schedule's verbs (pause, resume, backfill), of pausing everything and of calendars; services check what they say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from runs import form_errors
from schedules import calendars, working_days
from schedules.form_fields import WallClockField, instant
from schedules.models import HolidayCalendar
from schedules.policies import RESUME_CHOICES


class PauseForm(forms.Form):
    """Why, and until when."""

    reason = forms.CharField(
        label="Why?", max_length=200, widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Others will see this, such as “Waiting for the new logo”.",
    )  # fmt: skip
    until = WallClockField(
        label="Until", required=False, help_text="It then starts again by itself. Leave empty to resume it by hand."
    )

    def __init__(self, *args: Any, time_zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.time_zone = time_zone
        self.fields["until"].label = f"Until (the clock of {time_zone})"

    def clean_until(self) -> datetime | None:
        return instant(self.cleaned_data["until"], self.time_zone)


class EverythingForm(forms.Form):
    """Why everything stops."""

    reason = forms.CharField(
        label="Why?", max_length=200, widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Everybody sees this on every page, such as “The mail server moves”.",
    )  # fmt: skip


class ResumeForm(forms.Form):
    """What becomes of the occurrences that the pause left out."""

    run = forms.ChoiceField(
        label="What was left out", choices=RESUME_CHOICES, initial="none", widget=UnfoldAdminRadioSelectWidget
    )


class BackfillForm(forms.Form):
    """From when to when."""

    start = WallClockField(label="From")
    end = WallClockField(label="To", help_text="Both ends count.")

    def __init__(self, *args: Any, time_zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.time_zone = time_zone

    def clean_start(self) -> datetime | None:
        return instant(self.cleaned_data["start"], self.time_zone)

    def clean_end(self) -> datetime | None:
        return instant(self.cleaned_data["end"], self.time_zone)


class CalendarForm(forms.ModelForm):  # type: ignore[type-arg]
    """A country's holidays, and days of one's own."""

    name = forms.CharField(label="Name", max_length=100, widget=UnfoldAdminTextInputWidget)
    country = forms.ChoiceField(
        label="Public holidays of", required=False, widget=UnfoldAdminSelectWidget,
        choices=lambda: [("", "No country"), *working_days.countries().items()],
    )  # fmt: skip
    subdivision = forms.CharField(
        label="Region", required=False, max_length=60, widget=UnfoldAdminTextInputWidget,
        help_text="Where a region has days of its own, such as BY or Bayern. Leave empty for the whole country's.",
    )  # fmt: skip
    own_days = forms.CharField(
        label="Days of your own", required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text="One a line: “2026-12-24 Christmas Eve”, or “12-24 Christmas Eve” for every year.",
    )  # fmt: skip

    class Meta:
        model = HolidayCalendar
        fields = calendars.FIELDS

    def clean(self) -> dict[str, Any]:
        """Shows what the service would refuse at its field, before anything is written."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            calendars.check(self.instance, cleaned)
        except ValidationError as error:
            form_errors.show(self, error)
        return cleaned
