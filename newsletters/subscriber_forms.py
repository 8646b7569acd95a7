"""The forms about one subscriber, and about addresses that get nothing."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from newsletters import addresses, field_forms, fields, subscribers
from newsletters.models import List, Segment, Subscriber, Subscription, Suppression
from runs import form_errors


class SubscriberForm(forms.ModelForm):  # type: ignore[type-arg]
    """A subscriber, an input for each field, and the lists they are confirmed on."""

    lists = forms.ModelMultipleChoiceField(
        queryset=List.objects.all(), required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Tick only lists that the person asked for.",
    )  # fmt: skip

    class Meta:
        model = Subscriber
        fields = ("email", "name", "language")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            confirmed = Subscription.objects.filter(subscriber=self.instance, state=Subscription.State.CONFIRMED)
            self.fields["lists"].initial = list(confirmed.values_list("list", flat=True))
        for key, field in self._values().items():
            stored = self.instance.attributes.get(key)
            field.show(stored)
            self.initial[field_forms.input_name(key)] = fields.in_words(field.of, stored)

    def _values(self) -> dict[str, field_forms.ValueField]:
        return {one.of.key: one for one in self.fields.values() if isinstance(one, field_forms.ValueField)}

    def clean_lists(self) -> Any:
        try:
            subscribers.check_lists(self.instance, self.cleaned_data["lists"])
        except ValidationError as error:
            raise ValidationError(error.message_dict["lists"]) from error
        return self.cleaned_data["lists"]

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if "email" in self.changed_data:
            try:
                subscribers.refuse_erased(email)
            except ValidationError as error:
                raise ValidationError(error.message_dict["email"]) from error
            except addresses.BadAddress:
                pass  # the model says so at this field
        return email

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        attributes = dict(self.instance.attributes)
        for key in self._values():
            name = field_forms.input_name(key)
            if name not in self.changed_data or name not in cleaned:
                continue
            attributes.pop(key, None)
            if cleaned[name] is not None:
                attributes[key] = cleaned[name]
        self.instance.attributes = attributes
        return cleaned


def subscriber_form() -> type[SubscriberForm]:
    """The form with the inputs of the fields that there are now."""
    inputs = {field_forms.input_name(key): field_forms.ValueField(field) for key, field in fields.all_fields().items()}
    return type("SubscriberForm", (SubscriberForm,), inputs)


class SuppressionForm(forms.ModelForm):  # type: ignore[type-arg]
    """An address that is to get no newsletter any more."""

    email = forms.CharField(label="Address", max_length=254, widget=UnfoldAdminEmailInputWidget())

    class Meta:
        model = Suppression
        fields = ("note",)

    def clean_email(self) -> str:
        try:
            return addresses.normalise(self.cleaned_data["email"])
        except addresses.BadAddress as error:
            raise ValidationError(str(error)) from error


class LeaveForm(forms.Form):
    """Why staff take somebody off a list."""

    reason = forms.CharField(
        label="Why?", max_length=300, required=False, widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Kept with the change; may stay empty.",
    )  # fmt: skip


class SuppressForm(forms.Form):
    """Why one subscriber is to get nothing."""

    note = forms.CharField(
        label="Why?", max_length=200, widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Others will see this, such as “Asked by phone”.",
    )  # fmt: skip


class LiftForm(forms.Form):
    """Why an address may be written to again."""

    reason = forms.CharField(
        label="Why?", max_length=300, required=False, widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Kept in the activity log, such as “Wrote to us on 3 May and asked for it”.",
    )  # fmt: skip
    is_confirmed = forms.BooleanField(
        label="They asked for this themselves", required=False, widget=UnfoldBooleanWidget()
    )

    def __init__(self, *args: Any, needs_word: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not needs_word:
            del self.fields["is_confirmed"]

    def show(self, error: ValidationError) -> None:
        form_errors.show(self, error)


class EraseForm(forms.Form):
    """The address once more, by hand."""

    address = forms.CharField(
        label="Type their address to erase them", max_length=254,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip


class ExportForm(forms.Form):
    """Whose lines a file is to hold."""

    of_list = forms.ModelChoiceField(
        label="List", queryset=List.objects.all(), required=False, empty_label="All lists, and nobody left out",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    of_segment = forms.ModelChoiceField(
        label="Segment", queryset=Segment.objects.all(), required=False, empty_label="No segment",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
