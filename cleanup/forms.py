"""The form of a policy; the rules themselves are checked in policy_checks.py."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from cleanup import policy_checks
from cleanup.drafts import PolicyDraft
from cleanup.form_fields import NumberField, PreviewField, TargetsField, filters_in
from cleanup.models import Archiving, CleanupPolicy
from runs import form_errors
from runs.audit import Actor

RESTS = [(0, "None"), (200, "A fifth of a second"), (500, "Half a second"), (2000, "Two seconds")]
_NUMBERS = (
    "days", "keep_last", "batch_size", "max_rows", "max_minutes", "archive_days", "approve_above_rows",
    "approve_above_percent", "approve_above_times",
)  # fmt: skip
_ALWAYS = {"batch_size": PolicyDraft.batch_size, "approve_above_times": PolicyDraft.approve_above_times}
"""Numbers that are never empty; whoever empties their field gets the usual ones."""


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is cleaned → how old it must be → what that would be → a copy → limits."""

    actor: Actor = None
    """Who fills it in; the admin sets it on a subclass of its own for each request."""

    name = forms.CharField(
        label="Name", max_length=120, widget=UnfoldAdminTextInputWidget,
        help_text="What it tidies up, such as “Sign-ups that were never confirmed”.",
        error_messages={"required": "Give it a name that says what it tidies up, such as “Old sign-ups”."},
    )  # fmt: skip
    targets = TargetsField(label="What to clean", required=False)
    days = NumberField("Older than (days)", "What is younger than this always stays.")
    preview = PreviewField(label="", required=False)
    archive = forms.ChoiceField(
        label="Keep a copy of what is deleted", choices=Archiving.choices, required=False,
        widget=UnfoldAdminRadioSelectWidget,
        help_text="The copy is written and read back before anything is deleted, and can be put back for as long as it is kept. "
        "Somebody who is erased later stays in it until it goes.",
    )  # fmt: skip
    archive_days = NumberField(
        "Keep the copy for (days)",
        "After that the copy is deleted as well, for good. Leave empty to keep it until somebody deletes it; a copy that names "
        "people stays for three years at most.",
    )
    keep_last = NumberField(
        "Always keep the newest of each group",
        "So many stay however old they are, such as the last 5 runs of each schedule. Leave empty for none.",
    )
    max_rows = NumberField(
        "At most this many rows a run", "What is left follows in the next run. Leave empty for no limit."
    )
    max_minutes = NumberField(
        "At most this many minutes a run", "What is left follows in the next run. Leave empty for no limit."
    )
    batch_size = NumberField(
        "Rows at once, at most", "It takes fewer by itself where the database is slow, so that nobody has to wait."
    )
    rest_ms = forms.TypedChoiceField(
        label="Rest after each batch", choices=RESTS, coerce=int, empty_value=None, required=False,
        widget=UnfoldAdminSelectWidget, help_text="A rest leaves the database to others: with a fifth of a second they hardly notice a cleanup.",
    )  # fmt: skip
    approve_above_rows = NumberField(
        "Ask a second person above (rows)",
        "Somebody else must agree before it deletes more than this. Leave empty to ask nobody.",
    )
    approve_above_percent = NumberField(
        "… above this share of a table (%)", "The share of all rows of that kind that there are."
    )
    approve_above_times = NumberField(
        "… above so many times the usual", "A run that would delete more than that deletes nothing and tells you."
    )
    owner: forms.ModelChoiceField[Any] = forms.ModelChoiceField(
        label="Who answers for it", queryset=None, required=False, widget=UnfoldAdminSelectWidget, empty_label=None,
        help_text="This person is told when a run is refused or fails.",
    )  # fmt: skip

    class Meta:
        model = CleanupPolicy
        fields = ()
        # Neither filled in nor checked by Django's model validation: policy_checks.py does that, for every door.
        exclude = tuple(field.name for field in CleanupPolicy._meta.fields)  # noqa: DJ006

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in self._initial_values().items():
            self.initial.setdefault(name, value)
        cast(Any, self.fields["preview"].widget).number = self.instance.pk
        cast(Any, self.fields["targets"].widget).filters = (
            filters_in(self.data) if self.is_bound else self.instance.filters
        )
        rest = self.initial["rest_ms"]
        if rest not in dict(RESTS):
            cast(Any, self.fields["rest_ms"]).choices = [*RESTS, (rest, f"{rest / 1000:g} seconds")]
        staff = get_user_model()._default_manager.filter(is_active=True, is_staff=True).order_by("username")
        cast("forms.ModelChoiceField[Any]", self.fields["owner"]).queryset = staff

    def _initial_values(self) -> dict[str, Any]:
        is_new = self.instance.pk is None
        draft = PolicyDraft("", days=90) if is_new else PolicyDraft.of(self.instance)
        values = {one: getattr(draft, one) for one in (*_NUMBERS, "name", "archive", "rest_ms")}
        own = self.actor.pk if self.actor is not None else None
        return {
            **values, "targets": list(draft.targets), "owner": own if is_new else draft.owner_id,
        }  # fmt: skip

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("archive") == Archiving.NONE:
            # What does not apply is not shown, so that it cannot be put right either.
            self.errors.pop("archive_days", None)
            cleaned["archive_days"] = self.initial["archive_days"]
        try:
            policy_checks.check(self.draft(), self.instance if self.instance.pk else None)
        except ValidationError as error:
            form_errors.show(self, error, {"filters": "targets"})
        return cleaned

    def draft(self) -> PolicyDraft:
        """The values of the form as the services take them; fields that did not parse are empty."""
        values = self.cleaned_data
        keys = values.get("targets") or ()
        owner = values.get("owner")
        numbers: dict[str, Any] = {one: _or(values.get(one), _ALWAYS.get(one)) for one in _NUMBERS}
        return PolicyDraft(
            name=str(values.get("name") or "").strip(),
            targets=keys,
            filters={key: one for key, one in filters_in(self.data).items() if key in keys},
            archive=str(values.get("archive") or Archiving.NONE),
            rest_ms=values.get("rest_ms") or 0,
            owner_id=owner.pk if owner is not None else None,
            **numbers,
        )


def _or(value: int | None, otherwise: int | None) -> int | None:
    return otherwise if value is None else value
