"""The “When” of the schedule form: words, simple modes, pattern, zone and end; the preview reads the same fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from runs import clock, words
from schedules import cron, cron_fields, field_values, phrases, simple_modes, zones
from schedules.cron_words import ORDINALS, WEEKDAYS
from schedules.drafts import ScheduleDraft, validate
from schedules.form_fields import MODE_CHOICES, WallClockField, WeekdaysField, ZoneField, instant
from schedules.models import HolidayCalendar, Schedule
from schedules.policies import CALENDAR_CHOICES
from schedules.simple_modes import SimpleMode, SimpleModeError

FORM_FIELD = {
    "target_id": "what",
    "every_seconds": "every_amount",
    "calendar_id": "calendar",
    "start_deadline_seconds": "start_deadline_minutes",
    "time_limit_seconds": "time_limit_minutes",
    "jitter_seconds": "jitter_minutes",
    "retry_delay_seconds": "retry_delay_minutes",
}
"""The form's names of what the services call otherwise."""
USED = {
    "interval": {"every_amount", "every_unit"},
    "daily": {"times"},
    "weekly": {"times", "weekdays"},
    "monthly": {"times", "month_on", "month_day", "month_nth", "month_weekday"},
    "once": {"once_at"},
    "cron": {"expression"},
}
"""Which fields each mode reads. What stands in the others is hidden, and must not stop anybody from saving."""


