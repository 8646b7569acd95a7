"""The form of a hold: everything of a kind, one row by its number, or all that belong to something."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from cleanup import holding, targets
from cleanup.models import ANY_TARGET, Hold
from cleanup.name_input import NameInput
from cleanup.targets import AnyTarget, FileTarget, Scope
from runs import form_errors

ROW = "row"
ALL = "all"
WHICH = "which__"


class HoldForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is kept, why, and until when. The admin adds a field for each scope whose values can be chosen."""

    what = forms.ChoiceField(
        label="What to keep", widget=UnfoldAdminSelectWidget, error_messages={"required": "Choose what to keep."}
    )
    object_id = forms.CharField(
        label="Which one", required=False, max_length=400, widget=UnfoldAdminTextInputWidget,
        help_text="Its number, as it stands in the address of its page. Of a file: its name, or where it lies, such as "
        "imports/readers.csv.",
    )  # fmt: skip
    value = forms.CharField(
        label="Which", required=False, max_length=254, widget=UnfoldAdminTextInputWidget,
        help_text="Such as the address of a person.",
    )  # fmt: skip
    reason = forms.CharField(
        label="Why", max_length=200, widget=UnfoldAdminTextInputWidget,
        help_text="Whoever wonders why these rows stay reads this, such as “Audit of 2026”.",
        error_messages={"required": "Say why it must be kept."},
    )  # fmt: skip
    until = forms.DateField(
        label="Until the end of", required=False, input_formats=["%Y-%m-%d"],
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}), help_text="Leave empty to keep it until somebody releases it.",
        error_messages={"invalid": "This is no day. Choose one, such as 2027-12-31."},
    )  # fmt: skip

    class Meta:
        model = Hold
        fields = ()
        exclude = tuple(field.name for field in Hold._meta.fields)  # noqa: DJ006

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(forms.ChoiceField, self.fields["what"]).choices = [("", "Choose…"), *choices()]
        for name, one in chosen_from().items():
            offered = one.choices() if one.choices else ()
            if one.named is not None:
                cast(NameInput, self.fields[name].widget).offered = [label for _, label in offered]
            else:
                cast(forms.ChoiceField, self.fields[name]).choices = [("", "Choose…"), *offered]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        target, _, scope = str(cleaned.get("what") or "").partition(":")
        if scope == ROW and not cleaned.get("object_id", "").strip():
            is_file = targets.is_known(target) and isinstance(targets.get(target), FileTarget)
            which = "name of the file" if is_file else "number of the row"
            self.add_error("object_id", f"Write the {which} to keep.")
        elif scope not in (ROW, ALL, "") and not self._value(scope):
            self.add_error(field_of(scope), "Choose which." if field_of(scope) != "value" else "Write which.")
        elif field_of(scope) in cleaned:
            self._find(field_of(scope))
        until = cleaned.get("until")
        if until is not None and until < timezone.localdate():
            self.add_error("until", "That day has passed. Choose a later one, or leave it empty.")
        elif until is not None and until >= timezone.localdate() + holding.LONGEST:
            self.add_error("until", holding.TOO_LATE)
        if not self.errors:
            try:
                holding.check_hold(**self.wanted())
            except ValidationError as error:
                form_errors.show(self, error, {"target": "what", "scope": "what", "value": field_of(scope)})
        return cleaned

    def wanted(self) -> dict[str, Any]:
        """What :func:`cleanup.holding.add_hold` is told."""
        said = self.cleaned_data
        target, _, scope = said["what"].partition(":")
        is_scope = scope not in (ROW, ALL)
        return {
            "target": target,
            "object_id": said["object_id"].strip() if scope == ROW else "",
            "scope": scope if is_scope else "",
            "value": self._value(scope) if is_scope else "",
            "reason": said["reason"],
            "until": _end_of(said["until"]),
        }

    def _find(self, name: str) -> None:
        """Puts the number in the place of the name that was written."""
        named = chosen_from()[name].named if name in chosen_from() else None
        if named is not None:
            try:
                self.cleaned_data[name] = named.find(self.cleaned_data[name])
            except ValueError as error:
                self.add_error(name, str(error))

    def _value(self, scope: str) -> str:
        return str(self.cleaned_data.get(field_of(scope)) or "").strip()


def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Everything that can be kept, in groups: what is known to several kinds of rows, then each kind."""
    shared: list[tuple[str, str]] = []
    groups: dict[str, list[tuple[str, str]]] = {}
    for target in targets.all_targets():
        one = _one_by(target)
        groups[target.key] = [(f"{target.key}:{ROW}", one)] if one else []
        groups[target.key].append((f"{target.key}:{ALL}", "All of them"))
    for key, name, label in holding.scopes():
        (shared if key == ANY_TARGET else groups[key]).append((f"{key}:{name}", label))
    everywhere = [("Wherever they are", shared)] if shared else []
    return [*everywhere, *((targets.label(key), offered) for key, offered in groups.items())]


def chosen_from() -> Mapping[str, Scope]:
    """The field of each scope whose values can be chosen."""
    every = (one for target in targets.all_targets() for one in target.scopes)
    return {f"{WHICH}{one.name}": one for one in every if one.choices is not None}


def field_for(scope: Scope) -> forms.Field:
    """The field in which one of the values of a scope is chosen."""
    if scope.named is None:
        return forms.ChoiceField(label=scope.label, required=False, widget=UnfoldAdminSelectWidget)
    return forms.CharField(
        label=scope.label, required=False, widget=NameInput(), help_text="Begin to write its name, and choose it."
    )


def field_of(scope: str) -> str:
    """The field in which the value of a scope is said."""
    return f"{WHICH}{scope}" if f"{WHICH}{scope}" in chosen_from() else "value"


def shown_when() -> dict[str, str]:
    """Each field with the condition in which the page shows it."""
    by_name: dict[str, list[str]] = {}
    for key, name, _ in holding.scopes():
        by_name.setdefault(field_of(name), []).append(f"{key}:{name}")
    rows = [f"{target.key}:{ROW}" for target in targets.all_targets() if _one_by(target)]
    found = {name: _one_of(values) for name, values in by_name.items()}
    return {"value": "false", **found, "object_id": _one_of(rows)}


def _one_by(target: AnyTarget) -> str:
    """By what staff say which one they mean; "" where they cannot know: its number stands on no page."""
    if isinstance(target, FileTarget):
        return "One file, by its name"
    if target.number_is:
        return f"One {target.noun[0]}, by {target.number_is}"
    return f"One {target.noun[0]}, by its number" if admin.site.is_registered(target.table) else ""


def _one_of(values: list[str]) -> str:
    return " || ".join(f"what == '{value}'" for value in values) or "false"


def _end_of(day: date | None) -> datetime | None:
    if day is None:
        return None
    return datetime.combine(day + timedelta(days=1), time.min, timezone.get_current_timezone())
