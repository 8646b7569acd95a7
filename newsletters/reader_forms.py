"""The forms of the readers' pages; each refusal says what to write instead, and nothing that was typed is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django import forms
from django.conf import settings
from django.conf.locale import LANG_INFO
from django.core.exceptions import ValidationError

from newsletters import addresses, field_forms, fields, floods, preferences
from newsletters.floods import Freshness
from newsletters.models import List, Subscriber, SubscriberField

_LOOK = field_forms.Look(forms.TextInput, forms.Select, "Not said")


class GuardedForm(forms.Form):
    """A form that strangers can send: a hidden token of ours, and a field that people do not see."""

    form_name: ClassVar[str] = ""
    website = forms.CharField(required=False, widget=forms.TextInput(attrs={"tabindex": "-1", "autocomplete": "off"}))
    token = forms.CharField(required=False, widget=forms.HiddenInput)

    @property
    def fresh_token(self) -> str:
        """The token for this showing of the form; one that was only too fast stays, so that it grows old."""
        sent = str(self.data.get("token", "")) if self.is_bound else ""
        return sent if self.freshness is Freshness.FAST else floods.form_token(self.form_name)

    @property
    def freshness(self) -> Freshness:
        return floods.freshness(self.form_name, str(self.data.get("token", "")))

    @property
    def is_bot(self) -> bool:
        return bool(self.cleaned_data.get("website"))


class AddressField(forms.CharField):
    """An e-mail address in the spelling that was typed; :func:`addresses.normalise` accepts it."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"})
        super().__init__(max_length=254, widget=widget, **kwargs)

    def clean(self, value: Any) -> str:
        email = str(super().clean(value) or "")
        try:
            if email:
                addresses.normalise(email)
        except addresses.BadAddress as error:
            raise ValidationError(str(error)) from error
        return email


class SubscribeForm(GuardedForm):
    """A reader's wish to be on some of the public lists."""

    form_name = "subscribe"
    lists = forms.ModelMultipleChoiceField(
        label="What would you like to get?", queryset=List.objects.none(), widget=forms.CheckboxSelectMultiple,
        to_field_name="slug", error_messages={"required": "Please choose at least one."},
    )  # fmt: skip
    email = AddressField(label="Your e-mail address", error_messages={"required": "Please write your e-mail address."})
    name = forms.CharField(
        label="Your name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        public = List.objects.filter(public=True)
        field = cast("forms.ModelMultipleChoiceField[List]", self.fields["lists"])
        field.queryset = public
        if len(public) == 1 and "lists" not in self.initial:
            field.initial = [public[0].slug]


class FeedbackForm(GuardedForm):
    """What a reader wants to tell us."""

    form_name = "feedback"
    text = forms.CharField(
        label="Your message", max_length=5000, widget=forms.Textarea(attrs={"rows": 7}),
        error_messages={"required": "Please write something."},
    )  # fmt: skip
    name = forms.CharField(
        label="Your name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    email = AddressField(label="Your e-mail address", required=False, help_text="Only if you would like an answer.")


class AskForPageForm(GuardedForm):
    """A reader's wish to get the link to their own page."""

    form_name = "ask_for_page"
    email = AddressField(label="Your e-mail address", error_messages={"required": "Please write your e-mail address."})


class NewAddressForm(forms.Form):
    """Another address for the reader's newsletters."""

    email = AddressField(label="New e-mail address", error_messages={"required": "Please write the new address."})


class ChoicesForm(forms.Form):
    """What a reader chooses on their own page."""

    lists = forms.ModelMultipleChoiceField(
        label="Your newsletters", queryset=List.objects.none(), required=False, widget=forms.CheckboxSelectMultiple,
        to_field_name="slug",
    )  # fmt: skip
    name = forms.CharField(
        label="Your name", max_length=300, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    language = forms.ChoiceField(label="Your language", required=False)

    def __init__(self, subscriber: Subscriber, data: Mapping[str, Any] | None = None) -> None:
        self.own_fields = preferences.public_fields()
        self._stored = subscriber.attributes
        initial = {
            "lists": [chosen.slug for chosen in preferences.chosen_lists(subscriber)],
            "name": subscriber.name,
            "language": subscriber.language,
            **{_name(own): fields.in_words(own, subscriber.attributes.get(own.key)) for own in self.own_fields},
        }
        super().__init__(data, initial=initial)
        cast("forms.ModelMultipleChoiceField[List]", self.fields["lists"]).queryset = preferences.lists_for(subscriber)
        cast(forms.ChoiceField, self.fields["language"]).choices = _languages(subscriber.language)
        for own in self.own_fields:
            value = field_forms.ValueField(own, _LOOK)
            value.show(subscriber.attributes.get(own.key))
            self.fields[_name(own)] = value

    @property
    def facts(self) -> list[forms.BoundField]:
        """Name, language and the public fields, in the order in which they stand on the page."""
        return [self["name"], self["language"], *(self[_name(own)] for own in self.own_fields)]

    @property
    def choices(self) -> preferences.Choices:
        """What was chosen, once the form is valid."""
        data = self.cleaned_data
        values = {
            own.key: data[_name(own)] if _name(own) in self.changed_data else self._stored.get(own.key)
            for own in self.own_fields
        }
        return preferences.Choices([chosen.pk for chosen in data["lists"]], data["name"], data["language"], values)


def _name(own: SubscriberField) -> str:
    return f"own_{own.key}"


def _languages(present: str) -> list[tuple[str, str]]:
    known = [(code, str(LANG_INFO.get(code, {}).get("name_local", name))) for code, name in settings.LANGUAGES]
    plain = [(code, name) for code, name in known if "-" not in code]
    if present and present not in dict(plain):
        plain.append((present, dict(known).get(present, present)))
    return [("", "Not said"), *sorted(plain, key=lambda one: one[1].casefold())]
