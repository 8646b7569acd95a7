"""The schedule form; validation itself lives in drafts.py."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from runs.audit import Actor
from runs.row_numbers import row_number
from schedules import field_values, kinds, other_edits, saving
from schedules.drafts import MAX_NAME_LENGTH, ScheduleDraft, kind_defaults
from schedules.form_fields import MinutesField, shown_at
from schedules.models import Schedule
from schedules.policies import MISSED_CHOICES, OVERLAP_CHOICES
from schedules.timing_form import TimingForm

MAX_TARGETS_LISTED = 500


def target_choices(actor: Actor, *chosen: str) -> list[tuple[str, Any]]:
    """What this person may schedule, grouped by kind: ("newsletter:3", "Weekly letter").

    ``chosen`` are offered too, however many others there are, as long as they exist.
    """
    groups: list[tuple[str, Any]] = [("", "Choose what to run…")]
    for kind in kinds.schedulable():
        if actor is not None and kind.admin_permission and not actor.has_perm(kind.admin_permission):  # type: ignore[union-attr]
            continue
        targets = {target.pk: target for target in kind.targets()[:MAX_TARGETS_LISTED]}
        for key, _, number in (value.partition(":") for value in chosen):
            pk = row_number(number)
            if key == kind.key and pk is not None and pk not in targets:
                target = kind.target(pk)
                targets |= {} if target is None else {target.pk: target}
        if targets:
            groups.append((kind.label, [(f"{kind.key}:{pk}", str(target)) for pk, target in targets.items()]))
    return groups


class ScheduleForm(TimingForm, forms.ModelForm):  # type: ignore[type-arg]
    """What → when → rules."""

    is_whole = True
    actor: Actor = None
    """Who fills it in; the admin sets it on a subclass of its own for each request."""

    refusal: ValidationError | None = None
    """What the write itself refused a moment ago, to be shown at the fields with all that was typed."""

    what = forms.ChoiceField(
        label="What to run", widget=UnfoldAdminSelectWidget,
        error_messages={
            "required": "Choose what to run.",
            "invalid_choice": "What was chosen here no longer exists, or you may not schedule it. Choose another one.",
        },
    )  # fmt: skip
    name = forms.CharField(
        label="Name", max_length=MAX_NAME_LENGTH, widget=UnfoldAdminTextInputWidget,
        help_text="How you and others will recognise it, such as “Weekly letter, Mondays”.",
        error_messages={"required": "Give the schedule a name, such as “Weekly letter, Mondays”."},
    )  # fmt: skip
    missed = forms.ChoiceField(
        label="If nothing was running when it was due", choices=MISSED_CHOICES, widget=UnfoldAdminRadioSelectWidget,
        help_text="After a power cut or an update, for example.",
    )  # fmt: skip
    overlap = forms.ChoiceField(
        label="If the previous run has not finished", choices=OVERLAP_CHOICES, widget=UnfoldAdminRadioSelectWidget
    )
    start_deadline_minutes = MinutesField(
        label="Must start within (minutes)", required=False,
        help_text="Later than this it is recorded as missed instead. Leave empty for no limit.",
    )  # fmt: skip
    missed_cap = forms.IntegerField(
        label="At most this many", min_value=1, max_value=100, required=False, widget=UnfoldAdminIntegerFieldWidget,
        help_text="The latest ones are run; the others are recorded as missed.",
    )  # fmt: skip
    jitter_minutes = MinutesField(
        label="Spread the start over (minutes)", required=False,
        help_text="Starts at a random moment within this time, so that many jobs do not start together. 0 is on time.",
    )  # fmt: skip
    time_limit_minutes = MinutesField(label="Stop after (minutes)")
    retries = forms.IntegerField(
        label="Try again after an error", min_value=0, max_value=10, widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many more times. Each wait is twice as long as the one before.",
    )  # fmt: skip
    retry_delay_minutes = MinutesField(label="First wait before trying again (minutes)", required=False)
    notify_after = forms.IntegerField(
        label="Tell people after this many failures in a row", min_value=0, max_value=100, required=False,
        widget=UnfoldAdminIntegerFieldWidget, help_text="Its owner and the administrators; and again when it works. 0 tells nobody.",
    )  # fmt: skip
    pause_after = forms.IntegerField(
        label="Pause after this many failures in a row", min_value=1, max_value=100, required=False,
        widget=UnfoldAdminIntegerFieldWidget, help_text="Leave empty to go on trying at every due time.",
    )  # fmt: skip
    seen_version = forms.CharField(required=False, widget=forms.HiddenInput)
    seen_entry = forms.CharField(required=False, widget=forms.HiddenInput)
    form_key = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Schedule
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.other_edits: list[other_edits.OtherEdit] = []
        """What somebody else saved while this person was editing."""
        self.first_save: Schedule | None = None
        """The schedule that the first of two equal saves has made already."""
        for name, value in self._initial_values().items():
            self.initial.setdefault(name, value)
        what = self.fields["what"]
        assert isinstance(what, forms.ChoiceField)
        chosen = str(self.data.get("what", "") if self.is_bound else self.initial.get("what", ""))
        what.choices = target_choices(self.actor, chosen)
        if self.instance.pk and not what.valid_value(self.initial["what"]):
            what.help_text = "What it has run so far no longer exists, or you may not schedule it. Choose another one."

    def _initial_values(self) -> dict[str, Any]:
        key = {"form_key": saving.new_key()}
        schedule = self.instance if self.instance.pk else None
        if schedule is None:
            return key | {
                "time_zone": timezone.get_current_timezone_name(), "missed": "latest", "overlap": "skip",
                "time_limit_minutes": 3600, "retries": 0, "missed_cap": 10, "calendar_rule": "skip", "jitter_minutes": 0,
                "retry_delay_minutes": 60, "notify_after": 1, **FIRST_TIMING,
            }  # fmt: skip
        version = {"seen_version": schedule.changed_at.isoformat(), "seen_entry": other_edits.last_entry(schedule.pk)}
        return key | version | values_of(schedule)

    def clean(self) -> dict[str, Any]:
        self._check_version()
        if self.cleaned_data.get("missed") != "all":
            self.errors.pop("missed_cap", None)  # it is hidden then
        if not self.instance.pk:
            self._write_pattern()
            self.first_save = saving.just_saved(self.actor, self.draft())
            if self.first_save is not None:
                return self.cleaned_data  # its name is taken, by itself
        cleaned = super().clean()
        if self.refusal is not None and not self.other_edits:
            self._show(self.refusal)
        return cleaned

    def _check_version(self) -> None:
        """Tells the second of two editors, keeps what was typed, and lets a second Save decide for it."""
        seen = self.seen_version_at()
        if not self.instance.pk or seen is None:
            return
        current = Schedule.objects.values_list("changed_at", flat=True).filter(pk=self.instance.pk).first()
        if current is None or current == seen:
            return
        self.other_edits = other_edits.since(self.instance, self.cleaned_data.get("seen_entry", ""), seen)
        self._refill({"seen_version": current.isoformat(), "seen_entry": other_edits.last_entry(self.instance.pk)})
        self.add_error(
            None,
            "Somebody else changed this schedule while you were editing. What you typed is kept below: "
            "save again to replace their change with yours, or close the form to leave theirs.",
        )

    def draft(self) -> ScheduleDraft:
        """The values of the form as the services take them; fields that did not parse are left at their defaults."""
        values = self.cleaned_data
        kind, _, target = str(values.get("what") or "").partition(":")
        return ScheduleDraft(
            name=str(values.get("name") or "").strip(),
            kind=kind,
            target_id=row_number(target),
            missed=values.get("missed") or "latest",
            start_deadline_seconds=values.get("start_deadline_minutes"),
            overlap=values.get("overlap") or "skip",
            time_limit_seconds=_or(values.get("time_limit_minutes"), 3600),
            retries=values.get("retries") or 0,
            missed_cap=_or(values.get("missed_cap"), 10),
            jitter_seconds=values.get("jitter_minutes") or 0,
            retry_delay_seconds=_or(values.get("retry_delay_minutes"), 60),
            notify_after=_or(values.get("notify_after"), 1),
            pause_after=values.get("pause_after"),
            **self.timing_values(),
        )

    def seen_version_at(self) -> datetime | None:
        """When the schedule that the editor saw had last been changed."""
        try:
            return datetime.fromisoformat(self.cleaned_data.get("seen_version") or "")
        except ValueError:
            return None


FIRST_TIMING = {
    "mode": "weekly", "weekdays": ["1"], "times": "09:00", "month_on": "day", "month_day": 1, "month_nth": "1",
    "month_weekday": "1", "every_amount": 1, "every_unit": "hours", "expression": "0 9 * * 1",
}  # fmt: skip
"""What the form offers before anything is chosen, and what stands ready under the modes that are not chosen."""


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def values_of(schedule: Schedule) -> dict[str, Any]:
    """The values of an existing schedule as those of the form's fields."""
    zone = schedule.time_zone
    timing: dict[str, Any] = {"mode": schedule.mode, "once_at": shown_at(schedule.once_at, zone)}
    if schedule.mode == Schedule.Mode.CRON:
        timing |= field_values.of_pattern(schedule.expression)
    elif schedule.mode == Schedule.Mode.INTERVAL and schedule.every_seconds:
        timing |= field_values.of_seconds(schedule.every_seconds)
    return FIRST_TIMING | timing | {
        "what": f"{schedule.kind}:{schedule.target_id}",
        "name": schedule.name,
        "ends_at": shown_at(schedule.ends_at, zone),
        "time_zone": zone,
        "max_runs": schedule.max_runs,
        "missed": schedule.missed,
        "overlap": schedule.overlap,
        "start_deadline_minutes": schedule.start_deadline_seconds,
        "time_limit_minutes": schedule.time_limit_seconds,
        "retries": schedule.retries,
        "missed_cap": schedule.missed_cap,
        "calendar": schedule.calendar_id,
        "calendar_rule": schedule.calendar_rule,
        "jitter_minutes": schedule.jitter_seconds,
        "retry_delay_minutes": schedule.retry_delay_seconds,
        "notify_after": schedule.notify_after,
        "pause_after": schedule.pause_after,
    }  # fmt: skip


def rules_as_fields(kind: str) -> dict[str, Any]:
    """The rules that a kind of job starts with, as values of the form's fields."""
    rules = kind_defaults(kind)
    deadline = rules.get("start_deadline_seconds")
    return {
        "missed": rules.get("missed", "latest"),
        "overlap": rules.get("overlap", "skip"),
        "start_deadline_minutes": f"{deadline / 60:g}" if deadline else "",
        "time_limit_minutes": f"{rules.get('time_limit_seconds', 3600) / 60:g}",
        "retries": rules.get("retries", 0),
        "jitter_minutes": f"{rules.get('jitter_seconds', 0) / 60:g}",
        "notify_after": rules.get("notify_after", 1),
        "pause_after": rules.get("pause_after") or "",
    }
