"""The editor of letters as a form field, and what is checked before a letter is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget

from newsletters import content, layouts, merge_fields, sources
from newsletters.models import LetterTemplate
from newsletters.source_errors import SourceError

TAG_HELP = "You can mention {{ name }}, {{ email }} and each reader's attributes; {{ name|there }} says “there” where the name is missing."
SOURCE_HELP = (
    "In Markdown an empty line starts a paragraph, # a heading, - a list, [words](https://…) a link. "
    "HTML and MJML are for letters with a design of their own."
)


_STARTER = Path(__file__).with_name("layout_starter.html").read_text(encoding="utf-8")
"""What a new layout begins with: it works as it is."""


class SourceEditor(UnfoldAdminTextareaWidget):  # type: ignore[misc]
    """The text area of a letter, with buttons for merge tags and pictures where scripts run."""

    template_name = "newsletters/admin/source_editor.html"

    class Media:
        css = {"all": ("newsletters/admin.css", "newsletters/editor.css")}
        js = ("newsletters/editor.js",)

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"spellcheck": "true", "data-letter-source": "", **(attrs or {})})


def check_letter(form: forms.BaseForm, data: dict[str, Any]) -> None:
    """Adds what is wrong with a letter's subject, preview line, text or layout to the form, at its field."""
    body = data.get("body", "")
    if len(body) > content.MAX_BODY_CHARACTERS:
        words = f"The text has {len(body):,} characters; at most {content.MAX_BODY_CHARACTERS:,} can be mailed."
        form.add_error("body", words)
        return
    texts = {name: data[name] for name in ("subject", "preheader", "body") if name in data}
    for name, text in texts.items():
        try:
            merge_fields.check({name: text})
        except SourceError as error:
            form.add_error(name, str(error))
    if {"body", "format"} <= set(data) and not set(texts) & set(form.errors):
        source = content.Source(
            subject=data.get("subject", ""), body=body, title="", format=data["format"],
            template=sources.layout_of(data.get("template")), preheader=data.get("preheader", ""),
        )  # fmt: skip
        try:
            content.freeze(source)
        except SourceError as error:
            form.add_error(error.field if error.field in form.fields else "body", str(error))


class LayoutForm(forms.ModelForm):  # type: ignore[type-arg]
    """A layout; broken HTML or MJML is refused with its line."""

    class Meta:
        model = LetterTemplate
        fields = ("name", "description", "format", "source")
        labels = {"format": "Written in", "source": "Layout"}
        widgets = {"source": SourceEditor()}
        help_texts = {
            "description": "One sentence for colleagues: what it is for.",
            "source": "Write {{ content }} where the text goes, and {{ footer }} where the footer goes; without it, the footer is put at the end.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "source" in self.fields and not self.instance.pk:
            self.fields["source"].initial = _STARTER

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        source = data.get("source", "")
        if len(source) > content.MAX_BODY_CHARACTERS:
            self.add_error("source", f"The layout has {len(source):,} characters; that is too much for a mail.")
        elif source and "format" in data:
            try:
                layouts.check(source, data["format"])
            except SourceError as error:
                self.add_error("source", str(error))
        return data
