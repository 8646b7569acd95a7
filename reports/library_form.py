"""The fields above the library, and the questions asked before something is done with a report."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any, cast

from django import forms
from django.contrib.auth import get_user_model
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from reports import library
from reports.library import BY_SCHEDULE, STATES, Wanted
from reports.models import Format

MOST_OFFERED = 500
_NO_DATE = "This is not a date. Write year, month and day, such as 2026-12-24."


def _date_field(label: str, *, required: bool = False, help_text: str = "") -> forms.DateField:
    widget = UnfoldAdminTextInputWidget(attrs={"type": "date", "min": "1970-01-01", "max": "2199-12-31"})
    return forms.DateField(
        label=label, required=required, input_formats=["%Y-%m-%d"], widget=widget, help_text=help_text,
        error_messages={"invalid": _NO_DATE, "required": "Choose a day."},
    )  # fmt: skip


class LibraryForm(forms.Form):
    """Which reports to list."""

    name = forms.CharField(
        label="Name contains",
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "search"}),
    )
    report = forms.ChoiceField(label="Report", required=False, widget=UnfoldAdminSelectWidget)
    since = _date_field("Covers days from")
    until = _date_field("to")
    state = forms.ChoiceField(
        label="State", required=False, choices=[("", "Any"), *STATES], widget=UnfoldAdminSelectWidget
    )
    file_format = forms.ChoiceField(
        label="Has a file in",
        required=False,
        choices=[("", "Any format"), *Format.choices],
        widget=UnfoldAdminSelectWidget,
    )
    who = forms.ChoiceField(label="Started by", required=False, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        staff = get_user_model()._default_manager.filter(is_staff=True).order_by("username")
        people = [(str(pk), name) for pk, name in staff.values_list("pk", "username")[:MOST_OFFERED]]
        self._choices("who", [("", "Anybody"), (BY_SCHEDULE, "A schedule"), *people])
        self._choices("report", [("", "Any"), *((str(pk), name) for pk, name in library.definitions(MOST_OFFERED))])

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        cast(forms.ChoiceField, self.fields[name]).choices = choices

    def clean_since(self) -> date | None:
        return self._sensible("since")

    def clean_until(self) -> date | None:
        return self._sensible("until")

    def _sensible(self, name: str) -> date | None:
        day: date | None = self.cleaned_data[name]
        if day is not None and not 1970 <= day.year <= 2199:
            raise forms.ValidationError("Write a year from 1970 to 2199.")
        return day

    def clean(self) -> None:
        super().clean()
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and until < since:
            self.add_error("until", "The last day lies before the first one.")

    def narrow(self, wanted: Wanted) -> Wanted:
        """``wanted`` with what a valid form asks for; days are those of the reader's time zone."""
        said = self.cleaned_data
        return replace(
            wanted,
            name=said["name"],
            definition_id=int(said["report"]) if said["report"] else None,
            since=_midnight(said["since"]),
            until=_midnight(said["until"] + timedelta(days=1)) if said["until"] else None,
            state=said["state"],
            file_format=said["file_format"],
            who=said["who"],
        )


class UntilForm(forms.Form):
    """Until when files are kept."""

    until = _date_field("Keep them until the end of", required=True)


class WhyForm(forms.Form):
    """Why files are deleted."""

    reason = forms.CharField(
        label="Why?", max_length=180, widget=UnfoldAdminTextInputWidget,
        help_text="Whoever looks for the files later reads this.", error_messages={"required": "Say why, for whoever looks for the files later."},
    )  # fmt: skip


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.min, timezone.get_current_timezone())
