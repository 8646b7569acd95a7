"""A second person's yes or no: the words that go with it, and what becomes of the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminTextInputWidget

from runs import form_errors, questions


class NoteForm(forms.Form):
    """What whoever decides says; it may be left empty unless ``required`` says, in words, why not."""

    note = forms.CharField(max_length=300, widget=UnfoldAdminTextInputWidget)

    def __init__(self, request: HttpRequest, *, label: str, help_text: str, required: str = "") -> None:
        filled_in: dict[str, Any] = questions.answered(request, "note")
        super().__init__(**filled_in)
        field = self.fields["note"]
        field.label, field.help_text, field.required = label, help_text, bool(required)
        field.error_messages["required"] = required
        if self.is_bound and self.errors:
            field.widget.attrs["aria-invalid"] = "true"


def decided(
    request: HttpRequest, form: NoteForm, act: Callable[[str, str], object], done: str, *, back: str
) -> HttpResponse | None:
    """Does what was confirmed, says ``done`` and leaves to the page ``back``; None while it has to be asked (again).

    ``act`` gets what the page had shown (its hidden ``seen``) and the note. What it finds wrong at a field stands there; any
    other ValidationError ends the question, with its reason.
    """
    if not (form.is_bound and form.is_valid()):
        return None
    try:
        act(request.POST.get("seen", ""), form.cleaned_data["note"])
    except ValidationError as error:
        if hasattr(error, "error_dict"):
            form_errors.show(form, error)
            return None
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, done)
    return questions.leave(request, back)
