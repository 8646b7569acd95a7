"""The forms of policies and holds; the rules themselves are checked in services.py."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from cleanup import services, targets
from cleanup.models import CleanupPolicy, Hold
from runs import form_errors


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is cleaned and how old it must be."""

    targets = forms.MultipleChoiceField(
        label="What to clean", required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    class Meta:
        model = CleanupPolicy
        fields = ("name", "targets", "days", "max_rows")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["targets"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(target.key, target.label) for target in targets.all_targets()]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            services.check_rule(cleaned.get("targets") or [], cleaned.get("days"), cleaned.get("max_rows"))
        except ValidationError as error:
            form_errors.show(self, error)
        return cleaned


class HoldForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is kept, and why."""

    target = forms.ChoiceField(label="What to hold", widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Hold
        fields = ("target", "object_id", "reason", "until")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["target"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(target.key, target.label) for target in targets.all_targets()]
