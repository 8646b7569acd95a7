"""The forms of the public pages and of the admin; each refusal says what to write instead."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminEmailInputWidget

from newsletters import addresses, audience, images, mergetags, subscriptions
from newsletters.content import MAX_BODY_CHARACTERS
from newsletters.models import Image, List, Newsletter, Subscriber, Subscription, Suppression

TAG_HELP = "You can mention {{ name }}, {{ email }} and each reader's attributes; {{ name|there }} says “there” where the name is missing."


class NoBotsForm(forms.Form):
    """A public form with a field that people do not see; whoever fills it in is a program."""

    website = forms.CharField(required=False, widget=forms.TextInput(attrs={"tabindex": "-1", "autocomplete": "off"}))

    @property
    def is_bot(self) -> bool:
        return bool(self.cleaned_data.get("website"))


class FeedbackForm(NoBotsForm):
    """What a reader wants to tell us."""

    name = forms.CharField(
        label="Your name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    email = forms.EmailField(
        label="Your e-mail address", required=False, help_text="Only if you would like an answer.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )  # fmt: skip
    text = forms.CharField(
        label="Your message", max_length=5000, widget=forms.Textarea(attrs={"rows": 7}),
        error_messages={"required": "Please write something."},
    )  # fmt: skip


class SubscribeForm(NoBotsForm):
    """A reader's wish to be on some of the public lists."""

    lists = forms.ModelMultipleChoiceField(
        label="What would you like to get?", queryset=List.objects.none(), widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Please choose at least one."},
    )  # fmt: skip
    email = forms.CharField(
        label="Your e-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={"required": "Please write your e-mail address."},
    )  # fmt: skip
    name = forms.CharField(
        label="Your name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        public = List.objects.filter(public=True)
        field = cast("forms.ModelMultipleChoiceField[List]", self.fields["lists"])
        field.queryset = public
        if public.count() == 1:
            field.initial = list(public)

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].strip()
        try:
            self.cleaned_data["email_norm"] = addresses.normalise(email)
        except addresses.BadAddress as error:
            raise ValidationError(str(error)) from error
        return email


class NewsletterForm(forms.ModelForm):  # type: ignore[type-arg]
    """A newsletter; merge tags are checked before it is saved, so that none is found wrong while it is sent."""

    class Meta:
        model = Newsletter
        fields = ("name", "lists", "subject", "body", "from_name", "from_email", "reply_to", "rate", "rate_per")
        help_texts = {
            "lists": "Whoever is on several of them gets one mail.",
            "subject": TAG_HELP,
            "body": "Written in Markdown: an empty line starts a paragraph, # a heading, - a list, [words](https://…) a link.",
            "from_email": "Empty for the installation's own address.",
            "reply_to": "Empty for the sender's address.",
            "rate": "Empty for as fast as the mail server takes them.",
        }

    def clean_name(self) -> str:
        return _without_braces(self.cleaned_data["name"])

    def clean_subject(self) -> str:
        return _checked(self.cleaned_data["subject"])

    def clean_body(self) -> str:
        body = _checked(self.cleaned_data["body"])
        if len(body) > MAX_BODY_CHARACTERS:
            raise ValidationError(
                f"The text has {len(body):,} characters; at most {MAX_BODY_CHARACTERS:,} can be mailed."
            )
        return body


class SubscriberForm(forms.ModelForm):  # type: ignore[type-arg]
    """A subscriber and the lists they are confirmed on."""

    lists = forms.ModelMultipleChoiceField(
        queryset=List.objects.all(), required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Tick only lists that the person asked for.",
    )  # fmt: skip

    class Meta:
        model = Subscriber
        fields = ("email", "name", "language", "attributes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            confirmed = Subscription.objects.filter(subscriber=self.instance, state=Subscription.State.CONFIRMED)
            self.fields["lists"].initial = list(confirmed.values_list("list", flat=True))

    def clean_attributes(self) -> dict[str, Any]:
        attributes = self.cleaned_data["attributes"] or {}
        if not isinstance(attributes, dict):
            raise ValidationError('Write pairs, such as {"city": "Porto"}.')
        return attributes

    def clean_lists(self) -> Any:
        chosen = self.cleaned_data["lists"]
        left = subscriptions.revivals(self.instance, chosen)
        if left:
            raise ValidationError(
                f"This person left {', '.join(left)}. Only they can come back, on the page where readers subscribe."
            )
        return chosen


class SuppressionForm(forms.ModelForm):  # type: ignore[type-arg]
    """An address that is to get no newsletter any more."""

    email = forms.CharField(label="Address", max_length=254, widget=UnfoldAdminEmailInputWidget())

    class Meta:
        model = Suppression
        fields = ("note",)

    def clean_email(self) -> str:
        try:
            return addresses.normalise(self.cleaned_data["email"])
        except addresses.BadAddress as error:
            raise ValidationError(str(error)) from error


class ImageForm(forms.ModelForm):  # type: ignore[type-arg]
    """An upload."""

    upload = forms.FileField(
        label="File", help_text="JPEG, PNG, GIF or WebP. The sizes are made after the page has answered."
    )

    class Meta:
        model = Image
        fields = ("alt",)

    def clean_upload(self) -> Any:
        upload = self.cleaned_data["upload"]
        images.check_upload(upload)
        return upload


def _checked(source: str) -> str:
    try:
        mergetags.check(source, audience.attribute_names())
    except mergetags.MergeTagError as error:
        raise ValidationError(str(error)) from error
    return source


def _without_braces(name: str) -> str:
    if "{{" in name or "}}" in name:
        raise ValidationError("The name is no place for merge tags; use them in the subject and the text.")
    return name
