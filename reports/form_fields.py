"""Form fields of a report: the builder of what it lists, days, ticked people, addresses one a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict
from django.template.loader import render_to_string
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from reports import outside_addresses, selection_forms, selection_panel
from reports.previews import Preview
from reports.selection_forms import Typed


class SelectionWidget(forms.Widget):
    """Columns, filters, groups, totals and order; or the parameters of a query."""

    use_fieldset = True

    def __init__(self) -> None:
        super().__init__()
        self.errors: Mapping[str, str] = {}
        """What is wrong, by its place in the builder."""
        self.stored = Typed()
        """As it was when the form was opened."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Typed:
        sent = data if isinstance(data, QueryDict) else QueryDict()
        typed = selection_forms.read(sent, data.get("data_set", ""))
        return selection_forms.change(selection_forms.remembering(typed, self.stored), data.get("do", ""))

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        typed = value if isinstance(value, Typed) else Typed()
        return render_to_string("reports/_selection_field.html", selection_panel.context(typed, self.errors))


class SelectionField(forms.Field):
    """What is listed, as :class:`Typed`."""

    widget = SelectionWidget

    def to_python(self, value: Any) -> Typed:
        return value if isinstance(value, Typed) else Typed()

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(initial != data)


class PreviewWidget(forms.Widget):
    """The first rows, asked for by the page once it is there."""

    use_fieldset = True

    def __init__(self) -> None:
        super().__init__()
        self.number: int | None = None
        """Of the definition, once it is stored."""
        self.shown: Preview | None = None
        """What is shown at once, where no script asks for it."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        context = {"number": self.number, "shown": self.shown}
        return render_to_string("reports/_preview_panel.html", context)


class PreviewField(forms.Field):
    """Not typed, only shown."""

    widget = PreviewWidget

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class DayField(forms.DateField):
    """A day, by the browser's own picker."""

    def __init__(self, label: str) -> None:
        style = UnfoldAdminTextInputWidget().attrs["class"]
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": style})
        wrong = {"invalid": "This is no day. Choose one, such as 2026-10-31."}
        super().__init__(label=label, required=False, widget=widget, error_messages=wrong)


class NumberField(forms.IntegerField):
    """A whole number; how large it may be is for draft_checks.py to say."""

    def __init__(self, label: str, least: int, help_text: str = "") -> None:
        super().__init__(
            label=label, required=False, min_value=least, help_text=help_text,
            widget=UnfoldAdminIntegerFieldWidget,
        )  # fmt: skip


class LimitField(forms.DecimalField):
    """A number that a total is compared with."""

    def __init__(self, label: str, help_text: str = "") -> None:
        super().__init__(
            label=label, required=False, max_digits=19, decimal_places=4, help_text=help_text,
            widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
        )  # fmt: skip


class TickedField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Several of a short list, by a tick each: nobody has to know about the Ctrl key."""

    def __init__(self, label: str, help_text: str = "") -> None:
        super().__init__(
            label=label, queryset=None, required=False, help_text=help_text,
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
        )  # fmt: skip


class AddressesField(forms.CharField):
    """Addresses outside, one a line."""

    def __init__(self, label: str) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 3, "cols": 40, "spellcheck": "false"})
        super().__init__(label=label, required=False, max_length=20_000, widget=widget)

    def clean(self, value: Any) -> Any:
        return outside_addresses.read(super().clean(value))