class TimingForm(forms.Form):
    """Everything that decides when a schedule is due, as people write it."""

    instance: Any = None
    """The schedule that is being edited; without a number yet for a new one."""
    is_whole = False
    """Whether it has a field for everything that can be wrong, and not for the timing alone."""
    _filled_by_words: Collection[str] = ()

    words = forms.CharField(
        label="In words", required=False, max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "placeholder": "every weekday at 9"}),
        help_text="Such as “every weekday at 9” or “first Monday of the month 07:30”. Or choose below.",
    )  # fmt: skip
    mode = forms.ChoiceField(
        label="How often", choices=MODE_CHOICES, widget=UnfoldAdminRadioSelectWidget, initial=simple_modes.WEEKLY
    )
    every_amount = forms.IntegerField(
        label="Every", required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget,
        help_text="Counted from the moment it is saved, day and night.",
    )  # fmt: skip
    every_unit = forms.ChoiceField(
        label="Unit", required=False, choices=[(unit, unit) for unit in field_values.UNIT_SECONDS],
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    weekdays = WeekdaysField(label="On these weekdays", required=False)
    month_on = forms.ChoiceField(
        label="On which day of the month", required=False, widget=UnfoldAdminRadioSelectWidget,
        choices=[("day", "A day by its number"), ("last", "The last day"), ("nth", "A weekday, such as the first Monday")],
    )  # fmt: skip
    month_day = forms.IntegerField(
        label="Day number", required=False, min_value=1, max_value=31, widget=UnfoldAdminIntegerFieldWidget
    )
    month_nth = forms.ChoiceField(
        label="Which one", required=False, choices=[(str(n), word) for n, word in ORDINALS.items()],
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    month_weekday = forms.ChoiceField(
        label="Weekday", required=False, choices=[(str(day), WEEKDAYS[day]) for day in (1, 2, 3, 4, 5, 6, 0)],
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    times = forms.CharField(
        label="At", required=False, max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "placeholder": "09:00"}),
        help_text="One time or several, such as 09:00, 17:00.",
    )  # fmt: skip
    expression = forms.CharField(
        label="Pattern", required=False, max_length=cron_fields.MAX_LENGTH,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Five parts: minute, hour, day of the month, month, weekday. 0 9 * * 1 is every Monday at 09:00.",
    )  # fmt: skip
    once_at = WallClockField(label="Date and time", required=False)
    time_zone = ZoneField(
        label="Time zone", help_text="The clock it follows, such as Europe/Berlin.", max_length=64,
        error_messages={"required": "Write the time zone that it follows, such as Europe/Berlin."},
    )  # fmt: skip
    ends_at = WallClockField(label="Ends on", required=False, help_text="Leave empty to go on until you stop it.")
    max_runs = forms.IntegerField(
        label="Ends after this many runs", required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    calendar = forms.ModelChoiceField(
        label="Holidays of", queryset=HolidayCalendar.objects.all(), required=False, empty_label="No calendar: every day counts",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    calendar_rule = forms.ChoiceField(
        label="On a holiday", choices=CALENDAR_CHOICES, required=False, widget=UnfoldAdminRadioSelectWidget
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._forgive_unused()
        self._write_pattern()
        self._check_words()
        draft = self.draft()
        try:
            validate(draft, self._existing)
            self._check_first_run(draft)
        except ValidationError as error:
            self._show(error)
        return cleaned

    def draft(self) -> ScheduleDraft:
        """The timing as the services take it; fields that did not parse are left at their defaults."""
        return ScheduleDraft(name="", kind="", target_id=None, **self.timing_values())

    def timing_values(self) -> dict[str, Any]:
        """The values of the draft that these fields decide."""
        values = self.cleaned_data
        zone = str(values.get("time_zone") or "UTC")
        mode = values.get("mode") or Schedule.Mode.CRON
        amount, unit = values.get("every_amount"), values.get("every_unit") or "minutes"
        calendar = values.get("calendar")
        stored = Schedule.Mode.CRON if mode in simple_modes.MODES else Schedule.Mode(mode)
        return {
            "mode": stored,
            "expression": values.get("pattern", "") if stored == Schedule.Mode.CRON else "",
            "time_zone": zone,
            "every_seconds": amount * field_values.UNIT_SECONDS[unit] if mode == "interval" and amount else None,
            "once_at": instant(values.get("once_at"), zone) if mode == "once" else None,
            "ends_at": instant(values.get("ends_at"), zone),
            "max_runs": values.get("max_runs"),
            "calendar_id": calendar.pk if calendar else None,
            "calendar_rule": values.get("calendar_rule") or "skip",
        }

    def trial(self, draft: ScheduleDraft, now: datetime) -> Schedule:
        """The schedule that the draft would make, or make of the one that is edited; not saved."""
        before = self._existing
        if before is None:
            return Schedule(anchor_at=now, cursor_at=now, **draft.schedule_values())
        return Schedule(
            pk=before.pk, anchor_at=before.anchor_at, cursor_at=now, planned_count=before.planned_count,
            **draft.schedule_values(),
        )  # fmt: skip

    @property
    def _existing(self) -> Schedule | None:
        return self.instance if self.instance is not None and self.instance.pk else None

    def _forgive_unused(self) -> None:
        used = USED.get(str(self.cleaned_data.get("mode")), set())
        on = self.cleaned_data.get("month_on") or simple_modes.ON_DAY
        unused = set().union(*USED.values()) - used
        unused |= {"month_day"} if on != simple_modes.ON_DAY else set()
        unused |= {"month_nth", "month_weekday"} if on != simple_modes.ON_NTH else set()
        for name in unused:
            self.errors.pop(name, None)

    def _write_pattern(self) -> None:
        """Turns the simple mode into the pattern that it says; an unchanged one keeps the spelling that it had."""
        values = self.cleaned_data
        mode = values.get("mode")
        pattern = " ".join(str(values.get("expression") or "").split())
        if mode in simple_modes.MODES:
            try:
                pattern = simple_modes.write(self._simple(mode))
            except SimpleModeError as error:
                pattern = ""
                if error.field not in self.errors:
                    self.add_error(error.field, str(error))
            kept = self._existing.expression if self._existing is not None else ""
            if pattern and kept and simple_modes.says_the_same(pattern, kept):
                pattern = kept
        values["pattern"] = pattern

    def _simple(self, mode: str) -> SimpleMode:
        values = self.cleaned_data
        times = simple_modes.read_times(values.get("times") or "")
        if mode == simple_modes.MONTHLY and values.get("month_on", "day") == "day" and not values.get("month_day"):
            raise SimpleModeError("Write a day of the month from 1 to 31.", "month_day")
        return SimpleMode(
            mode,
            times,
            weekdays=frozenset(values.get("weekdays") or ()),
            month_on=values.get("month_on") or simple_modes.ON_DAY,
            month_day=values.get("month_day") or 1,
            month_nth=int(values.get("month_nth") or 1),
            month_weekday=int(values.get("month_weekday") or 1),
        )

    def _check_words(self) -> None:
        """Words that were typed and not used are never lost in silence: they fill the fields, and Save is asked again."""
        text = str(self.cleaned_data.get("words") or "").strip()
        if not text or "time_zone" in self.errors:
            return
        zone = self.cleaned_data["time_zone"]
        try:
            phrase = phrases.parse(text, now=clock.now(), timezone=zone)
        except (phrases.PhraseError, cron.CronError) as error:
            self.add_error("words", str(error))
            return
        if self._is_chosen(phrase):
            return
        reading = field_values.of_phrase(phrase, zone)
        self._refill({**reading, "words": ""})
        self._filled_by_words = {*reading, "times", "month_day", "weekdays", "once_at", "every_amount"}
        for name in self._filled_by_words:  # what stood in these fields counts no more
            self.errors.pop(name, None)
        said = f"Your words were read as “{phrase.words}” and filled in below. {phrase.note} Save again to keep it."
        self.add_error("words", " ".join(said.split()))

    def _refill(self, values: Mapping[str, Any]) -> None:
        """Shows other values than the posted ones when the form comes back."""
        if not isinstance(self.data, QueryDict):
            self.data = {**self.data, **values}
            return
        data = self.data.copy()
        for name, value in values.items():
            data.setlist(name, value if isinstance(value, list) else [value])
        self.data = data

    def _is_chosen(self, phrase: phrases.Phrase) -> bool:
        """Whether the fields say already what the words say."""
        chosen = self.timing_values()
        if phrase.expression:
            pattern = str(chosen["expression"])
            return pattern == phrase.expression or simple_modes.says_the_same(pattern, phrase.expression)
        if phrase.every is not None:
            return bool(chosen["every_seconds"] == phrase.every.total_seconds())
        return bool(chosen["once_at"] == phrase.at)

    def _check_first_run(self, draft: ScheduleDraft) -> None:
        """Refuses a timing whose end comes before its first run; an old schedule that has ended may keep its end."""
        before = self._existing
        if before is not None and self._ends_as_before(draft, before):
            return
        now = clock.now()
        trial = self.trial(draft, now)
        try:
            first = trial.timing.upcoming(now, 1)
        except cron.CronError as error:
            raise ValidationError({"calendar_id" if error.field == "calendar" else "expression": str(error)}) from None
        if not first:
            return
        if draft.ends_at is not None and first[0] > draft.ends_at:
            local = first[0].astimezone(zones.zone(draft.time_zone))
            when = f"{words.full_date(local)} at {local:%H:%M}"
            raise ValidationError({"ends_at": f"It would end before its first run, on {when}."})
        if draft.max_runs is not None and trial.planned_count >= draft.max_runs:
            runs = f"{trial.planned_count} time{'' if trial.planned_count == 1 else 's'}"
            raise ValidationError({"max_runs": f"It has run {runs} already. Write a larger number, or leave it empty."})

    @staticmethod
    def _ends_as_before(draft: ScheduleDraft, before: Schedule) -> bool:
        old = ScheduleDraft.of(before)
        return (old.timing_values, old.ends_at, old.max_runs) == (draft.timing_values, draft.ends_at, draft.max_runs)

    def _show(self, error: ValidationError) -> None:
        """At the form's own fields: what a draft without name and target lacks is no concern of the timing."""
        if not hasattr(error, "error_dict"):
            self.add_error(None, error.messages)
            return
        hidden = {"expression"} if self.cleaned_data.get("mode") in simple_modes.MODES else set()
        hidden |= set(self._filled_by_words)
        for name, messages in error.message_dict.items():
            field = FORM_FIELD.get(name, name)
            if field in self.fields:
                if field not in hidden and field not in self.errors:
                    self.add_error(field, messages)
            elif self.is_whole:
                self.add_error(None, messages)
