"""The forms of an issue: its text, its time, and the small ones of its buttons."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django import forms
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from newsletters import approval, due_times
from newsletters.due_times import DueTime
from newsletters.editor_forms import SOURCE_HELP, TAG_HELP, SourceEditor, check_letter
from newsletters.issues import Text, When
from newsletters.models import Issue, LetterTemplate, Newsletter
from runs import words
from schedules.form_fields import WallClockField, instant

OWN, NONE = "own", "none"


class IssueTextForm(forms.ModelForm):  # type: ignore[type-arg]
    """What an issue says."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Issue
        fields = ("subject", "preheader", "format", "template", "body")
        widgets = {
            "subject": UnfoldAdminTextInputWidget(),
            "preheader": UnfoldAdminTextInputWidget(),
            "format": UnfoldAdminSelectWidget(),
            "template": UnfoldAdminSelectWidget(),
            "body": SourceEditor(),
        }
        help_texts = {"subject": TAG_HELP, "body": SOURCE_HELP}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen"].initial = approval.fingerprint(self.instance)
        if self.instance.newsletter.source == Newsletter.Source.FEED:
            self.fields["body"].help_text = (
                "{{ feed }} stands for what is new in the feed when it goes out. " + SOURCE_HELP
            )
        layout = cast("forms.ModelChoiceField[LetterTemplate]", self.fields["template"])
        layout.empty_label = "Our own layout"

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        check_letter(self, data)
        return data

    def text(self) -> Text:
        """What was written."""
        return Text(**{name: self.cleaned_data[name] for name in self.Meta.fields})


class WhenForm(forms.Form):
    """When an issue goes out: one of the newsletter's next times, a time of its own, or nobody knows yet."""

    when = forms.ChoiceField(label="When does it go out?", widget=UnfoldAdminRadioSelectWidget)
    at = WallClockField(label="Its own time", required=False)

    def __init__(
        self, *args: Any, newsletter: Newsletter, may_send: bool, issue: Issue | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.time_zone = timezone.get_current_timezone_name()
        times = due_times.ahead(newsletter.pk, due_times.AHEAD)
        if issue is not None:
            own = due_times.own_schedule(issue)
            times = [one for one in times if own is None or one.schedule.pk != own.pk]
        numbers = newsletter.issues.filter(scheduled_for__in=[one.at for one in times])
        taken = set(numbers.exclude(pk=(issue.pk if issue else None) or 0).values_list("scheduled_for", flat=True))
        free = [one for one in times if one.at not in taken]
        choices = [(one.at.isoformat(), _label(one)) for one in free]
        if may_send:
            choices.append((OWN, "At a time of its own"))
            self.fields["at"].help_text = f"By the clock of {self.time_zone}."
        else:
            del self.fields["at"]
        choices.append((NONE, "I do not know yet"))
        field = cast(forms.ChoiceField, self.fields["when"])
        field.choices = choices
        field.initial = choices[0][0]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("when") == OWN and not cleaned.get("at") and "at" not in self.errors:
            self.add_error("at", "Write the date and time.")
        return cleaned

    def chosen(self) -> When:
        """What was chosen. Raises ValidationError for a time that the clocks of this zone never show."""
        when = self.cleaned_data["when"]
        if when == NONE:
            return When()
        if when == OWN:
            return When(instant(self.cleaned_data["at"], self.time_zone), is_own=True, time_zone=self.time_zone)
        return When(datetime.fromisoformat(when))


class ReasonForm(forms.Form):
    """Why, in words."""

    reason = forms.CharField(label="Why?", max_length=300, widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}))

    def __init__(self, *args: Any, label: str, help_text: str = "", is_required: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].label, self.fields["reason"].help_text = label, help_text
        self.fields["reason"].required = is_required


class RateForm(forms.ModelForm):  # type: ignore[type-arg]
    """How fast an issue is sent."""

    class Meta:
        model = Newsletter
        fields = ("rate", "rate_per")
        widgets = {
            "rate": UnfoldAdminIntegerFieldWidget(attrs={"min": 1, "placeholder": "No limit"}),
            "rate_per": UnfoldAdminSelectWidget(),
        }


def _label(due: DueTime) -> str:
    words_of = f"{words.here(due.at)}, {words.relative(due.at)}"
    return f"{words_of} ({due.why_not})" if due.why_not else words_of
