"""Puts what a service found wrong at the fields of the form that people see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.forms import BaseForm


def show(form: BaseForm, error: ValidationError, field_names: Mapping[str, str] | None = None) -> None:
    """Adds each message at its field, unless the field has one already, or at the top where the form has no such field.

    ``field_names`` maps the service's names to the form's, where they differ.
    """
    names: Mapping[str, Any] = field_names or {}
    if not hasattr(error, "error_dict"):
        form.add_error(None, error.messages)
        return
    for field, messages in error.message_dict.items():
        name = names.get(field, field)
        if name not in form.errors:
            form.add_error(name if name in form.fields else None, messages)
