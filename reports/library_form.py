"""The fields above the library, and the questions asked before something is done with a report."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib.auth import get_user_model
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from reports import library
from reports.library import BY_SCHEDULE, STATES, Wanted
from reports.models import Format
from runs.days_form import DaysForm, date_field, midnight

MOST_OFFERED = 500


class LibraryForm(DaysForm):
    """Which reports to list."""

    name = forms.CharField(
        label="Name contains",
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "search"}),
    )
    report = forms.ChoiceField(label="Report", required=False, widget=UnfoldAdminSelectWidget)
    since = date_field("Covers days from")
    until = date_field("to")
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

    def narrow(self, wanted: Wanted) -> Wanted:
        """``wanted`` with what a valid form asks for; days are those of the reader's time zone."""
        said = self.cleaned_data
        return replace(
            wanted,
            name=said["name"],
            definition_id=int(said["report"]) if said["report"] else None,
            since=midnight(said["since"]),
            until=midnight(said["until"] + timedelta(days=1)) if said["until"] else None,
            state=said["state"],
            file_format=said["file_format"],
            who=said["who"],
        )


class UntilForm(forms.Form):
    """Until when files are kept."""

    until = date_field("Keep them until the end of", required=True)


class WhyForm(forms.Form):
    """Why files are deleted."""

    reason = forms.CharField(
        label="Why?", max_length=180, widget=UnfoldAdminTextInputWidget,
        help_text="Whoever looks for the files later reads this.", error_messages={"required": "Say why, for whoever looks for the files later."},
    )  # fmt: skip
