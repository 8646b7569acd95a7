"""The fields above the list of runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from runs import job_kinds
from runs.run_list import Wanted
from runs.states import State, Trigger

_TABS = (State.SUCCEEDED, State.FAILED, State.MISSED, State.SKIPPED, State.CANCELLED)
SHOWN = [("", "All"), ("open", "Waiting or running"), *((state.value, state.label) for state in _TABS)]
_NO_DATE = "This is not a date. Write year, month and day, such as 2026-12-24."


def _date_field(label: str) -> forms.DateField:
    widget = UnfoldAdminTextInputWidget(attrs={"type": "date", "min": "1970-01-01", "max": "2199-12-31"})
    return forms.DateField(
        label=label, required=False, input_formats=["%Y-%m-%d"], widget=widget, error_messages={"invalid": _NO_DATE}
    )


class RunFilterForm(forms.Form):
    """Which runs to list; a stretch of days, a name, a kind, what started them."""

    since = _date_field("Due from")
    until = _date_field("to")
    name = forms.CharField(
        label="Name contains",
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "search"}),
    )
    kind = forms.ChoiceField(label="Kind", required=False, widget=UnfoldAdminSelectWidget)
    trigger = forms.ChoiceField(
        label="Started by", required=False, choices=[("", "Anything"), *Trigger.choices], widget=UnfoldAdminSelectWidget
    )
    unnoted = forms.BooleanField(label="Only what nobody has acknowledged", required=False, widget=UnfoldBooleanWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [(kind.key, kind.label) for kind in job_kinds.known()]
        self.fields["kind"].choices = [("", "Any"), *kinds]  # type: ignore[attr-defined]

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
            since=_midnight(said["since"]),
            until=_midnight(said["until"] + timedelta(days=1)) if said["until"] else None,
            name=said["name"],
            kind=said["kind"],
            trigger=said["trigger"],
            is_unnoted=said["unnoted"],
        )


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.min, timezone.get_current_timezone())
