"""The report form; validation itself lives in draft_checks.py."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from reports import chosen_source, outside_addresses, selectable, selection_forms
from reports.draft_checks import MAX_NAME_LENGTH, selection_problems, validate
from reports.drafts import ReportDraft
from reports.form_fields import (
    AddressesField,
    DayField,
    LimitField,
    NumberField,
    PreviewField,
    SelectionField,
    TickedField,
)
from reports.models import MAX_ATTACHED_MB, Condition, Format, OnCap, Period, ReportDefinition
from reports.selection import Selection
from reports.selection_forms import Typed
from runs import form_errors
from runs.audit import Actor

ABOVE_OR_BELOW = [("above", "above"), ("below", "below")]
FIRST = {
    "period": Period.LAST_WEEK, "retention_days": 90, "keep_last": 1, "attach_up_to_mb": 0, "formats": [Format.CSV],
    "on_cap": OnCap.INCOMPLETE, "condition": Condition.ALWAYS, "threshold_of": selectable.ROWS_LABEL,
    "threshold_is": "above",
}  # fmt: skip
"""What the form of a new report begins with."""


class ReportForm(forms.ModelForm):  # type: ignore[type-arg]
    """What → of it → which days → the files → worth sending → who gets it."""

    actor: Actor = None
    """Who fills it in; the admin sets it on a subclass of its own for each request."""

    name = forms.CharField(
        label="Name", max_length=MAX_NAME_LENGTH, widget=UnfoldAdminTextInputWidget,
        help_text="How you and others will recognise it, such as “Deliveries, last week”.",
    )  # fmt: skip
    data_set = forms.ChoiceField(label="What it lists", widget=UnfoldAdminSelectWidget)
    selection = SelectionField(label="", required=False)
    period = forms.ChoiceField(
        label="Which days", choices=Period.choices, widget=UnfoldAdminRadioSelectWidget,
        help_text="Counted from the moment when it is due, so a late run still covers the right days.",
    )  # fmt: skip
    last_n = NumberField("How many days", 1)
    fixed_first = DayField("First day")
    fixed_last = DayField("Last day")
    time_zone = forms.CharField(
        label="Time zone", widget=UnfoldAdminTextInputWidget(attrs={"list": "time-zones", "autocomplete": "off"}),
        help_text="Where a day begins and ends, such as Europe/Berlin.",
    )  # fmt: skip
    preview = PreviewField(label="", required=False)
    formats = forms.MultipleChoiceField(
        label="Formats", choices=Format.choices, required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="CSV and Excel for people with a spreadsheet, PDF for reading, JSON Lines and Parquet for programs.",
    )  # fmt: skip
    is_for_machines = forms.BooleanField(
        label="Another program reads the files", required=False, widget=UnfoldBooleanSwitchWidget,
        help_text="Text is written exactly as it is. Leave it off when people open the files: then text that a "
        "spreadsheet would run as a formula is made harmless.",
    )  # fmt: skip
    row_cap = NumberField("At most this many rows", 1, "Leave empty for no limit.")
    on_cap = forms.ChoiceField(
        label="If there are more", choices=OnCap.choices, required=False, widget=UnfoldAdminRadioSelectWidget
    )
    retention_days = NumberField("Keep each file for (days)", 1)
    keep_last = NumberField("Always keep the latest", 0, "So many complete reports are kept however old they are.")
    compares = forms.BooleanField(
        label="Compare with the period before", required=False, widget=UnfoldBooleanSwitchWidget,
        help_text="The number of rows and each total are shown with what they were then, and the difference.",
    )  # fmt: skip
    condition = forms.ChoiceField(
        label="Send it", choices=Condition.choices, required=False, widget=UnfoldAdminRadioSelectWidget,
        help_text="It is made in any case, and kept in the library.",
    )  # fmt: skip
    threshold_of = forms.CharField(label="Which total", required=False, max_length=60, widget=UnfoldAdminSelectWidget)
    threshold_is = forms.ChoiceField(
        label="Is", choices=ABOVE_OR_BELOW, required=False, widget=UnfoldAdminSelectWidget
    )  # fmt: skip
    threshold = LimitField("The limit")
    rearm = LimitField(
        "Not again before it is back at", "It is sent once. Leave empty to send it again as soon as it was back."
    )
    notify = TickedField("Tell", "They see a notice here when it is ready. Whoever starts it is told anyway.")
    recipient_users = TickedField("Mail it to")
    recipient_groups = TickedField("Mail it to everybody in")
    recipient_addresses = AddressesField("Mail it to addresses outside")
    attach_up_to_mb = NumberField(
        "Attach files up to (MB)",
        0,
        f"{MAX_ATTACHED_MB} at most. Larger files, and all with 0, are a link in the mail.",
    )
    owner: forms.ModelChoiceField[Any] = forms.ModelChoiceField(
        label="Who answers for it", queryset=None, required=False, widget=UnfoldAdminSelectWidget, empty_label=None,
        help_text="It is made with what this person may see, and they hear of every failure.",
    )  # fmt: skip

    class Meta:
        model = ReportDefinition
        fields = ()
        # Neither filled in nor checked by Django's model validation: draft_checks.py does that, for every door.
        exclude = tuple(  # noqa: DJ006
            field.name for field in (*ReportDefinition._meta.fields, *ReportDefinition._meta.many_to_many)
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in self._initial_values().items():
            self.initial.setdefault(name, value)
        chosen = str(self.data.get("data_set", "") if self.is_bound else self.initial.get("data_set", ""))
        cast(forms.ChoiceField, self.fields["data_set"]).choices = chosen_source.offered(self.actor, chosen)
        self.fields["data_set"].widget.attrs |= _swaps_the_builder()
        cast(Any, self.fields["preview"].widget).number = self.instance.pk
        builder = cast(Any, self.fields["selection"].widget)
        builder.stored = self.initial["selection"]
        if self.instance.pk and not self.is_bound:
            builder.errors = selection_problems(ReportDraft.of(self.instance))
        self._offer_people()
        typed = self.fields["selection"].widget.value_from_datadict(self.data, {}, "") if self.is_bound else None
        self._offer_totals(typed or self.initial["selection"])

    def _offer_people(self) -> None:
        staff = get_user_model()._default_manager.filter(is_active=True, is_staff=True).order_by("username")
        for name in ("notify", "recipient_users", "owner"):
            cast("forms.ModelMultipleChoiceField[Any]", self.fields[name]).queryset = staff
        if self.instance.pk and not staff.filter(pk=self.instance.owner_id).exists():
            # Without it the browser would choose somebody, and the report be made with their rights.
            gone = f"{self.instance.owner} (can no longer sign in)" if self.instance.owner else "Nobody yet"
            cast("forms.ModelChoiceField[Any]", self.fields["owner"]).empty_label = gone
            self.initial["owner"] = None
        groups = cast("forms.ModelMultipleChoiceField[Any]", self.fields["recipient_groups"])
        groups.queryset = Group.objects.order_by("name")
        if outside_addresses.is_offered():
            words = (
                f"One a line, {outside_addresses.allowed_words()}. Each gets a link of its own, which you can revoke."
            )
        else:
            words = "An administrator has to allow their domains first."
        if left := outside_addresses.who_left(self.instance):
            words += f" Asked for no more mails of this report: {', '.join(left)}."
        self.fields["recipient_addresses"].help_text = words

    def _offer_totals(self, typed: Typed) -> None:
        labels = selection_forms.possible_totals(typed)
        kept = self["threshold_of"].value()
        more = [kept] if kept and kept not in labels else []
        choices = [(label, "The number of rows" if label == selectable.ROWS_LABEL else label) for label in labels]
        widget = cast(forms.Select, self.fields["threshold_of"].widget)
        widget.choices = [*choices, *((label, f"{label} (no longer there)") for label in more)]

    def _initial_values(self) -> dict[str, Any]:
        if self.instance.pk is None:
            own = self.actor.pk if self.actor is not None else None
            zone = timezone.get_current_timezone_name()
            return {**FIRST, "time_zone": zone, "owner": own, "selection": Typed()}
        draft = ReportDraft.of(self.instance)
        values = {**draft.column_values(), "notify": list(draft.notify)}
        values |= {name: list(getattr(draft, name)) for name in ("recipient_users", "recipient_groups")}
        return values | {
            "data_set": chosen_source.key_of(draft.data_set, draft.query_id),
            "selection": selection_forms.of_definition(self.instance),
            "formats": list(draft.formats) or [Format.CSV],
            "recipient_addresses": "\n".join(draft.recipient_addresses),
            "threshold_of": draft.threshold_of or selectable.ROWS_LABEL,
            "threshold_is": draft.threshold_is or "above",
            "owner": draft.owner_id,
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._check_seen()
        self._forget_hidden()
        draft = self.draft()
        self._mark_selection(draft)
        try:
            validate(draft, self.instance if self.instance.pk else None, actor=self.actor)
        except ValidationError as error:
            form_errors.show(self, error)
        return cleaned

    def _check_seen(self) -> None:
        """Tells the second of two editors, keeps what was typed, and lets a second Save decide for it."""
        seen = self.data.get("seen")
        if self.instance.pk and seen and seen != self.instance.changed_at.isoformat():
            self.add_error(
                None,
                "This report was changed while you were editing, by somebody else or in another window. What you typed is "
                "kept below: save again to replace that change with yours, or close the form to leave it.",
            )

    def _forget_hidden(self) -> None:
        """What does not apply is not shown, so that it cannot be put right either."""
        values = self.cleaned_data
        hidden = []
        if values.get("period") != Period.LAST_N_DAYS:
            hidden.append("last_n")
        if values.get("period") != Period.FIXED:
            hidden += ["fixed_first", "fixed_last"]
        if values.get("condition") != Condition.THRESHOLD:
            hidden += ["threshold_of", "threshold_is", "threshold", "rearm"]
        for name in hidden:
            self.errors.pop(name, None)
            values[name] = None

    def _mark_selection(self, draft: ReportDraft) -> None:
        """Says what is wrong with the builder at its places, and below it only that there is something."""
        problems = selection_problems(draft)
        if self.cleaned_data.get("selection", Typed()).is_none:
            problems["columns"] = "Tick at least one column."
        cast(Any, self.fields["selection"].widget).errors = problems
        if problems:
            self.add_error("selection", "What has to be put right is marked above.")

    def draft(self) -> ReportDraft:
        """The values of the form as the services take them; fields that did not parse are left at their defaults."""
        values = self.cleaned_data
        typed = values.get("selection") or Typed()
        data_set, query_id = chosen_source.parts(str(values.get("data_set") or ""))
        selection = selection_forms.of_selection(typed)
        if values.get("condition") == Condition.THRESHOLD:
            selection = self._with_total(selection, typed)
        return ReportDraft(
            name=str(values.get("name") or "").strip(),
            data_set=data_set,
            query_id=query_id,
            selection=selection.to_json(),
            parameters=selection_forms.parameters_of(typed),
            period=str(values.get("period") or ""),
            last_n=values.get("last_n"),
            fixed_first=values.get("fixed_first"),
            fixed_last=values.get("fixed_last"),
            time_zone=str(values.get("time_zone") or "").strip(),
            formats=tuple(values.get("formats") or ()),
            is_for_machines=bool(values.get("is_for_machines")),
            row_cap=values.get("row_cap"),
            on_cap=str(values.get("on_cap") or OnCap.INCOMPLETE),
            compares=bool(values.get("compares")),
            attach_up_to_mb=values.get("attach_up_to_mb") or 0,
            retention_days=_or(values.get("retention_days"), 90),
            keep_last=_or(values.get("keep_last"), 1),
            **self._condition_values(),
            **self._people_values(),
        )

    def _condition_values(self) -> dict[str, Any]:
        values = self.cleaned_data
        condition = str(values.get("condition") or Condition.ALWAYS)
        if condition != Condition.THRESHOLD:
            return {"condition": condition}
        return {
            "condition": condition,
            "threshold_of": str(values.get("threshold_of") or ""),
            "threshold_is": str(values.get("threshold_is") or ""),
            "threshold": values.get("threshold"),
            "rearm": values.get("rearm"),
        }

    def _people_values(self) -> dict[str, Any]:
        values = self.cleaned_data
        owner = values.get("owner")
        ticked = ("notify", "recipient_users", "recipient_groups")
        return {
            "owner_id": owner.pk if owner is not None else None,
            "recipient_addresses": tuple(values.get("recipient_addresses") or ()),
            **{name: tuple(one.pk for one in values.get(name) or ()) for name in ticked},
        }

    def _with_total(self, selection: Selection, typed: Typed) -> Selection:
        """A total that decides is counted, whether it was ticked or not."""
        labels = selectable.total_labels(typed.data_set) if typed.data_set is not None else {}
        one = labels.get(str(self.cleaned_data.get("threshold_of")))
        return selection_forms.with_total(selection, one) if one is not None else selection


def _swaps_the_builder() -> dict[str, str]:
    return {
        "hx-post": reverse("admin:reports_reportdefinition_panel"), "hx-trigger": "change", "hx-include": "closest form",
        "hx-target": "#report-selection", "hx-sync": "#report-selection:queue last",
    }  # fmt: skip


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
