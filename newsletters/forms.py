"""The forms of the admin; each refusal says what to write instead."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from newsletters import images, senders
from newsletters.editor_forms import SOURCE_HELP, TAG_HELP, SourceEditor, check_letter
from newsletters.models import Format, Image, LetterTemplate, Newsletter


class NewsletterForm(forms.ModelForm):  # type: ignore[type-arg]
    """A newsletter; merge tags are checked before it is saved, so that none is found wrong while it is sent."""

    class Meta:
        model = Newsletter
        fields = (
            "name", "lists", "subject", "preheader", "format", "template", "body", "from_name", "from_email", "reply_to",
            "postal_address", "rate", "rate_per",
        )  # fmt: skip
        widgets: ClassVar = {"body": SourceEditor(), "postal_address": UnfoldAdminTextareaWidget({"rows": 3})}
        help_texts = {
            "lists": "Whoever is on several of them gets one mail.",
            "subject": TAG_HELP,
            "preheader": "Empty for the first words of the text.",
            "template": "",
            "body": SOURCE_HELP,
            "from_email": "Empty for the installation's own address.",
            "reply_to": "Empty for the sender's address.",
            "rate": "Empty for as fast as the mail server takes them.",
        }

    def clean_name(self) -> str:
        return _without_braces(self.cleaned_data["name"])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "format" in self.fields:  # whoever may only look has no fields
            self.fields["format"].required = False
            cast("forms.ModelChoiceField[LetterTemplate]", self.fields["template"]).empty_label = "Our own"

    def clean_format(self) -> str:
        return self.cleaned_data["format"] or Format.MARKDOWN

    def clean_from_email(self) -> str:
        email: str = self.cleaned_data["from_email"]
        refusal = senders.refusal(email) if email else ""
        if refusal:
            raise ValidationError(refusal)
        return email

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        check_letter(self, data)
        return data


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


def _without_braces(name: str) -> str:
    if "{{" in name or "}}" in name:
        raise ValidationError("The name is no place for merge tags; use them in the subject and the text.")
    return name
