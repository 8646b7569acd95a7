"""Form fields of a policy: what it cleans with its filters, numbers, and the live preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.template.loader import render_to_string
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from cleanup import targets
from cleanup.targets import AnyTarget, Filter, scopes
from runs import words

PREFIX = "filter."
WRITTEN = "filter-by-name."
"""Where there are too many for a list: their name is written."""
Filters = Mapping[str, Mapping[str, str]]


class TargetsWidget(forms.Widget):
    """Each target with what it takes and never takes; its filters are seen once it is ticked."""

    use_fieldset = True

    def __init__(self) -> None:
        super().__init__()
        self.filters: Filters = {}
        """What is chosen of the filters, by target; the form says."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        keys = data.getlist(name) if isinstance(data, QueryDict) else data.get(name, [])
        return list(dict.fromkeys(keys))

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        keys = list(value or ())
        shown = [_shown(one, keys, self.filters.get(one.key, {})) for one in targets.all_targets()]
        # What is ticked comes first: nobody has to look for it among twenty.
        offered = sorted(shown, key=lambda one: not one["is_chosen"])
        lost = [key for key in keys if not targets.is_known(key)]
        return render_to_string("cleanup/_targets_field.html", {"name": name, "offered": offered, "lost": lost})


class TargetsField(forms.Field):
    """The keys of what is cleaned; what it may be is for policy_checks.py to say."""

    widget = TargetsWidget

    def to_python(self, value: Any) -> tuple[str, ...]:
        return tuple(value or ())

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or ()) != list(data or ())


def filters_in(data: Mapping[str, Any]) -> Filters:
    """What was chosen of the filters, by target and by the filter's name; those left at "all" are left out."""
    found: dict[str, dict[str, str]] = {}
    for sent, value in data.items():
        for prefix in (PREFIX, WRITTEN):
            if sent.startswith(prefix) and value:
                key, _, name = sent.removeprefix(prefix).partition(".")
                found.setdefault(key, {})[name] = _found(key, name, value) if prefix == WRITTEN else str(value)
    return found


def _found(key: str, name: str, said: str) -> str:
    """The value of a name; what nothing is called stays as it was written, and is refused."""
    known = targets.get(key).filters if targets.is_known(key) else ()
    one = next((one for one in known if one.name == name), None)
    try:
        return one.named.find(said) if one is not None and one.named is not None else said
    except ValueError:
        return said


class PreviewWidget(forms.Widget):
    """What it would delete now, asked for by the page once it is there."""

    use_fieldset = True

    def __init__(self) -> None:
        super().__init__()
        self.number: int | None = None
        """Of the policy, once it is stored."""
        self.shown: Any = None
        """What is shown at once, where no script asks for it."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        return render_to_string("cleanup/_live_panel.html", {"number": self.number, "shown": self.shown})


class PreviewField(forms.Field):
    """Not typed, only shown."""

    widget = PreviewWidget

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class NumberField(forms.IntegerField):
    """A whole number; how large it may be is for policy_checks.py to say."""

    def __init__(self, label: str, help_text: str = "") -> None:
        super().__init__(
            label=label, required=False, help_text=help_text, widget=UnfoldAdminIntegerFieldWidget,
            error_messages={"invalid": "This is no whole number. Write digits, such as 90."},
        )  # fmt: skip


def _shown(target: AnyTarget, keys: Sequence[str], chosen: Mapping[str, str]) -> dict[str, Any]:
    return {
        "key": target.key,
        "label": target.label,
        "description": target.description,
        "promise": target.promise,
        "floor": words.counted(target.floor_days, "day"),
        "is_chosen": target.key in keys,
        "may_archive": target.may_archive,
        "filters": [_filter(target.key, one, chosen.get(one.name, "")) for one in target.filters],
    }


def _filter(key: str, one: Filter, value: str) -> dict[str, Any]:
    options = [(str(option), label, str(option) == value) for option, label in one.choices()]
    label = one.name_of(value) if value else ""
    is_lost = bool(value) and not label
    shown = {"label": one.label, "options": options, "is_lost": is_lost}
    if one.named is not None and len(options) >= scopes.MOST_OFFERED:
        return {**shown, "name": f"{WRITTEN}{key}.{one.name}", "written": label or value, "is_written": True}
    if is_lost:
        options.append((value, "What was chosen is no longer there", True))
    return {**shown, "name": f"{PREFIX}{key}.{one.name}"}
