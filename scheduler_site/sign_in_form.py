"""The form of the sign-in page."""

from __future__ import annotations

from typing import ClassVar

from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):  # type: ignore[misc]
    """Says what is wrong in words that fit everybody; the same whether the name exists or not."""

    error_messages: ClassVar = {
        **AuthenticationForm.error_messages,
        "invalid_login": "This name and this password do not go together. Capital and small letters count in both.",
    }
