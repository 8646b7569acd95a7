"""The fields above the list of runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from runs import job_kinds
from runs.days_form import DaysForm, date_field, midnight
from runs.run_list import Wanted
from runs.states import State, Trigger

_TABS = (State.SUCCEEDED, State.FAILED, State.MISSED, State.SKIPPED, State.CANCELLED)
SHOWN = [("", "All"), ("open", "Waiting or running"), *((state.value, state.label) for state in _TABS)]


class RunFilterForm(DaysForm):
    """Which runs to list; a stretch of days, a name, a kind, what started them."""

    since = date_field("Due from")
    until = date_field("to")
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

    def narrow(self, wanted: Wanted) -> Wanted:
        """``wanted`` with what a valid form asks for; days are those of the reader's time zone."""
        said = self.cleaned_data
        return replace(
            wanted,
            since=midnight(said["since"]),
            until=midnight(said["until"] + timedelta(days=1)) if said["until"] else None,
            name=said["name"],
            kind=said["kind"],
            trigger=said["trigger"],
            is_unnoted=said["unnoted"],
        )
