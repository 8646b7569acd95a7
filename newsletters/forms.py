"""The forms of the admin; each refusal says what to write instead."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminURLInputWidget

from newsletters import approval, feeds, images, senders
from newsletters.editor_forms import SOURCE_HELP, TAG_HELP, SourceEditor, check_letter
from newsletters.models import Image, Newsletter
from runs import offered_files


class NewsletterForm(forms.ModelForm):  # type: ignore[type-arg]
    """A newsletter; merge tags are checked before it is saved, so that none is found wrong while it is sent."""

    feed_url = forms.URLField(
        label="Address of the feed", required=False, max_length=500, assume_scheme="https",
        widget=UnfoldAdminURLInputWidget,
        help_text="Where the website offers its news to programs; it often ends in /feed or .xml.",
    )  # fmt: skip
    attachment = forms.ChoiceField(
        label="Attach", required=False, widget=UnfoldAdminSelectWidget,
        help_text="The newest file there is when an issue is prepared; every reader gets it.",
    )  # fmt: skip

    actor: ClassVar[Any] = None
    """Who fills it in; the admin says so. Files that they may not see are not offered."""

    class Meta:
        model = Newsletter
        fields = (
            "name", "subject", "preheader", "format", "template", "body", "source", "feed_url", "feed_items",
            "feed_when_empty", "attachment", "lists", "segment", "from_name", "from_email", "reply_to", "rate", "rate_per",
            "postal_address", "approve_above", "tracking", "is_archived",
        )  # fmt: skip
        widgets: ClassVar = {"body": SourceEditor(), "postal_address": UnfoldAdminTextareaWidget({"rows": 3})}
        help_texts = {
            "lists": "Whoever is on several of them gets one mail.",
            "subject": TAG_HELP,
            "preheader": "Empty for the first words of the text.",
            "template": "",
            "body": "The usual text: it goes out at each of the newsletter’s times for which nobody wrote an issue. "
            + SOURCE_HELP,
            "feed_when_empty": "What happens at a time when the feed has nothing that did not go out before.",
            "from_email": "Empty for the installation's own address.",
            "reply_to": "Empty for the sender's address.",
            "rate": "Empty for as fast as the mail server takes them.",
            "approve_above": "Recipients. An issue with more waits until somebody else than its writer approves it. Empty for never.",
            "tracking": "Counting leads each link over our own address first. Who clicked is never noted.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("format", "source", "feed_items", "feed_when_empty", "rate_per", "tracking", "body"):
            if name in self.fields:  # whoever may only look has no fields
                self.fields[name].required = False
        for name, words in (("segment", "All readers of the lists"), ("template", "Our own layout")):
            if name in self.fields:
                cast("forms.ModelChoiceField[Any]", self.fields[name]).empty_label = words
        if "attachment" in self.fields:
            offered = offered_files.choices_of(self.actor)
            if (kept := self.instance.attachment) and kept not in dict(offered):
                offered.append((kept, offered_files.label(kept) or "A file that is no longer offered"))
            cast(forms.ChoiceField, self.fields["attachment"]).choices = [("", "Nothing"), *offered]

    def clean(self) -> dict[str, Any]:
        """What is not sent keeps its value; what the chosen source needs is there."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("format", "source", "feed_items", "feed_when_empty", "rate_per", "tracking"):
            if cleaned.get(name) in (None, "") and name not in self.errors:
                cleaned[name] = getattr(self.instance, name)
        if cleaned.get("source") != Newsletter.Source.FEED and not cleaned.get("body") and "body" not in self.errors:
            self.add_error("body", "Write the text.")
        self._check_feed(cleaned)
        check_letter(self, cleaned)
        return cleaned

    def _check_feed(self, cleaned: dict[str, Any]) -> None:
        try:
            feeds.check_fields(
                source=cleaned.get("source", ""), feed_url=cleaned.get("feed_url") or "", body=cleaned.get("body") or "",
                text_format=cleaned.get("format", ""),
            )  # fmt: skip
        except ValidationError as error:
            for name, problems in error.message_dict.items():
                if name not in self.errors:
                    self.add_error(name, problems)

    def clean_approve_above(self) -> int | None:
        """Nobody who may not approve makes fewer issues wait for approval."""
        limit: int | None = self.cleaned_data["approve_above"]
        stored = Newsletter.objects.filter(pk=self.instance.pk).values_list("approve_above", flat=True).first()
        if approval.is_looser(stored, limit) and self.actor is not None and not self.actor.has_perm(approval.APPROVE):
            raise ValidationError(
                f"It asks for approval above {stored:,} recipients. Only somebody who may approve issues can loosen that."
            )
        return limit

    def clean_name(self) -> str:
        return _without_braces(self.cleaned_data["name"])

    def clean_from_email(self) -> str:
        email: str = self.cleaned_data["from_email"]
        refusal = senders.refusal(email) if email else ""
        if refusal:
            raise ValidationError(refusal)
        return email


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
