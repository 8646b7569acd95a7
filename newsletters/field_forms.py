"""Forms of the subscribers' fields, and form inputs for the values of each field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from newsletters import fields
from newsletters.models import SubscriberField
from runs import form_errors

Kind = SubscriberField.Kind
PREFIX = "field_"
"""Before the short name, in the names of inputs."""


class SubscriberFieldForm(forms.ModelForm):  # type: ignore[type-arg]
    """A field; its choices are written one per line."""

    choices = forms.CharField(
        required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        help_text="Only for “One of several”: the values to choose from, each on a line of its own.",
    )  # fmt: skip

    class Meta:
        model = SubscriberField
        fields = ("label", "key", "kind", "choices", "is_public", "position")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["choices"] = "\n".join(str(choice) for choice in self.instance.choices)

    def clean_choices(self) -> list[str]:
        return str(self.cleaned_data["choices"]).splitlines()

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            fields.check_field(self.instance)
        except ValidationError as error:
            form_errors.show(self, error)


@dataclass(frozen=True)
class Look:
    """What the inputs are made of: the desk's, or those of a reader's page."""

    line: type[forms.TextInput]
    choice: type[forms.Select]
    none: str
    """How no value is called in a choice."""


DESK = Look(UnfoldAdminTextInputWidget, UnfoldAdminSelectWidget, "Not known")


class ValueField(forms.Field):
    """The input of one value, as its field's kind asks; what it gives is ready to be stored."""

    def __init__(self, of: SubscriberField, look: Look = DESK, **kwargs: Any) -> None:
        self.of, self.look = of, look
        self._misfit: str | None = None
        kwargs.setdefault("required", False)
        super().__init__(label=of.label, widget=_widget_for(of, look), **kwargs)

    def show(self, stored: Any) -> None:
        """Makes room for a stored value that the input could not hold: it is seen, and kept until somebody changes it."""
        try:
            fields.read_value(self.of, stored)
        except fields.BadValue:
            self._misfit = fields.in_words(self.of, stored)
            self.widget = self.look.line()
            self.help_text = "What is stored here does not fit the field. It stays until you change it."

    def clean(self, value: Any) -> Any:
        if self._misfit is not None and not self.has_changed(self._misfit, value):
            return None  # nobody has to repair what they did not come for
        try:
            return fields.read_value(self.of, value)
        except fields.BadValue as error:
            raise ValidationError(str(error)) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        return str(initial or "") != str(data or "").strip()


def _widget_for(field: SubscriberField, look: Look) -> Any:
    """A calendar, a choice, or a line of text."""
    if field.kind == Kind.YES_NO:
        return look.choice(choices=[("", look.none), ("yes", "Yes"), ("no", "No")])
    if field.kind == Kind.CHOICE:
        return look.choice(choices=[("", look.none), *((one, one) for one in field.choices)])
    # Numbers are typed as text: browsers' number fields change what is written when somebody scrolls over them.
    line = look.line(attrs={"inputmode": "decimal"} if field.kind == Kind.NUMBER else {})
    if field.kind == Kind.DATE:
        line.input_type = "date"
    return line


def input_name(key: str) -> str:
    """The name of a field's input."""
    return f"{PREFIX}{key}"
