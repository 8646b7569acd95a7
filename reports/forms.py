"""The report form; validation itself lives in drafts.py."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from reports.datasets import registry
from reports.drafts import MAX_NAME_LENGTH, ReportDraft, validate
from reports.models import Period, ReportDefinition
from runs import form_errors


class ReportForm(forms.ModelForm):  # type: ignore[type-arg]
    """What → which days → limits → who is told."""

    name = forms.CharField(
        label="Name", max_length=MAX_NAME_LENGTH, widget=UnfoldAdminTextInputWidget,
        help_text="How you and others will recognise it, such as “Deliveries, last week”.",
    )  # fmt: skip
    data_set = forms.ChoiceField(label="What it lists", widget=UnfoldAdminSelectWidget)
    period = forms.ChoiceField(
        label="Which days", choices=Period.choices, widget=UnfoldAdminRadioSelectWidget, initial=Period.LAST_WEEK,
        help_text="Counted from the moment when it is due, so a late run still covers the right days.",
    )  # fmt: skip
    last_n = forms.IntegerField(
        label="How many days", required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    time_zone = forms.CharField(
        label="Time zone", widget=UnfoldAdminTextInputWidget(attrs={"list": "time-zones", "autocomplete": "off"}),
        help_text="Where a day begins and ends, such as Europe/Berlin.",
    )  # fmt: skip
    row_cap = forms.IntegerField(
        label="At most this many rows", required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget,
        help_text="A report that would be longer is marked as incomplete. Leave empty for no limit.",
    )  # fmt: skip
    retention_days = forms.IntegerField(
        label="Keep each file for (days)", min_value=1, initial=90, widget=UnfoldAdminIntegerFieldWidget
    )
    notify: forms.ModelMultipleChoiceField[Any] = forms.ModelMultipleChoiceField(
        label="Tell", queryset=None, required=False, widget=UnfoldAdminSelectMultipleWidget,
        help_text="They see a notice here when the report is ready. Whoever starts it is told anyway.",
    )  # fmt: skip

    class Meta:
        model = ReportDefinition
        fields = ()
        # Neither filled in nor checked by Django's model validation: drafts.py does that, for every door.
        exclude = ("name", "data_set", "period", "last_n", "time_zone", "row_cap", "retention_days", "notify")  # noqa: DJ006

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(forms.ChoiceField, self.fields["data_set"]).choices = [("", "Choose what to list…"), *registry.choices()]
        staff = get_user_model()._default_manager.filter(is_active=True, is_staff=True).order_by("username")
        cast("forms.ModelMultipleChoiceField[Any]", self.fields["notify"]).queryset = staff
        for name, value in self._initial_values().items():
            self.initial.setdefault(name, value)

    def _initial_values(self) -> dict[str, Any]:
        if self.instance.pk is None:
            return {"time_zone": timezone.get_current_timezone_name(), "period": Period.LAST_WEEK, "retention_days": 90}
        draft = ReportDraft.of(self.instance)
        return {**draft.column_values(), "notify": list(draft.notify)}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            validate(self.draft(), self.instance if self.instance.pk else None)
        except ValidationError as error:
            form_errors.show(self, error)
        return cleaned

    def draft(self) -> ReportDraft:
        """The values of the form as the services take them; fields that did not parse are left at their defaults."""
        values = self.cleaned_data
        period = str(values.get("period") or "")
        return ReportDraft(
            name=str(values.get("name") or "").strip(),
            data_set=str(values.get("data_set") or ""),
            period=period,
            last_n=values.get("last_n") if period == Period.LAST_N_DAYS else None,
            time_zone=str(values.get("time_zone") or "").strip(),
            row_cap=values.get("row_cap"),
            retention_days=values.get("retention_days") or 90,
            notify=tuple(user.pk for user in values.get("notify") or ()),
        )
