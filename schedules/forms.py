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

from runs import form_errors
from runs.audit import Actor
from schedules import kinds
from schedules.drafts import MAX_NAME_LENGTH, ScheduleDraft, kind_defaults, validate
from schedules.form_fields import MinutesField, WallClockField, instant, shown_at
from schedules.models import HolidayCalendar, Schedule
from schedules.policies import CALENDAR_CHOICES, MISSED_CHOICES, OVERLAP_CHOICES

UNIT_SECONDS = {"minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
MAX_TARGETS_LISTED = 500


def target_choices(actor: Actor) -> list[tuple[str, Any]]:
    """What this person may schedule, grouped by kind: ("newsletter:3", "Weekly letter")."""
    groups: list[tuple[str, Any]] = [("", "Choose what to run…")]
    for kind in kinds.schedulable():
        if actor is not None and kind.admin_permission and not actor.has_perm(kind.admin_permission):  # type: ignore[union-attr]
            continue
        options = [(f"{kind.key}:{target.pk}", str(target)) for target in kind.targets()[:MAX_TARGETS_LISTED]]
        if options:
            groups.append((kind.label, options))
    return groups


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]
    """What → when → rules."""

    actor: Actor = None
    """Who fills it in; the admin sets it on a subclass of its own for each request."""

    what = forms.ChoiceField(label="What to run", widget=UnfoldAdminSelectWidget)
    name = forms.CharField(
        label="Name", max_length=MAX_NAME_LENGTH, widget=UnfoldAdminTextInputWidget,
        help_text="How you and others will recognise it, such as “Weekly letter, Mondays”.",
    )  # fmt: skip
    words = forms.CharField(
        label="In words", required=False, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="Try “every weekday at 9” or “first Monday of the month 07:30”. The preview shows how it was read.",
    )  # fmt: skip
    mode = forms.ChoiceField(
        label="How often",
        choices=Schedule.Mode.choices,
        widget=UnfoldAdminRadioSelectWidget,
        initial=Schedule.Mode.CRON,
    )
    expression = forms.CharField(
        label="Pattern", required=False, max_length=120,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Five parts: minute, hour, day of the month, month, weekday. 0 9 * * 1 is every Monday at 09:00.",
    )  # fmt: skip
    every_amount = forms.IntegerField(label="Every", required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget)
    every_unit = forms.ChoiceField(
        label="Unit", required=False, choices=[(unit, unit) for unit in UNIT_SECONDS], widget=UnfoldAdminSelectWidget
    )
    once_at = WallClockField(label="Date and time", required=False)
    time_zone = forms.CharField(
        label="Time zone", widget=UnfoldAdminTextInputWidget(attrs={"list": "time-zones", "autocomplete": "off"}),
        help_text="The clock it follows, such as Europe/Berlin.",
    )  # fmt: skip
    ends_at = WallClockField(label="Ends on", required=False, help_text="Leave empty to go on until you stop it.")
    max_runs = forms.IntegerField(
        label="Ends after this many runs", required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
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
    calendar = forms.ModelChoiceField(
        label="Holidays of", queryset=HolidayCalendar.objects.all(), required=False, empty_label="No calendar: every day counts",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    calendar_rule = forms.ChoiceField(
        label="On a holiday", choices=CALENDAR_CHOICES, required=False, widget=UnfoldAdminRadioSelectWidget
    )
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

    class Meta:
        model = Schedule
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        what = self.fields["what"]
        assert isinstance(what, forms.ChoiceField)
        what.choices = target_choices(self.actor)
        for name, value in self._initial_values().items():
            self.initial.setdefault(name, value)

    def _initial_values(self) -> dict[str, Any]:
        schedule = self.instance if self.instance.pk else None
        if schedule is None:
            return {
                "time_zone": timezone.get_current_timezone_name(), "mode": Schedule.Mode.CRON, "missed": "latest",
                "overlap": "skip", "time_limit_minutes": 3600, "retries": 0, "expression": "", "every_unit": "hours",
                "missed_cap": 10, "calendar_rule": "skip", "jitter_minutes": 0, "retry_delay_minutes": 60,
                "notify_after": 1,
            }  # fmt: skip
        seconds = schedule.every_seconds
        amount, unit = amount_and_unit(seconds) if seconds else (None, "minutes")
        return {
            "what": f"{schedule.kind}:{schedule.target_id}",
            "name": schedule.name,
            "mode": schedule.mode,
            "expression": schedule.expression,
            "every_amount": amount,
            "every_unit": unit,
            "once_at": shown_at(schedule.once_at, schedule.time_zone),
            "ends_at": shown_at(schedule.ends_at, schedule.time_zone),
            "time_zone": schedule.time_zone,
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
            "seen_version": schedule.changed_at.isoformat(),
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._check_version()
        draft = self.draft()
        try:
            validate(draft, self.instance if self.instance.pk else None)
        except ValidationError as error:
            form_errors.show(self, error, _FORM_FIELD)
        return cleaned

    def _check_version(self) -> None:
        """Tells the second of two editors, keeps what was typed, and lets a second Save decide for it."""
        seen = self.seen_version_at()
        if not self.instance.pk or seen is None:
            return
        current = Schedule.objects.values_list("changed_at", flat=True).get(pk=self.instance.pk)
        if current != seen:
            self.data = {**self.data.dict(), "seen_version": current.isoformat()}  # type: ignore[attr-defined]
            self.add_error(
                None,
                "Somebody else changed this schedule while you were editing. What you typed is kept below. "
                "Open the schedule in another tab to see their change, or save again to replace it with yours.",
            )

    def draft(self) -> ScheduleDraft:
        """The values of the form as the services take them; fields that did not parse are left at their defaults."""
        values = self.cleaned_data
        kind, _, target = str(values.get("what") or "").partition(":")
        zone = str(values.get("time_zone") or "UTC").strip()
        mode = values.get("mode") or Schedule.Mode.CRON
        calendar = values.get("calendar")
        amount, unit = values.get("every_amount"), values.get("every_unit") or "minutes"
        return ScheduleDraft(
            name=str(values.get("name") or "").strip(),
            kind=kind,
            target_id=int(target) if target.isdigit() else None,
            mode=mode,
            expression=" ".join(str(values.get("expression") or "").split()) if mode == Schedule.Mode.CRON else "",
            time_zone=zone,
            every_seconds=amount * UNIT_SECONDS[unit] if mode == Schedule.Mode.INTERVAL and amount else None,
            once_at=instant(values.get("once_at"), zone) if mode == Schedule.Mode.ONCE else None,
            ends_at=instant(values.get("ends_at"), zone),
            max_runs=values.get("max_runs"),
            missed=values.get("missed") or "latest",
            start_deadline_seconds=values.get("start_deadline_minutes"),
            overlap=values.get("overlap") or "skip",
            time_limit_seconds=_or(values.get("time_limit_minutes"), 3600),
            retries=values.get("retries") or 0,
            missed_cap=_or(values.get("missed_cap"), 10),
            calendar_id=calendar.pk if calendar else None,
            calendar_rule=values.get("calendar_rule") or "skip",
            jitter_seconds=values.get("jitter_minutes") or 0,
            retry_delay_seconds=_or(values.get("retry_delay_minutes"), 60),
            notify_after=_or(values.get("notify_after"), 1),
            pause_after=values.get("pause_after"),
        )

    def seen_version_at(self) -> datetime | None:
        """When the schedule that the editor saw had last been changed."""
        try:
            return datetime.fromisoformat(self.cleaned_data.get("seen_version") or "")
        except ValueError:
            return None


_FORM_FIELD = {
    "target_id": "what",
    "every_seconds": "every_amount",
    "start_deadline_seconds": "start_deadline_minutes",
    "time_limit_seconds": "time_limit_minutes",
    "jitter_seconds": "jitter_minutes",
    "retry_delay_seconds": "retry_delay_minutes",
    "calendar_id": "calendar",
}


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def amount_and_unit(seconds: int) -> tuple[int, str]:
    """(90, "minutes"), (2, "weeks"): the largest unit that divides it evenly."""
    unit = next((u for u in reversed(UNIT_SECONDS) if seconds % UNIT_SECONDS[u] == 0), "minutes")
    return seconds // UNIT_SECONDS[unit], unit


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
